"""Conversion of strings to integers, the only place of elmo_keras that handles strings."""

from elmo_keras.text.bucketing import batch_by_length as batch_by_length
from elmo_keras.text.character_ids import CharacterIds as CharacterIds
from elmo_keras.text.code_point_ids import CodePointIds as CodePointIds
from elmo_keras.text.conversion import pad as pad
from elmo_keras.text.conversion import to_tensor as to_tensor
from elmo_keras.text.sentence_splitter import split_sentences as split_sentences
from elmo_keras.text.tokenizer import Tokenizer as Tokenizer
from elmo_keras.text.word_ids import WordIds as WordIds
