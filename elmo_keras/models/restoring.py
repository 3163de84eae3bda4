"""How models that are made around an ElmoLayer are rebuilt."""

import keras


def from_config(cls, config, custom_objects=None):
    """A model of a class whose `get_config` has the layer as `elmo`.

    Only a model frozen as a whole is frozen as a whole again: its parts know for themselves.
    """
    config = dict(config)
    trainable = config.pop("trainable", True)
    config["elmo"] = keras.saving.deserialize_keras_object(
        config["elmo"], custom_objects=custom_objects
    )
    model = cls(**config)
    if not trainable:
        model.trainable = False
    return model
