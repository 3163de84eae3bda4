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
