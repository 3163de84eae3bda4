"""Small labelled data sets, as plain Python lists.

`load_own_sentiment` comes with the package. The files of the other loaders are downloaded from
their public origin on the first call, or read from the folder that the environment variable
`ELMO_KERAS_DATA` names.
"""

from elmo_keras.datasets.chnsenticorp import load_chnsenticorp as load_chnsenticorp
from elmo_keras.datasets.conll2000 import load_conll2000 as load_conll2000
from elmo_keras.datasets.dataset_unavailable import DatasetUnavailable as DatasetUnavailable
from elmo_keras.datasets.own_sentiment import load_own_sentiment as load_own_sentiment
from elmo_keras.datasets.splits import Split as Split
from elmo_keras.datasets.splits import Splits as Splits
from elmo_keras.datasets.sst2 import load_sst2 as load_sst2
from elmo_keras.datasets.trec import load_trec as load_trec
from elmo_keras.datasets.ud_ewt import load_ud_ewt as load_ud_ewt
from elmo_keras.datasets.waimai import load_waimai as load_waimai
from elmo_keras.datasets.weibo_ner import load_weibo_ner as load_weibo_ner
from elmo_keras.datasets.wic import load_wic as load_wic
from elmo_keras.datasets.wnut17 import load_wnut17 as load_wnut17
from elmo_keras.datasets.word_pair import WordPair as WordPair
