"""Parts of a language model: its top layer, its compiled function, checks of its arguments."""

import itertools
import re
from collections.abc import Iterator
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

# Limits of a batch: logits of one direction (128 MB), and tokens, because of the LSTMs' memory.
_MAX_LOGITS = 2**25
MAX_TOKENS = 4096


def top_layer(elmo: ElmoLayer) -> ElmoLayer:
    """Creates an ElmoLayer that shares another one's parts and returns the last LSTM layer.

    The output includes sentence boundaries.

    Args:
        elmo: `ElmoLayer`.

    Raises:
        ValueError: if `elmo` is not an ElmoLayer, or if its token encoder accepts only ids.
    """
    if not isinstance(elmo, ElmoLayer):
        raise ValueError(
            f"`elmo` must be an ElmoLayer. Received: {elmo!r} of type {type(elmo).__name__}. Load "
            "a pretrained model with BidirectionalLanguageModel.from_preset(source)."
        )
    elmo.token_encoder.numpy_ids([])  # It raises an error if the encoder accepts only ids.
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
    if not elmo.trainable:  # Setting True would unfreeze parts that are frozen themselves.
        layer.trainable = False
    return layer


class Compiled:
    """A language model as a compiled function of numpy arrays, for inference.

    Under a `tf.distribute` strategy it runs once, not on each replica.

    Args:
        model: the language model.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._function: Any = None
        self._variables: list[Any] = []

    def __call__(self, inputs: Any) -> np.ndarray:
        variables = self._model.variables
        # Quantization and LoRA replace the variables that were traced.
        is_known = len(variables) == len(self._variables)
        if not is_known or any(a is not b for a, b in zip(variables, self._variables)):
            shapes = [(tuple(x.shape[1:]), x.dtype) for x in self._model.inputs]
            self._function = backend.inference(self._model, *shapes)
            self._variables = variables
        return keras.ops.convert_to_numpy(self._function(inputs))

    def by_length(
        self, rows: list[list[str]], batch_size: int | None = 128, verbose: str | int = 0
    ) -> Iterator[tuple[Any, np.ndarray]]:
        """Computes the outputs of batches of sentences of similar length.

        Args:
            rows: token lists.
            batch_size: int. Maximum number of sentences in a batch; `None` is 128. Defaults to
                `128`.
            verbose: as in `BidirectionalLanguageModel.predict`. Defaults to `0`.

        Yields:
            Indices of sentences, and their log-probabilities `(len(indices), time + 2, 2)`.

        Raises:
            ValueError: if an argument is out of range, or an output is not finite.
        """
        batch_size = 128 if batch_size is None else batch_size
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(
                f"`batch_size` must be a positive int. Received: batch_size={batch_size!r}. Pass "
                "128, for example."
            )
        bar = keras.utils.Progbar(len(rows), verbose=check_verbose(verbose))
        lengths = [len(row) + 2 for row in rows]
        max_tokens = min(MAX_TOKENS, _MAX_LOGITS // len(self._model.word_vocabulary))
        for indices in places_by_length(lengths, max_tokens, batch_size):
            log_probabilities = self(self._to_inputs([rows[index] for index in indices]))
            check_finite([log_probabilities], self._model, "log-probabilities")
            yield indices, log_probabilities
            bar.add(len(indices))

    def _to_inputs(self, rows: list[list[str]]) -> Any:
        """Converts token lists to the inputs of the graph."""
        if not self._model.starts_at_ids:
            return pad_checked(rows)
        longest = max(1, *map(len, rows))
        if keras.backend.backend() == "jax":
            longest = bucket(longest)
        words = np.zeros((len(rows), longest), "int32")
        is_word = np.arange(longest) < np.array([[len(row)] for row in rows])
        tokens = list(itertools.chain(*rows))
        words[is_word] = self._model.word_vocabulary.tokens_to_indices(tokens) + 1
        return [self._model.elmo.padded_ids(rows, longest), words]


def read_sentences(x: Any, model: Any, name: str) -> list[list[str]]:
    """Converts sentences or token lists to token lists.

    Args:
        x: list of sentences or of token lists.
        model: the language model, whose tokenizer splits sentences.
        name: str. Name of the argument in an error.

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


def _is_numeric(x: Any) -> bool:
    """Whether the first element of nested lists, or of an array or tensor, is a number."""
    while isinstance(x, (list, tuple)):
        x = next((item for item in x if not _is_missing_or_empty(item)), None)
    if isinstance(x, (int, float)):
        return True
    return bool(re.search("int|float|bool|complex", str(getattr(x, "dtype", ""))))


def _is_missing_or_empty(item: Any) -> bool:
    return is_missing(item) or isinstance(item, (list, tuple)) and not item


def _no_ids(name: str, received: str) -> ValueError:
    return ValueError(
        f"`{name}` must hold sentences (str) or token lists (lists of str). Received: numbers, in "
        f"a {received}. A language model predicts words, which cannot be derived from ids: pass "
        "the text or the tokens."
    )


def check_verbose(verbose: str | int) -> int:
    """Checks the verbosity of a progress bar.

    Args:
        verbose: `"auto"`, 0, 1 or 2.

    Returns:
        0, 1 or 2; `"auto"` is 1.

    Raises:
        ValueError: for another value.
    """
    if verbose not in ("auto", 0, 1, 2):
        raise ValueError(
            f"`verbose` must be 'auto', 0, 1 or 2. Received: verbose={verbose!r}. Pass 0 for no "
            "output."
        )
    return 1 if verbose == "auto" else int(verbose)


def not_trained_by_keras(method: str) -> ValueError:
    """Returns the error of a method of `keras.Model` that a language model does not support.

    Args:
        method: str. Name of the method.
    """
    return ValueError(
        "A BidirectionalLanguageModel must be trained on windows of a corpus, with LSTM states "
        f"that are carried from window to window. Received: a call of `{method}`, which does not "
        "carry them. Train with `elmo_keras.training.pretrain(model, corpus, directory, options)` "
        "or `elmo-keras pretrain`; evaluate with `evaluate` or `perplexity`."
    )
