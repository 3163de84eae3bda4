"""Small layers, checkpoints and batches that the tests share."""

import json

import h5py
import keras
import numpy as np

import elmo_keras
from elmo_keras import layers

IS_TENSORFLOW = keras.backend.backend() == "tensorflow"


def char_cnn(**options):
    return layers.CharCNN(
        **{"filters": [(1, 4), (2, 8)], "char_embedding_dim": 4, "projection_dim": 6} | options
    )


def bilstm(**options):
    return layers.BiLSTMStack(**{"units": 16, "projection_dim": 6} | options)


def elmo(**options):
    return elmo_keras.ElmoLayer(char_cnn(), bilstm(), **options)


def ids(lengths=(5, 3, 0, 1), time=None, max_characters=50, seed=0):
    """Random character ids: sentences of these lengths, zeros behind them."""
    rng = np.random.default_rng(seed)
    out = np.zeros((len(lengths), time or max(lengths), max_characters), dtype="int32")
    for row, length in zip(out, lengths):
        row[:length] = rng.integers(1, 262, (length, max_characters))
    return out


def to_numpy(x):
    return keras.ops.convert_to_numpy(x)


def options(**changes):
    """The options of a small checkpoint; keys of `lstm` and `char_cnn` by name, None to drop."""
    lstm = {"use_skip_connections": True, "projection_dim": 6, "cell_clip": 3, "proj_clip": 3}
    lstm |= {"dim": 16, "n_layers": 2}
    cnn = {"activation": "relu", "filters": [[1, 4], [2, 8]], "n_highway": 2}
    cnn |= {"embedding": {"dim": 4}, "n_characters": 262, "max_characters_per_token": 50}
    for key, value in changes.items():
        part = lstm if key in lstm else cnn
        part[key] = value
        if value is None:
            del part[key]
    return {"lstm": lstm, "char_cnn": cnn}


def datasets(opts, seed=0, scale=1.0):
    """Random datasets of the published format, float32."""
    rng = np.random.default_rng(seed)
    cnn, lstm = opts["char_cnn"], opts["lstm"]
    c, total = cnn["embedding"]["dim"], sum(n for _, n in cnn["filters"])
    p, d = lstm["projection_dim"], lstm["dim"]

    def normal(*shape):
        return (scale * rng.standard_normal(shape) / np.sqrt(shape[0])).astype("float32")

    out = {"char_embed": rng.uniform(-1, 1, (261, c)).astype("float32")}
    for i, (width, number) in enumerate(cnn["filters"]):
        out[f"CNN/W_cnn_{i}"] = normal(1, width, c, number)
        out[f"CNN/b_cnn_{i}"] = normal(number)
    for i in range(cnn.get("n_highway", 0)):
        for gate in ("carry", "transform"):
            out[f"CNN_high_{i}/W_{gate}"] = normal(total, total)
            out[f"CNN_high_{i}/b_{gate}"] = normal(total)
    if total != p:
        out["CNN_proj/W_proj"], out["CNN_proj/b_proj"] = normal(total, p), normal(p)
    for direction in range(2):
        for layer in range(lstm.get("n_layers", 1)):
            root = f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell/"
            out[root + "W_0"], out[root + "B"] = normal(2 * p, 4 * d), normal(4 * d)
            if d != p:
                out[root + "W_P_0"] = normal(d, p)
    return out


def write_checkpoint(directory, opts, arrays, weights="weights.hdf5"):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "options.json").write_text(json.dumps(opts))
    with h5py.File(directory / weights, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return directory
