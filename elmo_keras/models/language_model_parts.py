"""Parts of a language model: its top layer, its compiled function, the checks of its arguments."""

import itertools
import re
from typing import Any

import keras
import numpy as np

from elmo_keras import backend
from elmo_keras.encoders.elmo_layer import ElmoLayer
from elmo_keras.layers.finite import check_finite
from elmo_keras.models.preprocessing.inputs import read_inputs
from elmo_keras.text.bucketing import bucket, places_by_length
from elmo_keras.text.containers import is_missing
from elmo_keras.text.conversion import pad_checked

# Logits of one direction that are made at once, at most: 128 MB. And words, for the LSTMs' sake.
_MAX_LOGITS = 2**25
MAX_TOKENS = 4096


def top_layer(elmo):
    """An ElmoLayer of the same parts that gives the last layer, sentence boundaries among it."""
    if not isinstance(elmo, ElmoLayer):
        raise ValueError(
            f"`elmo` must be an ElmoLayer. Received: {elmo!r} of type {type(elmo).__name__}. Load "
            "a pretrained model with BidirectionalLanguageModel.from_preset(source)."
        )
    elmo.token_encoder.numpy_ids([])  # It raises an error if the encoder takes ids alone.
    layer = ElmoLayer(
        elmo.token_encoder,
        elmo.bilstm,
        output="top",
        keep_boundaries=True,
        tokenizer=elmo.tokenizer,
        allow_spaces=elmo.allow_spaces,
        dtype=elmo.dtype_policy,
        name="elmo",
    )
    if not elmo.trainable:  # True would free the parts that are frozen for themselves
        layer.trainable = False
    return layer


class Compiled:
    """A model as a function of numpy arrays that runs once, not on each replica.

    Args:
        model: the language model.
    """

    def __init__(self, model: keras.Model):
        self._model = model
        self._function: Any = None
        self._variables: list[Any] = []

    def __call__(self, inputs):
        variables = self._model.variables
        # Quantization and LoRA put other variables in place of those that were traced.
        is_known = len(variables) == len(self._variables)
        if not is_known or any(a is not b for a, b in zip(variables, self._variables)):
            shapes = [(tuple(x.shape[1:]), x.dtype) for x in self._model.inputs]
            self._function = backend.inference(self._model, *shapes)
            self._variables = variables
        return keras.ops.convert_to_numpy(self._function(inputs))

    def by_length(self, rows, batch_size=128, verbose=0):
        """`(places, log probabilities)` of batches of sentences of similar length."""
        batch_size = 128 if batch_size is None else batch_size
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"`batch_size` must be a positive int. Received: {batch_size!r}")
        bar = keras.utils.Progbar(len(rows), verbose=check_verbose(verbose))
        lengths = [len(row) + 2 for row in rows]
        most = min(MAX_TOKENS, _MAX_LOGITS // len(self._model.word_vocabulary))
        for places in places_by_length(lengths, most, batch_size):
            log_probabilities = self(self._to_inputs([rows[place] for place in places]))
            check_finite([log_probabilities], self._model, "log-probabilities")
            yield places, log_probabilities
            bar.add(len(places))

    def _to_inputs(self, rows):
        """The inputs of the graph for token lists."""
        if self._model.starts_at_strings:
            return pad_checked(rows)
        longest = max(1, *map(len, rows))
        if keras.backend.backend() == "jax":
            longest = bucket(longest)
        encoder = self._model.elmo.token_encoder
        ids = np.zeros((len(rows), longest, *encoder.ids_shape), "int32")
        words = np.zeros((len(rows), longest), "int32")
        is_word = np.arange(longest) < np.array([[len(row)] for row in rows])
        tokens = list(itertools.chain(*rows))
        ids[is_word] = encoder.numpy_ids(tokens)
        words[is_word] = self._model.word_vocabulary.tokens_to_indices(tokens) + 1
        return [ids, words]


def read_sentences(x: Any, model, name: str) -> list[list[str]]:
    """The token lists of sentences or of token lists.

    Args:
        x: list of sentences or of token lists.
        model: the language model, for its tokenizer.
        name: str. The argument in an error.

    Raises:
        ValueError: if `x` holds ids or anything else that is not text.
    """
    if _is_numeric(x):
        raise _no_ids(name, type(x).__name__)
    rows = []
    for row in read_inputs(x, model.elmo):
        if not isinstance(row, list):
            raise _no_ids(name, type(x).__name__)
        rows.append(row)
    return rows


def _is_numeric(x):
    """Whether the first element of nested lists, or an array or tensor, is a number."""
    while isinstance(x, (list, tuple)):
        x = next((item for item in x if not _is_nothing(item)), None)
    if isinstance(x, (int, float)):
        return True
    return bool(re.search("int|float|bool|complex", str(getattr(x, "dtype", ""))))


def _is_nothing(item):
    return is_missing(item) or isinstance(item, (list, tuple)) and not item


def _no_ids(name, received):
    return ValueError(
        f"`{name}` must hold sentences (str) or token lists (lists of str). Received: numbers, in "
        f"a {received}. A language model predicts words, which ids do not tell: pass the text or "
        "the tokens that the ids were made of."
    )


def check_verbose(verbose: str | int) -> int:
    """The verbosity of a progress bar, 0, 1 or 2; `"auto"` is 1.

    Raises:
        ValueError: for another value.
    """
    if verbose not in ("auto", 0, 1, 2):
        raise ValueError(f"`verbose` must be 'auto', 0, 1 or 2. Received: verbose={verbose!r}")
    return 1 if verbose == "auto" else int(verbose)


def not_trained_by_keras(method: str) -> ValueError:
    """The error of a method of `keras.Model` that a language model does not offer."""
    return ValueError(
        "A BidirectionalLanguageModel must be trained on windows of a corpus, with LSTM states "
        f"that continue from window to window. Received: a call of `{method}`, which cannot do "
        "that. Train with `elmo_keras.training.pretrain(model, corpus, directory, options)` or "
        "`elmo-keras pretrain`; measure with `evaluate` or `perplexity`."
    )
