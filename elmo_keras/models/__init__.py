from elmo_keras.models.bidirectional_language_model import (
    BidirectionalLanguageModel as BidirectionalLanguageModel,
)
from elmo_keras.models.elmo_tagger import ElmoTagger as ElmoTagger
from elmo_keras.models.elmo_task import ElmoTask as ElmoTask
from elmo_keras.models.elmo_text_classifier import ElmoTextClassifier as ElmoTextClassifier
