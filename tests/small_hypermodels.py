"""Search spaces of small models, and data for their trials."""

import keras_tuner
import numpy as np
import pytest

from elmo_keras import ElmoLayer, layers

KERAS_TUNER_WARNINGS = [
    # keras-tuner 1.4.8, in its `synchronized`.
    pytest.mark.filterwarnings(r"ignore:currentThread\(\) is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings(r"ignore:getName\(\) is deprecated:DeprecationWarning"),
    # scikit-learn, whose Gaussian process BayesianOptimization fits to few points.
    pytest.mark.filterwarnings("ignore:The optimal value found for dimension"),
]

TEXTS = ["A lovely film.", "Awful!", "I liked it.", "No, not again."]
CLASSES = ["positive", "negative", "positive", "negative"]
LABELS = ["negative", "positive"]
SENTENCES = [["A", "cat", "sat"], ["Cats", "sit"]]
TAGS = [["DET", "NOUN", "VERB"], ["NOUN", "VERB"]]


def make_elmo(**options):
    return ElmoLayer(
        layers.CharCNN(char_embedding_dim=3, filters=[(1, 4)], num_highways=1, projection_dim=4),
        layers.BiLSTMStack(num_layers=1, units=5, projection_dim=4),
        **options,
    )


def built_elmo():
    """Returns an ElmoLayer with weights, and with a mix that is not a new one."""
    layer = make_elmo(name="elmo")
    layer(["Build."])
    layer.scalar_mixes[0].gamma.assign(2.0)
    return layer


def run_eagerly(hypermodel):
    """Makes a hypermodel build eager models: small ones train faster than they are traced."""
    build = hypermodel.build

    def build_eager(hp):
        model = build(hp)
        model.run_eagerly = True
        return model

    hypermodel.build = build_eager
    return hypermodel


def hyperparameters(**values):
    """Returns HyperParameters with values that are known before a model is built."""
    hp = keras_tuner.HyperParameters()
    hp.values.update(values)
    return hp


def assert_same_weights(layer, expected):
    assert len(layer.weights) == len(expected.weights) > 0
    for actual_array, expected_array in zip(layer.get_weights(), expected.get_weights()):
        np.testing.assert_array_equal(actual_array, expected_array)
