"""Teachers of pretraining: models that compute target vectors for the tokens of sentences."""

import abc
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from elmo_keras.encoders.elmo_layer import ElmoLayer

Sentences = Sequence[list[str]]


class TokenTargets(NamedTuple):
    """The target vectors of the tokens of some sentences, one sentence after the other.

    Args:
        vectors: `(tokens, dim)` float array. Rows of tokens without a target are not read.
        has_target: `(tokens,)` bool array. `False` for a token that the teacher has no vector for.
    """

    vectors: np.ndarray
    has_target: np.ndarray


class Teacher(abc.ABC):
    """A model that computes one vector for each token of tokenized sentences.

    A subclass defines `targets`.

    Example:

    >>> import numpy as np
    >>> from elmo_keras.training import Teacher, TokenTargets
    >>> class Capitals(Teacher):
    ...     def targets(self, sentences):
    ...         tokens = [token for sentence in sentences for token in sentence]
    ...         vectors = np.array([[float(token.istitle())] for token in tokens])
    ...         return TokenTargets(vectors, np.array([token.isalpha() for token in tokens]))
    >>> Capitals().targets([["Yes", "!"]]).has_target.tolist()
    [True, False]
    """

    @abc.abstractmethod
    def targets(self, sentences: Sentences) -> TokenTargets:
        """Computes the vectors of all tokens.

        Args:
            sentences: list of sentences, each a list of tokens.

        Returns:
            `TokenTargets` of all tokens, in the order of the sentences.
        """


class CallableTeacher(Teacher):
    """A teacher that calls a function; every token has a target.

    Args:
        function: function of a list of token lists. It returns one float array `(tokens, dim)` for
            each sentence.

    Raises:
        ValueError: if `function` is not callable.

    Example:

    >>> import numpy as np
    >>> from elmo_keras.training import CallableTeacher
    >>> def lengths(sentences):
    ...     return [np.array([[float(len(token))] for token in tokens]) for tokens in sentences]
    >>> CallableTeacher(lengths).targets([["a", "bird"], ["sings"]]).vectors[:, 0]
    array([1., 4., 5.], dtype=float32)
    """

    def __init__(self, function: Callable[[Sentences], Sequence[Any]]) -> None:
        if not callable(function):
            raise ValueError(
                "`function` must be a function of token lists. "
                f"Received: {function!r} of type {type(function).__name__}. Pass a function that "
                "returns one array (tokens, dim) for each sentence."
            )
        self.function = function

    def targets(self, sentences: Sentences) -> TokenTargets:
        """See `Teacher`."""
        arrays = [np.asarray(array, "float32") for array in self.function(sentences)]
        lengths = [len(tokens) for tokens in sentences]
        shapes = [array.shape for array in arrays]
        if [shape[:1] for shape in shapes] != [(length,) for length in lengths] or any(
            len(shape) != 2 for shape in shapes
        ):
            raise ValueError(
                "The function of a teacher must return one array (tokens, dim) for each sentence. "
                f"Received: arrays of shapes {shapes[:3]} for sentences of {lengths[:3]} tokens. "
                "Return one row for each token."
            )
        return TokenTargets(np.concatenate(arrays), np.ones(sum(lengths), bool))


class ElmoTeacher(Teacher):
    """A teacher that is an ElmoLayer; the vector of a token is the concatenation of its layers.

    Args:
        elmo: `ElmoLayer`.
        layers: list of int, the layers to concatenate; 0 is the token layer. Defaults to `None`,
            all layers.

    Raises:
        ValueError: if `elmo` is not an ElmoLayer, or if a layer does not exist.

    Example:

    ```python
    teacher = elmo_keras.training.ElmoTeacher(elmo_keras.ElmoLayer.from_preset("elmo_mini_en"))
    ```
    """

    def __init__(self, elmo: ElmoLayer, layers: Sequence[int] | None = None) -> None:
        if not isinstance(elmo, ElmoLayer):
            raise ValueError(
                f"`elmo` must be an ElmoLayer. Received: {elmo!r} of type {type(elmo).__name__}. "
                "Load one with ElmoLayer.from_preset(source)."
            )
        self.layers = list(range(elmo.num_layers) if layers is None else layers)
        if not self.layers or not set(self.layers) <= set(range(elmo.num_layers)):
            raise ValueError(
                f"`layers` must be numbers from 0 to {elmo.num_layers - 1}. "
                f"Received: layers={layers}. Leave it out for all layers."
            )
        self.elmo = ElmoLayer(
            elmo.token_encoder,
            elmo.bilstm,
            output="all",
            tokenizer=elmo.tokenizer,
            allow_spaces=elmo.allow_spaces,
            dtype=elmo.dtype_policy,
        )

    def targets(self, sentences: Sentences) -> TokenTargets:
        """See `Teacher`."""
        vectors = np.concatenate(list(self.elmo.embed(sentences)))  # (tokens, layers, dim)
        vectors = vectors[:, self.layers].astype("float32").reshape(len(vectors), -1)
        return TokenTargets(vectors, np.ones(len(vectors), bool))


def check_targets(targets: TokenTargets, sentences: Sentences) -> TokenTargets:
    """Checks the targets that a teacher has computed.

    Args:
        targets: `TokenTargets`.
        sentences: the sentences that they were computed for.

    Returns:
        The targets, with float32 vectors that are 0 where a token has no target.

    Raises:
        ValueError: if the shapes do not fit the sentences, or if a target is not finite.
    """
    count = sum(map(len, sentences))
    vectors = np.asarray(targets.vectors, "float32")
    has_target = np.asarray(targets.has_target, bool)
    if vectors.ndim != 2 or len(vectors) != count or has_target.shape != (count,):
        raise ValueError(
            "A teacher must return vectors (tokens, dim) and has_target (tokens,) for all tokens. "
            f"Received: shapes {vectors.shape} and {has_target.shape} for {count} tokens. Return "
            "one row for each token."
        )
    is_bad = has_target & ~np.isfinite(vectors).all(axis=1)
    if is_bad.any():
        first = int(np.argmax(is_bad))
        place = int(np.searchsorted(np.cumsum([len(s) for s in sentences]), first, side="right"))
        raise ValueError(
            "The targets of a teacher must be finite. "
            f"Received: NaN or infinity for {int(is_bad.sum())} tokens, the first of them in the "
            f"sentence {' '.join(sentences[place])[:80]!r}. Check the teacher, or set has_target "
            "to False for these tokens."
        )
    return TokenTargets(np.where(has_target[:, None], vectors, 0), has_target)
