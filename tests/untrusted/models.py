"""A small model in each format, and the arrays in its weight file."""

import h5py
import numpy as np

import elmo_keras
from tests import foreign_checkpoints, small_models
from tests.untrusted.jail import assert_refused

OPTIONS = small_models.options(n_layers=1)
WORDS, _ = foreign_checkpoints.words_and_softmax(6)
EMBEDDINGS = "token_embeddings.hdf5"
MIX = {
    "aggregation/weights": np.array([0.3, -0.2], "float32"),
    "aggregation/scaling": np.float32(1.7),
}


def write_characters(directory):
    small_models.write_checkpoint(directory, OPTIONS, small_models.datasets(OPTIONS))


def write_words(directory):
    small_models.write_checkpoint(directory, *foreign_checkpoints.word_level(OPTIONS, WORDS))
    write_vocabulary(directory, WORDS)


def write_embeddings(directory):
    write_characters(directory)
    write_vocabulary(directory, WORDS)
    with h5py.File(directory / EMBEDDINGS, "w") as file:
        file["embedding"] = foreign_checkpoints.word_level(OPTIONS, WORDS)[1]["embedding"]


def write_training(directory):
    foreign_checkpoints.write_training_checkpoint(
        directory, OPTIONS, small_models.datasets(OPTIONS)
    )


def write_hub(directory):
    foreign_checkpoints.write_hub_module(directory, small_models.datasets(OPTIONS), MIX)


def write_preset(directory):
    elmo = elmo_keras.ElmoLayer(
        small_models.char_cnn(), small_models.bilstm(num_layers=1), state="warm"
    )
    elmo(small_models.ids())
    elmo.save_to_preset(directory)


def write_preset_of_words(directory):
    encoder = elmo_keras.layers.WordEmbedding(len(WORDS), 6, WORDS, name="token_encoder")
    elmo = elmo_keras.ElmoLayer(encoder, small_models.bilstm(num_layers=1))
    elmo(np.ones((1, 2), "int32"))
    elmo.save_to_preset(directory)


def write_vocabulary(directory, words):
    text = "".join(f"{word}\n" for word in words)
    (directory / "vocabulary.txt").write_text(text, encoding="utf-8", newline="\n")


# By format: the function that writes a model, and its weight file (TensorFlow's without `.index`).
FORMATS = {
    "characters": (write_characters, "weights.hdf5"),
    "words": (write_words, "weights.hdf5"),
    "embeddings": (write_embeddings, EMBEDDINGS),
    "training": (write_training, "model.ckpt-7"),
    "hub": (write_hub, "variables/variables"),
    "preset": (write_preset, "model.weights.h5"),
    "preset of words": (write_preset_of_words, "model.weights.h5"),
}
TENSORFLOW = ("training", "hub")


class Model:
    """A copy of a model, for a test to damage.

    Args:
        format: str. Key of `FORMATS`.
        directory: path of the copy.
        jail: the `Jail` that loads it.
    """

    def __init__(self, format, directory, jail):
        self.directory, self._kind, self._jail = directory, format, jail
        self.named = FORMATS[format][1]
        self.weights = directory / self.named

    def load(self, source=None):
        options = {}
        if self._kind == "embeddings":
            options["token_embeddings"] = self.directory / EMBEDDINGS
        return self._jail.load(source or self.directory, **options)

    def assert_refused(self, *words):
        assert_refused(self.load(), *words)


def read_arrays(path):
    """Returns the arrays of an HDF5 file or of a TensorFlow checkpoint, by name."""
    arrays = {}
    if path.exists():

        def note(name, item):
            if isinstance(item, h5py.Dataset):
                arrays[name] = item[()]

        with h5py.File(path) as file:
            file.visititems(note)
    else:
        import tensorflow as tf

        reader = tf.train.load_checkpoint(str(path))
        arrays = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    return arrays


def write_arrays(path, arrays, slices=None):
    """Inverse of `read_arrays`; `slices` maps names to TensorFlow's slice specifications."""
    if path.exists():
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array
    else:
        import tensorflow as tf

        tf.raw_ops.SaveV2(
            prefix=str(path),
            tensor_names=list(arrays),
            shape_and_slices=[(slices or {}).get(name, "") for name in arrays],
            tensors=[tf.constant(array) for array in arrays.values()],
        )
