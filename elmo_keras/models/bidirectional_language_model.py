"""The bidirectional language model."""

import os
from collections.abc import Sequence
from typing import Any, NoReturn, Self

import keras
import numpy as np

from elmo_keras.encoders.elmo_layer import ElmoLayer
from elmo_keras.layers.composite import serialize_part
from elmo_keras.layers.finite import check_finite
from elmo_keras.layers.language_model_head import LanguageModelHead
from elmo_keras.models import language_model_preset, saving
from elmo_keras.models.language_model_parts import (
    MAX_TOKENS,
    Compiled,
    not_trained_by_keras,
    read_sentences,
    top_layer,
)
from elmo_keras.models.perplexity import Perplexity
from elmo_keras.models.saved_model import SavedModel
from elmo_keras.models.task_inputs import text_input
from elmo_keras.text.special_tokens import SPECIAL_TOKENS, UNKNOWN_TOKEN
from elmo_keras.text.tokenizer import Tokenizer
from elmo_keras.text.word_ids import WordIds
from elmo_keras.text.word_vocabulary import WordVocabulary
from elmo_keras.utils.arguments import check_model_arguments

DIRECTIONS = ("both", "forward", "backward")


@keras.saving.register_keras_serializable(package="elmo_keras")
class BidirectionalLanguageModel(SavedModel):
    """ELMo's bidirectional language model: two language models that share one softmax.

    The forward model predicts each word from the words before it, the backward model from the words
    after it. The token encoder of the ElmoLayer decides how words are read: as characters, as code
    points, or from a table. The words of `vocabulary` are predicted; any other word counts as
    `<UNK>`.

    The input of this Functional model is `(batch, time)` tokens. If strings cannot go into a graph,
    the inputs are the ids of the tokens and their 1-based indices in the vocabulary. The output is
    `(batch, time + 2, 2)`: the two log-probabilities of each word, see `layers.LanguageModelHead`.

    `elmo_keras.training.pretrain`, or the command `elmo-keras pretrain`, trains the model.
    `compile` and `fit` raise an error.

    Args:
        elmo: `ElmoLayer`. The model shares its token encoder, LSTMs and tokenizer. The token
            encoder must convert words to ids (`numpy_ids`).
        vocabulary: list of str, or one str with a word per line: the words of the softmax, sorted
            by falling frequency. They include `<S>`, `</S>` and `<UNK>`.
        **kwargs: Model keyword arguments, like `name`.

    Raises:
        ValueError: if the vocabulary lacks `<S>`, `</S>` or `<UNK>`, or holds a word twice; if the
            token encoder accepts only ids, like a `WordEmbedding` without a vocabulary.

    Example:

    >>> import elmo_keras
    >>> elmo = elmo_keras.ElmoLayer(
    ...     elmo_keras.layers.CharCNN(filters=[(1, 4), (2, 8)], projection_dim=6),
    ...     elmo_keras.layers.BiLSTMStack(units=16, projection_dim=6),
    ... )
    >>> model = elmo_keras.BidirectionalLanguageModel(elmo, ["<S>", "</S>", "<UNK>", "the", "cat"])
    >>> model.score([["the", "cat"], ["a", "dog", "barks"]]).shape
    (2, 2)

    References:
        - [Peters et al., 2018](https://arxiv.org/abs/1802.05365), section 3.1
        - bilm-tf, `bilm/training.py`, LanguageModel
    """

    def __init__(self, elmo: ElmoLayer, vocabulary: Sequence[str] | str, **kwargs: Any) -> None:
        words = WordVocabulary(vocabulary)
        begin, end, _ = (words.token_to_index(word) for word in SPECIAL_TOKENS)
        top = top_layer(elmo)
        head = LanguageModelHead(len(words), begin, end, dtype=elmo.dtype_policy, name="head")
        word_ids = WordIds(words.text, unknown=UNKNOWN_TOKEN, name="word_numbers")
        inputs = text_input(top)
        if keras.backend.standardize_dtype(inputs.dtype) == "string":
            outputs = head(top(inputs), word_ids(inputs))
        else:
            targets = keras.Input((None,), dtype="int32", name="word_ids")
            outputs = head(top(inputs), targets)
            inputs = [inputs, targets]
        check_model_arguments(type(self), kwargs)
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.elmo = top
        self.head = head
        self.word_vocabulary = words
        self._compiled = Compiled(self)

    @property
    def vocabulary(self) -> list[str]:
        """The words of the softmax, list of str."""
        return self.word_vocabulary.tokens

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the ElmoLayer, which splits raw sentences."""
        return self.elmo.tokenizer

    @classmethod
    def from_preset(
        cls,
        source: Any,
        vocabulary: Sequence[str] | str | os.PathLike | None = None,
        **options: Any,
    ) -> Self:
        """Loads the language model of a checkpoint.

        Training checkpoints of bilm-tf, and presets written by `save_to_preset` of this class, hold
        a softmax. For any other source, a softmax for `vocabulary` is created with random weights.

        Args:
            source: as in `ElmoLayer.from_preset`.
            vocabulary: list of words, or path of a file with one word per line. Defaults to `None`,
                for the vocabulary of the source.
            **options: `tokenizer`, `dtype` and `trainable` of the ElmoLayer; `sha256`.

        Returns:
            A BidirectionalLanguageModel.

        Raises:
            ValueError: as `ElmoLayer.from_preset` does; if neither the source nor `vocabulary`
                gives the words; if their number is not the number of rows of the softmax.

        Example:

        ```python
        model = elmo_keras.BidirectionalLanguageModel.from_preset("elmo_mini_en")
        model.substitutes("The cat sat on the mat .".split(), position=1, k=5)
        ```
        """
        return language_model_preset.load(cls, source, vocabulary, options)

    def save_to_preset(self, directory: str | os.PathLike, dtype: str = "float32") -> None:
        """Writes a preset, which `from_preset` of this class and of `ElmoLayer` reads.

        Args:
            directory: path of the directory for `config.json`, `model.weights.h5`,
                `metadata.json`, `softmax_weights.hdf5` and `vocabulary.txt`; created if absent.
            dtype: str. `"float32"`, the default, or `"float16"`, which rounds the weights and
                halves the size.
        """
        language_model_preset.save(self, directory, dtype)

    def to_elmo_layer(self, **options: Any) -> ElmoLayer:
        """Creates an ElmoLayer that shares the weights of this model.

        Args:
            **options: arguments of `ElmoLayer`, such as `output`, `dropout` and `state`.
        """
        elmo = self.elmo
        options = {
            "tokenizer": elmo.tokenizer,
            "allow_spaces": elmo.allow_spaces,
            "dtype": elmo.dtype_policy,
            **options,
        }
        layer = ElmoLayer(elmo.token_encoder, elmo.bilstm, **options)
        layer.build((None, None, *elmo.token_encoder.ids_shape))
        return layer

    def predict(
        self, x: Any, batch_size: int | None = 32, verbose: str | int = "auto"
    ) -> np.ndarray:
        """Computes the log-probability of each word.

        Args:
            x: list of sentences or of token lists.
            batch_size: int. Maximum number of sentences in a batch; `None` is 128. Defaults to
                `32`.
            verbose: 0 for no output, 1 for a progress bar, 2 for a line at the end; `"auto"`, the
                default, is 1.

        Returns:
            numpy array `(n, longest + 2, 2)` float32, zeros at padding: see
            `layers.LanguageModelHead`.

        Raises:
            ValueError: if `x` holds ids, which do not determine the words to predict; if a result
                is not finite.
        """
        rows = read_sentences(x, self, "x")
        longest = max(map(len, rows), default=0)
        outputs = np.zeros((len(rows), longest + 2, 2), "float32")
        for indices, log_probabilities in self._compiled.by_length(rows, batch_size, verbose):
            time = min(log_probabilities.shape[1], longest + 2)
            outputs[indices, :time] = log_probabilities[:, :time]
        return outputs

    def predict_on_batch(self, x: Any) -> np.ndarray:
        return self.predict(x, batch_size=MAX_TOKENS, verbose=0)

    def score(self, sentences: Any) -> np.ndarray:
        """Computes the log-probabilities of sentences.

        Args:
            sentences: list of sentences or of token lists.

        Returns:
            numpy array `(n, 2)`: the natural logarithm of the probability of each sentence in the
            forward and in the backward direction. The forward one includes the end of the
            sentence, the backward one its begin.

        Raises:
            ValueError: as `predict` does.
        """
        return self._scores(read_sentences(sentences, self, "sentences"))

    def perplexity(self, sentences: Any) -> Perplexity:
        """Computes the perplexities of sentences, with the full softmax and from zero states.

        Args:
            sentences: list of sentences or of token lists. The end of a sentence counts as a word
                in the forward direction, its begin in the backward direction.

        Returns:
            `Perplexity(forward, backward, mean, num_words)`.

        Raises:
            ValueError: if `sentences` is empty, and as `predict` does.
        """
        return self._perplexity(read_sentences(sentences, self, "sentences"))

    def evaluate(
        self,
        x: Any,
        *,
        batch_size: int | None = 128,
        verbose: str | int = "auto",
        return_dict: bool = True,
    ) -> dict[str, float] | list[float]:
        """Computes the loss and the perplexities with the full softmax.

        Args:
            x: list of sentences or of token lists.
            batch_size: int. Maximum number of sentences in a batch; `None` is 128. Defaults to
                `128`.
            verbose: as in `predict`. Defaults to `"auto"`.
            return_dict: bool. Whether to return a dict instead of a list. Defaults to `True`.

        Returns:
            dict of `loss` (the mean negative log-probability of a word over both directions),
            `forward_perplexity`, `backward_perplexity` and `perplexity`; or a list of these values.

        Raises:
            ValueError: as `perplexity` does.
        """
        result = self._perplexity(read_sentences(x, self, "x"), batch_size, verbose)
        result = {
            "loss": float(np.log(result.mean)),
            "forward_perplexity": result.forward,
            "backward_perplexity": result.backward,
            "perplexity": result.mean,
        }
        return result if return_dict else list(result.values())

    def _perplexity(
        self, rows: list[list[str]], batch_size: int | None = 128, verbose: str | int = 0
    ) -> Perplexity:
        if not rows:
            raise ValueError(
                "`sentences` must hold at least one sentence. Received: none. Check where the text "
                "comes from."
            )
        words = sum(map(len, rows)) + len(rows)
        forward, backward = -self._scores(rows, batch_size, verbose).sum(axis=0) / words
        with np.errstate(over="ignore"):
            perplexities = np.exp([forward, backward, (forward + backward) / 2])
        check_finite([perplexities], self, "perplexities")
        forward, backward, mean = map(float, perplexities)
        return Perplexity(forward, backward, mean, words)

    def _scores(
        self, rows: list[list[str]], batch_size: int | None = 128, verbose: str | int = 0
    ) -> np.ndarray:
        scores = np.zeros((len(rows), 2))
        for indices, log_probabilities in self._compiled.by_length(rows, batch_size, verbose):
            scores[indices] = log_probabilities.sum(axis=1, dtype="float64")
        return scores

    def substitutes(
        self, tokens: Sequence[str], position: int, k: int | None = 10, direction: str = "both"
    ) -> list[tuple[str, float]]:
        """Predicts a word of a sentence from the other words.

        Args:
            tokens: list of str, a sentence.
            position: int. Index of the token to predict; negative from the end. The token itself is
                ignored.
            k: int or `None`. Number of words to return, `None` for the whole vocabulary. Defaults
                to `10`.
            direction: str. `"forward"` predicts from the words before, `"backward"` from the words
                after; `"both"`, the default, multiplies the two probabilities.

        Returns:
            list of `(word, probability)`, the most probable words first. `<S>`, `</S>` and `<UNK>`
            are excluded, and the probabilities of all other words sum to 1.

        Raises:
            ValueError: if `position` is out of range, and as `predict` does.
        """
        tokens = read_sentences([tokens], self, "tokens")[0]
        if not isinstance(position, int) or not -len(tokens) <= position < len(tokens):
            raise ValueError(
                f"`position` must be the index of one of the {len(tokens)} tokens. "
                f"Received: position={position!r}. Count from 0, or from -1 backwards."
            )
        if direction not in DIRECTIONS:
            raise ValueError(
                f"`direction` must be one of {DIRECTIONS}. Received: direction={direction!r}. "
                "Choose one of them."
            )
        ids = self.elmo.token_encoder.numpy_ids(tokens)
        top = self.elmo(ids[None])  # (1, time + 2, 2 * dim)
        forward, backward = keras.ops.split(top[0], 2, axis=-1)
        step = position % len(tokens) + 1  # after the begin of the sentence
        sources = {"forward": forward[step - 1], "backward": backward[step + 1]}
        if direction != "both":
            sources = {direction: sources[direction]}
        logits = sum(
            keras.ops.convert_to_numpy(self.head.softmax(source[None])[0]).astype("float64")
            for source in sources.values()
        )
        check_finite([logits], self, "log-probabilities")
        logits[[self.word_vocabulary.token_to_index(word) for word in SPECIAL_TOKENS]] = -np.inf
        probabilities = np.exp(logits - logits.max())
        probabilities /= probabilities.sum()
        order = np.argsort(-probabilities, kind="stable")
        order = order[: len(order) - len(SPECIAL_TOKENS)][:k]
        return [(self.vocabulary[index], float(probabilities[index])) for index in order]

    def compile(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise not_trained_by_keras("compile")

    def fit(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise not_trained_by_keras("fit")

    def train_on_batch(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise not_trained_by_keras("train_on_batch")

    def test_on_batch(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise not_trained_by_keras("test_on_batch")

    def export(
        self, filepath: str | os.PathLike, format: str = "tf_saved_model", **kwargs: Any
    ) -> None:
        """Writes a SavedModel, which TensorFlow serves.

        Args:
            filepath: path of the directory to write.
            format: str. `"tf_saved_model"`; no other runtime can run this model.
            **kwargs: arguments of `keras.Model.export`, such as `verbose`.

        Raises:
            ValueError: for another format.
        """
        saving.check_format(format)
        super().export(filepath, format=format, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {
            "elmo": serialize_part(self.elmo),
            "vocabulary": self.word_vocabulary.text,
            "name": self.name,
            "trainable": self.trainable,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Any:
        return saving.from_config(cls, config, custom_objects)
