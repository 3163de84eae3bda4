"""ELMo in float64 numpy, straight from the datasets of a published checkpoint.

Written from the description of the format alone, in its own names and gate order, one sentence
and one step at a time: nothing of it is shared with the package.
"""

import numpy as np


def token_ids(tokens, max_characters=50):
    """Rows of character ids of a sentence's tokens, boundaries included, as bilm-tf makes them."""
    rows = []
    for token in ["<S>", *tokens, "</S>"]:
        marks = {"<S>": [256], "</S>": [257]}
        middle = marks.get(token) or list(token.encode("utf-8", "ignore"))[: max_characters - 2]
        row = [258, *middle, 259]
        rows.append([x + 1 for x in row + [260] * (max_characters - len(row))])
    return np.array(rows)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def char_cnn(ids, opts, w):
    """`(time, max_characters)` ids to `(time, projection_dim)`."""
    table = np.concatenate([np.zeros_like(w["char_embed"][:1]), w["char_embed"]])
    x = table.astype("float64")[ids]  # (time, max_characters, char dim)
    activation = {"relu": lambda v: np.maximum(v, 0), "tanh": np.tanh}
    activation = activation[opts["char_cnn"]["activation"]]
    parts = []
    for i, (width, _) in enumerate(opts["char_cnn"]["filters"]):
        kernel, bias = w[f"CNN/W_cnn_{i}"][0], w[f"CNN/b_cnn_{i}"]
        positions = [
            np.einsum("twc,wcn->tn", x[:, at : at + width], kernel) + bias
            for at in range(x.shape[1] - width + 1)
        ]
        parts.append(activation(np.max(positions, axis=0)))
    y = np.concatenate(parts, axis=-1)
    for i in range(opts["char_cnn"].get("n_highway", 0)):
        gate = sigmoid(y @ w[f"CNN_high_{i}/W_carry"] + w[f"CNN_high_{i}/b_carry"])
        new = np.maximum(y @ w[f"CNN_high_{i}/W_transform"] + w[f"CNN_high_{i}/b_transform"], 0)
        y = gate * new + (1 - gate) * y
    if "CNN_proj/W_proj" in w:
        y = y @ w["CNN_proj/W_proj"] + w["CNN_proj/b_proj"]
    return y


def lstm(x, opts, w, direction, layer, state=None):
    """One layer over `(time, dim)`, in the order given; returns outputs and `(hidden, cell)`."""
    o = opts["lstm"]
    root = f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell/"
    kernel, bias, projection = w[root + "W_0"], w[root + "B"], w.get(root + "W_P_0")
    h, c = state or (np.zeros(o["projection_dim"]), np.zeros(o["dim"]))
    outputs = []
    for step in x:
        i, j, f, out = np.split(np.concatenate([step, h]) @ kernel.astype("float64") + bias, 4)
        c = sigmoid(f + 1.0) * c + sigmoid(i) * np.tanh(j)
        if o.get("cell_clip"):
            c = np.clip(c, -o["cell_clip"], o["cell_clip"])
        h = sigmoid(out) * np.tanh(c)
        if projection is not None:
            h = h @ projection
            if o.get("proj_clip"):
                h = np.clip(h, -o["proj_clip"], o["proj_clip"])
        outputs.append(h)
    return np.array(outputs), (h, c)


def bilm(tokens, opts, w, states=None):
    """All layers of one sentence, boundaries kept: `(layers + 1, time + 2, 2 * projection)`.

    `states` is a dict that carries the LSTM states from call to call, or None for zeros.
    """
    max_characters = opts["char_cnn"]["max_characters_per_token"]
    x = char_cnn(token_ids(tokens, max_characters), opts, w)
    layers = [[x, x]]
    skip = opts["lstm"].get("use_skip_connections") in (True, "true")
    for layer in range(opts["lstm"].get("n_layers", 1)):
        pair = []
        for direction in range(2):
            given = layers[-1][direction]
            order = slice(None, None, -1 if direction else None)
            key = (direction, layer)
            state = states.get(key) if states is not None else None
            y, final = lstm(given[order], opts, w, direction, layer, state)
            if states is not None:
                states[key] = final
            pair.append(y[order] + given if skip and layer else y[order])
        layers.append(pair)
    return np.array([np.concatenate(pair, axis=-1) for pair in layers])


def manylangs_ids(tokens, characters, words, max_characters=50):
    """`(word numbers, rows of character numbers)` of a sentence, as ELMoForManyLangs makes them.

    The dictionaries are `{entry: number}` or None.
    """
    tokens = ["<bos>", *(token[: max_characters - 2] for token in tokens), "<eos>"]
    numbers = words and [words.get(token, words["<oov>"]) for token in tokens]
    rows = []
    for token in tokens if characters else []:
        # Its marks are the wrong way round.
        begin, end = characters["<eow>"], characters["<bow>"]
        inside = [token] if token in ("<bos>", "<eos>") else list(token)
        row = [begin, *(characters.get(c, characters["<oov>"]) for c in inside), end]
        rows.append(row + [characters["<pad>"]] * (max_characters - len(row)))
    return numbers, np.array(rows)


def manylangs(tokens, config, embedder, encoder, characters, words):
    """All layers of one sentence, boundaries kept, from the tensors of ELMoForManyLangs."""
    cnn, lstm_options = config["token_embedder"], config["encoder"]
    numbers, rows = manylangs_ids(tokens, characters, words, cnn["max_characters_per_token"])
    parts = []
    if numbers:
        parts.append(embedder["word_emb_layer.embedding.weight"].astype("float64")[numbers])
    if len(rows):
        x = embedder["char_emb_layer.embedding.weight"].astype("float64")[rows]
        activation = np.tanh if cnn["activation"] == "tanh" else lambda v: np.maximum(v, 0)
        pooled = []
        for i, (width, _) in enumerate(cnn["filters"]):
            kernel, bias = embedder[f"convolutions.{i}.weight"], embedder[f"convolutions.{i}.bias"]
            at = range(x.shape[1] - width + 1)
            positions = [np.einsum("twc,ncw->tn", x[:, a : a + width], kernel) + bias for a in at]
            pooled.append(activation(np.max(positions, axis=0)))
        y = np.concatenate(pooled, axis=-1)
        for i in range(cnn["n_highway"]):
            root = f"highways._layers.{i}."
            both = y @ embedder[root + "weight"].T.astype("float64") + embedder[root + "bias"]
            new, gate = np.split(both, 2, axis=-1)
            gate = sigmoid(gate)
            y = gate * y + (1 - gate) * np.maximum(new, 0)
        parts.append(y)
    x = np.concatenate(parts, axis=-1) @ embedder["projection.weight"].T.astype("float64")
    x = x + embedder["projection.bias"]
    layers = [[x, x]]
    for j in range(lstm_options["n_layers"]):
        pair = []
        for direction, name in enumerate(("forward", "backward")):
            w = {k: encoder[f"{name}_layer_{j}.{k}"] for k in _MANYLANGS_LSTM}
            order = slice(None, None, -1 if direction else None)
            given = layers[-1][direction]
            y = _manylangs_lstm(given[order], w, lstm_options)[order]
            pair.append(y + given if j else y)
        layers.append(pair)
    return np.array([np.concatenate(pair, axis=-1) for pair in layers])


_MANYLANGS_LSTM = (
    "input_linearity.weight",
    "state_linearity.weight",
    "state_linearity.bias",
    "state_projection.weight",
)


def _manylangs_lstm(x, w, options):
    given, recurrent, bias, projection = (w[k].astype("float64") for k in _MANYLANGS_LSTM)
    h, c = np.zeros(options["projection_dim"]), np.zeros(options["dim"])
    outputs = []
    for step in x:
        i, f, g, o = np.split(given @ step + recurrent @ h + bias, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        if options.get("cell_clip"):
            c = np.clip(c, -options["cell_clip"], options["cell_clip"])
        h = projection @ (sigmoid(o) * np.tanh(c))
        if options.get("proj_clip"):
            h = np.clip(h, -options["proj_clip"], options["proj_clip"])
        outputs.append(h)
    return np.array(outputs)
