"""The training step on PyTorch; see `elmo_keras.backend.tensorflow.trainer` for the contract."""

from collections.abc import Callable
from typing import Any

import keras
import torch

from elmo_keras.backend.defaults import Adagrad as Adagrad
from elmo_keras.backend.defaults import Adam as Adam


def training_step(
    loss: Callable[[Any, Any], tuple[Any, Any, Any]],
    weights: list[Any],
    optimizer: keras.optimizers.Optimizer,
    max_norm: float,
) -> Callable[[Any, Any], tuple[Any, Any, Any]]:
    """Returns a training step that runs eagerly."""
    optimizer.build(weights)

    def step(batch: Any, states: Any) -> tuple[Any, Any, Any]:
        for weight in weights:
            weight.value.grad = None
        value, sums, states = loss(batch, states)
        value.backward()
        gradients = [
            torch.zeros_like(weight.value) if weight.value.grad is None else weight.value.grad
            for weight in weights
        ]
        with torch.no_grad():
            norm = torch.sqrt(sum(torch.sum(gradient**2) for gradient in gradients))
            scale = max_norm / torch.clamp(norm, min=max_norm)
            optimizer.apply([gradient * scale for gradient in gradients], weights)
        return sums.detach(), norm, [state.detach() for state in states]

    return step
