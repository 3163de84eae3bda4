"""Arguments of `compile` of the task models."""

from typing import Any

import keras

# Of the whole model; `fine_tuning` trains the head alone with a higher one.
LEARNING_RATE = 3e-4


def optimizer(
    argument: Any, policy: keras.DTypePolicy, auto_scale_loss: bool
) -> keras.optimizers.Optimizer | None:
    """Creates the optimizer of a task model.

    Args:
        argument: `"auto"` for Adam with a learning rate of 3e-4 and gradients clipped to a global
            norm of 5; or an optimizer as `keras.Model.compile` accepts it.
        policy: dtype policy of the model's backbone.
        auto_scale_loss: whether to scale the loss of a model in mixed_float16.
    """
    if is_auto(argument):
        argument = keras.optimizers.Adam(LEARNING_RATE, global_clipnorm=5.0)
    result = keras.optimizers.get(argument)
    # Keras checks the policy of the model, which may differ from the policy of its layers.
    is_scaled = isinstance(result, keras.optimizers.LossScaleOptimizer)
    if policy.name == "mixed_float16" and auto_scale_loss and result and not is_scaled:
        return keras.optimizers.LossScaleOptimizer(result, name="loss_scale_optimizer")
    return result


def is_auto(argument: Any) -> bool:
    """Whether an argument is `"auto"`."""
    return isinstance(argument, str) and argument == "auto"


def is_same_loss(loss: Any, own: keras.losses.Loss | None) -> bool:
    """Whether a loss is the head's: `"auto"`, or an equal loss from a saved compile config.

    Args:
        loss: argument of `compile`.
        own: the head's Keras loss, or `None`.
    """
    if is_auto(loss):
        return True
    return own is not None and type(loss) is type(own) and loss.get_config() == own.get_config()
