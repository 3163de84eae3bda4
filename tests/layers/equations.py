"""Equations in numpy that the tests of several layers compare with."""

import numpy as np

from tests.numpy_reference import sigmoid
from tests.small_models import to_numpy


def weights_of(layer):
    """The arrays of a layer's weights by their paths inside the layer."""
    return {w.path.split("/", 1)[-1]: to_numpy(w) for w in layer.weights}


def lstm_step(x, h, c, w, layer):
    """One step of a `ProjectedLSTMCell` with the weights `w`: the new hidden and cell state."""
    z = x @ w["input_gates/kernel"] + w["input_gates/bias"] + h @ w["recurrent_gates/kernel"]
    i, f, g, o = np.split(z, 4, axis=-1)
    c = sigmoid(f + layer.forget_bias) * c + sigmoid(i) * np.tanh(g)
    c = c if layer.cell_clip is None else np.clip(c, -layer.cell_clip, layer.cell_clip)
    h = sigmoid(o) * np.tanh(c)
    if "projection/kernel" in w:
        h = h @ w["projection/kernel"]
        clip = layer.projection_clip
        h = h if clip is None else np.clip(h, -clip, clip)
    return h, c


def log_softmax(x, layer):
    """The log probabilities of a `WordSoftmax`, in float64."""
    kernel, bias = (to_numpy(weight).astype("float64") for weight in layer.weights)
    logits = x.astype("float64") @ kernel.T + bias
    return logits - np.log(np.sum(np.exp(logits), axis=-1, keepdims=True))
