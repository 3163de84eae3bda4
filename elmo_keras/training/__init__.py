"""Pretraining of a bidirectional language model on text files."""

from elmo_keras.training import progress as progress
from elmo_keras.training.corpus import Corpus as Corpus
from elmo_keras.training.corpus import write_tokenized as write_tokenized
from elmo_keras.training.pretraining import pretrain as pretrain
from elmo_keras.training.pretraining_options import PretrainingOptions as PretrainingOptions
from elmo_keras.training.teacher import CallableTeacher as CallableTeacher
from elmo_keras.training.teacher import ElmoTeacher as ElmoTeacher
from elmo_keras.training.teacher import Teacher as Teacher
from elmo_keras.training.teacher import TokenTargets as TokenTargets
from elmo_keras.training.teacher_sentences import LiveTeacher as LiveTeacher
from elmo_keras.training.teacher_shards import TeacherShards as TeacherShards
from elmo_keras.training.teacher_writer import write_teacher_shards as write_teacher_shards
from elmo_keras.training.transformer_teacher import TransformerTeacher as TransformerTeacher
from elmo_keras.training.vocabulary import VocabularyReport as VocabularyReport
from elmo_keras.training.vocabulary import build_vocabulary as build_vocabulary
from elmo_keras.training.vocabulary import write_vocabulary as write_vocabulary
