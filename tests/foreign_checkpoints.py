"""Writers of small checkpoints in foreign formats, in the names of the programs that made them."""

import json

import numpy as np

from tests import small_models


def training_name(name, num_layers=2):
    """What bilm-tf's graph calls a dataset of its HDF5 dump while it trains."""
    layer = "" if num_layers == 1 else "multi_rnn_cell/cell_{}/"
    for j in range(num_layers):
        name = name.replace(
            f"/RNN/MultiRNNCell/Cell{j}/LSTMCell/", f"/rnn/{layer.format(j)}lstm_cell/"
        )
    if "lstm_cell" in name:
        name = name.replace("W_P_0", "projection/kernel").replace("W_0", "kernel")
        name = name.replace("/B", "/bias")
    return f"lm/{name}"


def hub_name(name, prefix="module/"):
    """What TF-Hub's module calls a dataset of the HDF5 dump."""
    name = name.replace("/LSTMCell/W_P_0", "/rnn/lstm_cell/projection/kernel")
    name = name.replace("/LSTMCell/W_0", "/rnn/lstm_cell/kernel")
    name = name.replace("/LSTMCell/B", "/rnn/lstm_cell/bias")
    return f"{prefix}bilm/{name}"


def write_variables(prefix, variables):
    """A TensorFlow 1 checkpoint, written by its own Saver from raw variables."""
    import tensorflow as tf

    prefix.parent.mkdir(parents=True, exist_ok=True)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, array in variables.items():
            tf.compat.v1.get_variable(name, initializer=tf.constant(array), use_resource=False)
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver(tf.compat.v1.global_variables())
        saver.save(session, str(prefix), write_meta_graph=False)


def write_training_checkpoint(directory, opts, arrays, softmax=None, name="model.ckpt-7"):
    """A directory as bilm-tf's trainer leaves it: what it trains, and what it trains with."""
    num_layers = opts["lstm"].get("n_layers", 1)
    variables = {training_name(key, num_layers): value for key, value in arrays.items()}
    if softmax is not None:
        variables |= {"lm/softmax/W": softmax[0], "lm/softmax/b": softmax[1]}
    slots = {f"{key}/Adagrad": np.ones_like(value) for key, value in variables.items()}
    variables |= slots
    variables["global_step"] = np.int64(7)
    variables["train_perplexity"] = np.float32(50)
    write_variables(directory / name, variables)
    (directory / "options.json").write_text(json.dumps(opts))
    return directory


def write_hub_module(directory, arrays, mix, prefix="module/"):
    """A TF-Hub module's directory, as far as its variables go."""
    zero_row = np.zeros_like(arrays["char_embed"][:1])
    shifted = arrays | {"char_embed": np.concatenate([zero_row, arrays["char_embed"]])}
    variables = {hub_name(key, prefix): value for key, value in shifted.items()}
    variables |= {f"{prefix}{key}": value for key, value in mix.items()}
    write_variables(directory / "variables" / "variables", variables)
    (directory / "saved_model.pb").write_bytes(b"")
    (directory / "tfhub_module.pb").write_bytes(b"\x08\x03")
    return directory


SPECIAL_TOKENS = ["<bos>", "<eos>", "<oov>", "<pad>", "<bow>", "<eow>"]


def manylangs_config(**changes):
    """The inner configuration of a small ELMoForManyLangs model."""
    config = {
        "encoder": {
            "name": "elmo",
            "projection_dim": 6,
            "cell_clip": 3,
            "proj_clip": 3,
            "dim": 16,
            "n_layers": 2,
        },
        "token_embedder": {
            "name": "cnn",
            "activation": "relu",
            "filters": [[1, 4], [2, 8]],
            "n_highway": 2,
            "word_dim": 5,
            "char_dim": 4,
            "max_characters_per_token": 50,
        },
        "classifier": {"name": "sampled_softmax", "n_samples": 8192},
        "dropout": 0.1,
    }
    for key, value in changes.items():
        section = config["encoder"] if key in config["encoder"] else config["token_embedder"]
        section[key] = value
    return config


def manylangs_arrays(config, num_characters, num_words, seed=0, scale=1.0):
    """Random weights, as numpy arrays by the names of the program's tensors: two dicts."""
    rng = np.random.default_rng(seed)
    lstm, cnn = config["encoder"], config["token_embedder"]
    p, d, total = lstm["projection_dim"], lstm["dim"], 0

    def normal(*shape):
        return (scale * rng.standard_normal(shape) / np.sqrt(shape[-1])).astype("float32")

    def table(rows, dim):
        # Every row has length 1, that of the filler, too.
        x = rng.uniform(-1, 1, (rows, dim))
        return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype("float32")

    embedder, encoder = {}, {}
    if cnn["word_dim"]:
        embedder["word_emb_layer.embedding.weight"] = table(num_words, cnn["word_dim"])
        total += cnn["word_dim"]
    if cnn["char_dim"]:
        embedder["char_emb_layer.embedding.weight"] = table(num_characters, cnn["char_dim"])
        filters = sum(number for _, number in cnn["filters"])
        total += filters
        for i, (width, number) in enumerate(cnn["filters"]):
            embedder[f"convolutions.{i}.weight"] = normal(number, cnn["char_dim"], width)
            embedder[f"convolutions.{i}.bias"] = normal(number)
        for i in range(cnn["n_highway"]):
            embedder[f"highways._layers.{i}.weight"] = normal(2 * filters, filters)
            embedder[f"highways._layers.{i}.bias"] = normal(2 * filters)
    embedder["projection.weight"], embedder["projection.bias"] = normal(p, total), normal(p)
    for direction in ("forward", "backward"):
        for j in range(lstm["n_layers"]):
            root = f"{direction}_layer_{j}."
            encoder[root + "input_linearity.weight"] = normal(4 * d, p)
            encoder[root + "state_linearity.weight"] = normal(4 * d, p)
            encoder[root + "state_linearity.bias"] = normal(4 * d)
            encoder[root + "state_projection.weight"] = normal(p, d)
    return embedder, encoder


def write_manylangs(directory, config, arrays, characters, words, legacy=False):
    """A directory as ELMoForManyLangs saves it; needs torch.

    Args:
        directory: where it goes.
        config: as `manylangs_config` gives it.
        arrays: as `manylangs_arrays` gives them.
        characters: list of the dictionary's entries in the order of their numbers, or `None`.
        words: the same.
        legacy: bool. Whether to write pickles as torch did before version 1.6.
    """
    import torch

    directory.mkdir(parents=True, exist_ok=True)
    outer = {"seed": 1, "config_path": "/home/author/configs/cnn_sample.json", "max_epoch": 10}
    (directory / "config.json").write_text(json.dumps(outer))
    (directory / "cnn_sample.json").write_text(json.dumps(config))
    for name, entries in (("char.dic", characters), ("word.dic", words)):
        if entries is not None:
            lines = [f"{entry}\t{number}\n" for number, entry in enumerate(entries)]
            (directory / name).write_text("".join(lines), encoding="utf-8", newline="\n")
    for name, tensors in zip(("token_embedder.pkl", "encoder.pkl"), arrays):
        state = {key: torch.from_numpy(array.copy()) for key, array in tensors.items()}
        torch.save(state, str(directory / name), _use_new_zipfile_serialization=not legacy)
    return directory


def words_and_softmax(dim, seed=0):
    """A vocabulary as bilm-tf wants it, and a softmax over it."""
    rng = np.random.default_rng(seed)
    words = ["<S>", "</S>", "<UNK>", "the", "cat", "naïve", "sat", "東京", "."]
    kernel = rng.standard_normal((len(words), dim)).astype("float32")
    return words, (kernel, rng.standard_normal(len(words)).astype("float32"))


def word_level(opts, words, seed=0):
    """Options and datasets of a model that reads words, made from those of one of characters."""
    rng = np.random.default_rng(seed + 1)
    arrays = {k: v for k, v in small_models.datasets(opts, seed).items() if k.startswith("RNN_")}
    shape = (len(words), opts["lstm"]["projection_dim"])
    arrays["embedding"] = rng.standard_normal(shape).astype("float32")
    return {"lstm": opts["lstm"], "n_tokens_vocab": len(words)}, arrays
