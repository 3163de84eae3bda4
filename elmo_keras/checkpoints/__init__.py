"""Foreign checkpoint formats: one module each, a table and one strict loader."""

from elmo_keras.checkpoints.hdf5 import load_hdf5 as load_hdf5
from elmo_keras.checkpoints.hdf5 import save_hdf5 as save_hdf5
