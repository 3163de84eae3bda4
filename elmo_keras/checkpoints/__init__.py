"""Foreign checkpoint formats: one weight table per format, and one strict loader for all."""

from elmo_keras.checkpoints.bilm_hdf5 import open_hdf5 as open_hdf5
from elmo_keras.checkpoints.bilm_hdf5 import save_hdf5 as save_hdf5
from elmo_keras.files.static_vectors import read_static_vectors as read_static_vectors
