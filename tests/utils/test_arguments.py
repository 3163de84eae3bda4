"""Checks of keyword arguments."""

import inspect

import keras
import pytest

from elmo_keras.utils.arguments import arguments_of, check_arguments, check_model_arguments


class Base:
    def __init__(self, units, *, activation=None):
        pass


class PassesOn(Base):
    def __init__(self, rate, **kwargs):
        super().__init__(**kwargs)


class PassesNothingOn(Base):
    def __init__(self, rate):
        super().__init__(units=1)


class WithoutConstructor(PassesOn):
    pass


class Positional(Base):
    def __init__(self, *layers, rate=0.1):
        super().__init__(units=1)


@pytest.mark.parametrize(
    "cls, expected",
    [
        (Base, {"units", "activation"}),
        (PassesOn, {"rate", "units", "activation"}),
        (PassesNothingOn, {"rate"}),
        (WithoutConstructor, {"rate", "units", "activation"}),
        (Positional, {"rate"}),
    ],
)
def test_arguments_of(cls, expected):
    assert arguments_of(cls) == expected


def test_arguments_of_a_keras_layer():
    class Layer(keras.layers.Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)

    base = set(inspect.signature(keras.layers.Layer.__init__).parameters) - {"self", "kwargs"}
    assert arguments_of(Layer) == {"units"} | base
    assert {"name", "dtype", "trainable"} <= base


class TestCheckArguments:
    @pytest.mark.parametrize("options", [{}, {"rate": 1}, {"rate": 1, "units": None}])
    def test_known(self, options):
        check_arguments(options, ["units", "rate"], "Owner")

    def test_similar_name(self):
        with pytest.raises(ValueError) as error:
            check_arguments({"raet": 0.5, "units": 3}, ["units", "rate"], "Owner")
        assert str(error.value) == (
            "The options of Owner must be among rate, units. Received: raet=0.5. Did you mean rate?"
        )

    def test_other_names(self):
        with pytest.raises(ValueError, match="Received: xyz=1, zzz='a'. Leave it out, or check"):
            check_arguments({"zzz": "a", "xyz": 1}, ["units", "rate"], "Owner")


class Model:
    def __init__(self, labels, pooling="mean", **kwargs):
        pass


class TestCheckModelArguments:
    @pytest.mark.parametrize("kwargs", [{}, {"name": "a"}, {"trainable": False, "name": "a"}])
    def test_arguments_of_every_model(self, kwargs):
        check_model_arguments(Model, kwargs)

    @pytest.mark.parametrize(
        "kwargs, advice",
        [({"poolin": "max"}, "Did you mean pooling"), ({"xyz": 1}, "Leave it out")],
    )
    def test_unknown(self, kwargs, advice):
        with pytest.raises(ValueError, match=f"The options of Model must be among .*{advice}"):
            check_model_arguments(Model, kwargs)
