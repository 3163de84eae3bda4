"""Pretraining of a bidirectional language model on text files."""

from elmo_keras.training import progress as progress
from elmo_keras.training.corpus import Corpus as Corpus
from elmo_keras.training.corpus import write_tokenized as write_tokenized
from elmo_keras.training.pretraining import pretrain as pretrain
from elmo_keras.training.pretraining_options import PretrainingOptions as PretrainingOptions
from elmo_keras.training.vocabulary import VocabularyReport as VocabularyReport
from elmo_keras.training.vocabulary import build_vocabulary as build_vocabulary
from elmo_keras.training.vocabulary import write_vocabulary as write_vocabulary
