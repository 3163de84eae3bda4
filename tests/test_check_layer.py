"""The check of all layers finds a layer that its config does not describe."""

import keras
import pytest

from tests.check_layer import check_config


class Scaled(keras.layers.Layer):
    """A layer with an option, which a subclass forgets."""

    def __init__(self, scale=None, **kwargs):
        super().__init__(**kwargs)
        self.keep(scale)

    def keep(self, scale):
        self.scale = scale

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


class ForgetsTheValue(Scaled):
    def get_config(self):
        return {**super().get_config(), "scale": None}


class ForgetsTheName(ForgetsTheValue):
    def keep(self, scale):
        if scale is None:
            self.scale_of_all = 1.0
        self.scale = None


def test_a_layer_that_keeps_its_option_passes():
    check_config(Scaled(2.5))
    check_config(Scaled())


@pytest.mark.parametrize("cls", [ForgetsTheValue, ForgetsTheName])
def test_a_layer_that_loses_its_option_fails(cls):
    with pytest.raises(AssertionError):
        check_config(cls(2.5))
