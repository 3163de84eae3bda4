"""PyTorch's side of the kernels."""

import torch


def require(condition, message):
    """Raises `ValueError(message)`; under `torch.compile` and on the meta device no value exists."""
    if torch.compiler.is_compiling() or condition.device.type == "meta":
        return
    if not bool(condition):
        raise ValueError(message)


def in_distribution_strategy():
    """Always False: `tf.distribute` is TensorFlow's."""
    return False
