"""ELMo as Keras layers: from raw text to a trained model and a SavedModel."""

import importlib
from typing import Any

from elmo_keras import encoders as encoders
from elmo_keras import layers as layers
from elmo_keras import metrics as metrics
from elmo_keras import models as models
from elmo_keras import text as text
from elmo_keras.encoders import ElmoLayer as ElmoLayer
from elmo_keras.encoders import StaticEmbedding as StaticEmbedding
from elmo_keras.encoders import TextEncoder as TextEncoder
from elmo_keras.models import BidirectionalLanguageModel as BidirectionalLanguageModel
from elmo_keras.models import ElmoTagger as ElmoTagger
from elmo_keras.models import ElmoTextClassifier as ElmoTextClassifier

__version__ = "0.1.0"

# Imported when first used: nobody pays for keras-tuner or h5py who does not need them.
_LAZY = ("checkpoints", "convert", "datasets", "presets", "serving", "training", "tuning")


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return importlib.import_module(f"elmo_keras.{name}")
    raise AttributeError(f"module 'elmo_keras' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
