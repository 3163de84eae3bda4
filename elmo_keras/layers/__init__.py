"""ELMo's building blocks as Keras layers, for TensorFlow, JAX and PyTorch."""

from elmo_keras.layers.bilstm_stack import BiLSTMStack as BiLSTMStack
from elmo_keras.layers.char_cnn import CharCNN as CharCNN
from elmo_keras.layers.code_point_encoder import CodePointEncoder as CodePointEncoder
from elmo_keras.layers.highway import Highway as Highway
from elmo_keras.layers.language_model_head import LanguageModelHead as LanguageModelHead
from elmo_keras.layers.masked_max_pooling import MaskedMaxPooling as MaskedMaxPooling
from elmo_keras.layers.masked_mean_pooling import MaskedMeanPooling as MaskedMeanPooling
from elmo_keras.layers.masking import FillPadding as FillPadding
from elmo_keras.layers.masking import MaskOf as MaskOf
from elmo_keras.layers.projected_lstm_cell import ProjectedLSTMCell as ProjectedLSTMCell
from elmo_keras.layers.scalar_mix import ScalarMix as ScalarMix
from elmo_keras.layers.token_encoder import TokenEncoder as TokenEncoder
from elmo_keras.layers.word_embedding import WordEmbedding as WordEmbedding
from elmo_keras.layers.word_softmax import WordSoftmax as WordSoftmax
