"""Task models and the language model."""

from elmo_keras.models.bidirectional_language_model import (
    BidirectionalLanguageModel as BidirectionalLanguageModel,
)
from elmo_keras.models.elmo_tagger import ElmoTagger as ElmoTagger
from elmo_keras.models.elmo_task import ElmoTask as ElmoTask
from elmo_keras.models.elmo_text_classifier import ElmoTextClassifier as ElmoTextClassifier
from elmo_keras.models.heads import DenseHead as DenseHead
from elmo_keras.models.heads import Head as Head
from elmo_keras.models.preprocessing.preprocessor import Preprocessor as Preprocessor
from elmo_keras.models.task_inputs import task_inputs as task_inputs
