"""Small labelled data sets, as plain Python lists.

The files of `load_sst2`, `load_trec` and `load_ud_ewt` are downloaded from their public origin on
the first call, or read from the folder that the environment variable `ELMO_KERAS_DATA` names.
`load_own_sentiment` comes with the package.
"""

from elmo_keras.datasets.dataset_unavailable import DatasetUnavailable as DatasetUnavailable
from elmo_keras.datasets.own_sentiment import load_own_sentiment as load_own_sentiment
from elmo_keras.datasets.splits import Split as Split
from elmo_keras.datasets.splits import Splits as Splits
from elmo_keras.datasets.sst2 import load_sst2 as load_sst2
from elmo_keras.datasets.trec import load_trec as load_trec
from elmo_keras.datasets.ud_ewt import load_ud_ewt as load_ud_ewt
