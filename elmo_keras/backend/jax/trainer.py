"""The training step on JAX; see `elmo_keras.backend.tensorflow.trainer` for the contract."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras

from elmo_keras.backend.defaults import Adagrad as Adagrad
from elmo_keras.backend.defaults import Adam as Adam


def training_step(
    loss: Callable[[Any, Any], tuple[Any, Any, Any]],
    weights: list[Any],
    optimizer: keras.optimizers.Optimizer,
    max_norm: float,
) -> Callable[[Any, Any], tuple[Any, Any, Any]]:
    """Compiles a training step, once for each size of a batch."""
    optimizer.build(weights)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(values: Any, slots: Any, batch: Any, states: Any) -> tuple[Any, ...]:
        def with_weights(values: Any) -> tuple[Any, tuple[Any, Any]]:
            with keras.StatelessScope(state_mapping=list(zip(weights, values))):
                value, sums, new_states = loss(batch, states)
            return value, (sums, new_states)

        (_, (sums, new_states)), gradients = jax.value_and_grad(with_weights, has_aux=True)(values)
        norm = jnp.sqrt(sum(jnp.sum(jnp.square(gradient)) for gradient in gradients))
        scale = max_norm / jnp.maximum(norm, max_norm)
        gradients = [gradient * scale for gradient in gradients]
        values, slots = optimizer.stateless_apply(slots, gradients, values)
        return values, slots, sums, norm, new_states

    def function(batch: Any, states: Any) -> tuple[Any, Any, Any]:
        variables = [*weights], [*optimizer.variables]
        values, slots, sums, norm, states = step(
            *([variable.value for variable in part] for part in variables), batch, states
        )
        for part, new in zip(variables, (values, slots)):
            for variable, value in zip(part, new):
                variable.assign(value)
        return sums, norm, states

    return function
