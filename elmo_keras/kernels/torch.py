"""PyTorch's side of the kernels."""

import torch


def require(condition, message):
    """Raises `ValueError(message)`, except where `torch.compile` or "meta" have no values."""
    if torch.compiler.is_compiling() or condition.device.type == "meta":
        return
    if not bool(condition):
        raise ValueError(message)


def in_distribution_strategy():
    """Always False: `tf.distribute` is TensorFlow's."""
    return False


def adopt(array):
    """A tensor in the memory of an array that nobody else writes to."""
    return torch.from_numpy(array)
