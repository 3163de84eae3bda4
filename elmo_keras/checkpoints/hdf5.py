"""The published HDF5 format: bilm-tf's `dump_weights`, read by AllenNLP and simple_elmo.

Sources: bilm-tf, `bilm/model.py` (`_pretrained_initializer`) and `bilm/training.py`
(`dump_weights`); AllenNLP, `modules/elmo.py` and `modules/elmo_lstm.py`.
"""

import json
import pathlib

import h5py
import numpy as np

from elmo_keras.checkpoints import loader
from elmo_keras.checkpoints.loader import Entry, same
from elmo_keras.checkpoints.options import Options, options_of
from elmo_keras.layers.bilstm_stack import BiLSTMStack
from elmo_keras.layers.char_cnn import CharCNN
from elmo_keras.layers.elmo_layer import ElmoLayer

OPTIONS, WEIGHTS = "options.json", "weights.hdf5"


def table(layer: ElmoLayer) -> list[Entry]:
    """The format's table for a built layer: (their name, our variables, transform)."""
    cnn = layer.token_encoder
    rows = [_char_embed("char_embed", cnn.char_embedding.embeddings)]
    for i, convolution in enumerate(cnn.convolutions):
        rows += [
            _convolution(f"CNN/W_cnn_{i}", convolution.kernel),
            same(f"CNN/b_cnn_{i}", convolution.bias),
        ]
    for i, highway in enumerate(cnn.highways):
        for theirs, dense in (("carry", highway.gate), ("transform", highway.transform)):
            rows += [
                same(f"CNN_high_{i}/W_{theirs}", dense.kernel),
                same(f"CNN_high_{i}/b_{theirs}", dense.bias),
            ]
    if cnn.projection:
        rows += [
            same("CNN_proj/W_proj", cnn.projection.kernel),
            same("CNN_proj/b_proj", cnn.projection.bias),
        ]
    for direction, rnns in enumerate((layer.bilstm.forward_layers, layer.bilstm.backward_layers)):
        for j, rnn in enumerate(rnns):
            root = f"RNN_{direction}/RNN/MultiRNNCell/Cell{j}/LSTMCell"
            cell = rnn.cell
            rows += [
                _gate_kernels(f"{root}/W_0", cell.input_gates.kernel, cell.recurrent_gates.kernel),
                _gate_bias(f"{root}/B", cell.input_gates.bias),
            ]
            if cell.projection:
                rows.append(same(f"{root}/W_P_0", cell.projection.kernel))
    return rows


def load_hdf5(options_path, weights_path, cls=ElmoLayer, **options) -> ElmoLayer:
    """Builds an ElmoLayer from a file of options and a file of weights.

    Args:
        options_path: path of the JSON file.
        weights_path: path of the HDF5 file.
        cls: the class to build.
        **options: further arguments of the class.

    Returns:
        The layer, built.

    Raises:
        ValueError: if a file is damaged, or if the two do not fit each other.
    """
    read = Options.read(pathlib.Path(options_path))
    weights_path = pathlib.Path(weights_path)
    try:
        with h5py.File(weights_path, "r") as file:
            datasets = _datasets(file, read.num_layers)
            dtype = {"dtype": options["dtype"]} if "dtype" in options else {}
            cnn = CharCNN(
                filters=read.filters,
                char_embedding_dim=read.char_embedding_dim,
                num_highways=read.num_highways,
                # bilm-tf leaves out projections that would not change the size; ask the file.
                projection_dim=_projection_dim(
                    read.num_filters, read.projection_dim, "CNN_proj/W_proj" in datasets
                ),
                activation=read.activation,
                max_characters=read.max_characters,
                name="token_encoder",
                **dtype,
            )
            bilstm = BiLSTMStack(
                num_layers=read.num_layers,
                units=read.units,
                projection_dim=_projection_dim(
                    read.units,
                    read.projection_dim,
                    any(name.endswith("/W_P_0") for name in datasets),
                ),
                cell_clip=read.cell_clip,
                projection_clip=read.projection_clip,
                residual=read.residual,
                name="bilstm",
                **dtype,
            )
            layer = cls(cnn, bilstm, **options)
            layer.build((None, None, *cnn.ids_shape))
            loader.load(table(layer), datasets, str(weights_path))
    except OSError as error:
        raise ValueError(
            f"{weights_path} must be an HDF5 file of weights. Received: {error}. The file is "
            "damaged or cut short: fetch it again."
        ) from error
    return layer


def save_hdf5(layer: ElmoLayer, directory) -> None:
    """Writes the biLM of an ElmoLayer as bilm-tf, AllenNLP and simple_elmo read it.

    What the format has no place for stays behind: the mixes, a warm or carried state.

    Args:
        layer: an ElmoLayer, built, of a `CharCNN` over bytes and a `BiLSTMStack`.
        directory: where `options.json` and `weights.hdf5` go; made if absent.

    Raises:
        ValueError: if the layer is not built, or if the format cannot hold it.

    Example:

    ```python
    elmo = elmo_keras.ElmoLayer.from_preset("elmo_original/")
    ...  # fine-tune
    elmo_keras.checkpoints.save_hdf5(elmo, "elmo_tuned/")
    ```
    """
    options = options_of(layer)
    if not layer.built:
        raise ValueError(
            "`layer` must have weights to be saved. Received: a layer that is not built. Call it "
            "on a batch first."
        )
    arrays = loader.dump(table(layer))
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    # Written aside and then renamed: a full disk leaves the file that was there before.
    partial = directory / f".{WEIGHTS}.partial"
    try:
        with h5py.File(partial, "w") as file:
            for name, array in arrays.items():
                file.create_dataset(name, data=array)
        (directory / OPTIONS).write_text(json.dumps(options, indent=2) + "\n", encoding="utf-8")
        partial.replace(directory / WEIGHTS)
    finally:
        partial.unlink(missing_ok=True)


def is_weights(path: pathlib.Path) -> bool:
    """Whether a file holds weights of this format, judged by its content."""
    try:
        with h5py.File(path, "r") as file:
            return any(name in file for name in ("char_embed", "CNN", "RNN_0"))
    except OSError:
        return False


def _datasets(file, num_layers):
    """The file's datasets by name. Of one layer, bilm-tf writes names that it cannot read."""
    datasets = {}
    file.visititems(
        lambda name, item: datasets.update({name: item}) if isinstance(item, h5py.Dataset) else None
    )
    if num_layers == 1:
        datasets = {
            name.replace("/RNN/LSTMCell/", "/RNN/MultiRNNCell/Cell0/LSTMCell/"): item
            for name, item in datasets.items()
        }
    return datasets


def _projection_dim(size, projection_dim, is_there):
    return projection_dim if is_there or size != projection_dim else None


def _char_embed(name, embeddings):
    # The file has no row for id 0, padding. Ours is zeros, as in the programs.
    rows, dim = embeddings.shape
    return Entry(
        name,
        [embeddings],
        (rows - 1, dim),
        lambda x: [np.concatenate([np.zeros_like(x[:1]), x])],
        lambda x: x[1:],
    )


def _convolution(name, kernel):
    # Theirs is 2-D of height 1.
    return Entry(name, [kernel], (1, *kernel.shape), lambda x: [x[0]], lambda x: x[np.newaxis])


def _gate_kernels(name, kernel, recurrent_kernel):
    # Theirs has the input's rows above the state's.
    input_dim, gates = kernel.shape
    return Entry(
        name,
        [kernel, recurrent_kernel],
        (input_dim + recurrent_kernel.shape[0], gates),
        lambda x: np.split(_swap_gates(x), [input_dim]),
        lambda x, h: _swap_gates(np.concatenate([x, h])),
    )


def _gate_bias(name, bias):
    return Entry(name, [bias], tuple(bias.shape), lambda x: [_swap_gates(x)], _swap_gates)


def _swap_gates(x):
    """Between their gate order i, j, f, o and ours i, f, j, o; its own inverse."""
    i, second, third, o = np.split(x, 4, axis=-1)
    return np.concatenate([i, third, second, o], axis=-1)
