import os
from typing import Any

import keras
import numpy as np

from elmo_keras import backend
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
from elmo_keras.text.special_tokens import SPECIAL_TOKENS, UNKNOWN_TOKEN
from elmo_keras.text.word_ids import WordIds
from elmo_keras.text.word_vocabulary import WordVocabulary
from elmo_keras.utils.arguments import check_model_arguments

DIRECTIONS = ("both", "forward", "backward")


@keras.saving.register_keras_serializable(package="elmo_keras")
class BidirectionalLanguageModel(SavedModel):
    """ELMo's bidirectional language model: two language models that share one softmax.

    The forward one gives each word a probability by the words before it, the backward one by the
    words after it. They read words as the token encoder of the ElmoLayer does: by characters, by
    code points, or by a table of words. They predict the words of `vocabulary`, and `<UNK>` for
    all others.

    It is a Functional model of `(batch, time)` tokens (where strings cannot go into a graph: of
    their ids and their numbers in the vocabulary) with outputs `(batch, time + 2, 2)`: the
    logarithms of each word's two probabilities, see `layers.LanguageModelHead`. It is trained by
    `elmo_keras.training.pretrain`, or the command `elmo-keras pretrain`; `compile` and `fit` raise
    an error that says so.

    Args:
        elmo: `ElmoLayer` whose token encoder, LSTMs and tokenizer are taken, its weights shared.
            The token encoder must make ids of words (`numpy_ids`).
        vocabulary: list of str, or one str with a word a line: the words of the softmax, `<S>`,
            `</S>` and `<UNK>` among them, by falling frequency.
        **kwargs: Model keyword arguments, like `name`.

    Raises:
        ValueError: if the vocabulary lacks one of the three, or holds a word twice; or if the
            token encoder takes ids alone, like a `WordEmbedding` without a vocabulary.

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

    def __init__(self, elmo, vocabulary, **kwargs):
        self_vocabulary = WordVocabulary(vocabulary)
        begin, end, _ = (self_vocabulary.token_to_index(word) for word in SPECIAL_TOKENS)
        top = top_layer(elmo)
        head = LanguageModelHead(
            len(self_vocabulary), begin, end, dtype=elmo.dtype_policy, name="head"
        )
        word_ids = WordIds(self_vocabulary.text, unknown=UNKNOWN_TOKEN, name="word_numbers")
        starts_at_strings = (
            keras.backend.backend() == "tensorflow"
            and top.text_layer is not None
            and not backend.in_distribution_strategy()
        )
        if starts_at_strings:
            inputs = keras.Input((None,), dtype="string", name="tokens")
            outputs = head(top(inputs), word_ids(inputs))
        else:
            ids = keras.Input((None, *top.token_encoder.ids_shape), dtype="int32", name="ids")
            targets = keras.Input((None,), dtype="int32", name="word_ids")
            inputs = [ids, targets]
            outputs = head(top(ids), targets)
        check_model_arguments(type(self), kwargs)
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.starts_at_strings = starts_at_strings
        self.elmo = top
        self.head = head
        self.word_vocabulary = self_vocabulary
        self._compiled = Compiled(self)

    @property
    def vocabulary(self):
        """The words of the softmax in the order of their numbers, list of str."""
        return self.word_vocabulary.tokens

    @property
    def tokenizer(self):
        """What splits raw sentences."""
        return self.elmo.tokenizer

    @classmethod
    def from_preset(cls, source, vocabulary=None, **options):
        """The language model of a checkpoint.

        Args:
            source: as in `ElmoLayer.from_preset`. Training checkpoints of bilm-tf and presets that
                a language model was saved to hold its softmax; with another source a new one is
                made, of random weights, for `vocabulary`.
            vocabulary: path of a file of words, one a line, or a list of words. `None`, the
                default, takes the one beside the softmax.
            **options: `tokenizer`, `dtype`, `trainable` of the ElmoLayer; `sha256`.

        Returns:
            A BidirectionalLanguageModel.

        Raises:
            ValueError: as `ElmoLayer.from_preset`; or if there is neither a vocabulary in the
                source nor `vocabulary`, or if it has not as many words as the softmax has rows.

        Example:

        ```python
        model = elmo_keras.BidirectionalLanguageModel.from_preset("elmo_mini_en")
        model.substitutes("The cat sat on the mat .".split(), position=1, k=5)
        ```
        """
        return language_model_preset.load(cls, source, vocabulary, options)

    def save_to_preset(self, directory, dtype="float32"):
        """Writes what `from_preset` of this class, and of `ElmoLayer`, reads on every backend.

        Args:
            directory: where `config.json`, `model.weights.h5`, `metadata.json`,
                `softmax_weights.hdf5` and `vocabulary.txt` go; made if absent.
            dtype: str. `"float32"`, the default, or `"float16"`, half the size, rounded.
        """
        language_model_preset.save(self, directory, dtype)

    def to_elmo_layer(self, **options):
        """An ElmoLayer on the weights of this model, shared with it.

        Args:
            **options: arguments of `ElmoLayer`: `output`, `dropout`, `state` and so on.
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

    def predict(self, x, batch_size: int | None = 32, verbose: str | int = "auto") -> np.ndarray:
        """The logarithms of the words' probabilities.

        Args:
            x: list of sentences or of token lists.
            batch_size: int. Sentences at once, at most; `None` is 128. Defaults to `32`.
            verbose: `"auto"`, 0, 1 or 2: no progress bar (0), a bar (1, which `"auto"` means), or a
                line at the end (2). Defaults to `"auto"`.

        Returns:
            numpy array `(n, longest + 2, 2)` float32, zeros at padding: see
            `layers.LanguageModelHead`.

        Raises:
            ValueError: if `x` holds ids, which do not tell the words to predict; or if the weights
                give results that are not finite.
        """
        rows = read_sentences(x, self, "x")
        longest = max(map(len, rows), default=0)
        outputs = np.zeros((len(rows), longest + 2, 2), "float32")
        for places, log_probabilities in self._compiled.by_length(rows, batch_size, verbose):
            time = min(log_probabilities.shape[1], longest + 2)
            outputs[places, :time] = log_probabilities[:, :time]
        return outputs

    def predict_on_batch(self, x) -> np.ndarray:
        return self.predict(x, batch_size=MAX_TOKENS, verbose=0)

    def score(self, sentences) -> np.ndarray:
        """How probable sentences are.

        Args:
            sentences: list of sentences or of token lists.

        Returns:
            numpy array `(n, 2)`: for each sentence the natural logarithm of its probability by
            the forward and by the backward direction, its end or begin among the words.

        Raises:
            ValueError: as `predict`.
        """
        return self._scores(read_sentences(sentences, self, "sentences"))

    def perplexity(self, sentences) -> Perplexity:
        """How many words the model hesitates between, by the full softmax, from zero states.

        Args:
            sentences: list of sentences or of token lists. An empty sentence has one word, its end.

        Returns:
            `Perplexity(forward, backward, mean, num_words)`.

        Raises:
            ValueError: if there is no sentence; or as `predict`.
        """
        return self._perplexity(read_sentences(sentences, self, "sentences"))

    def evaluate(
        self,
        x,
        *,
        batch_size: int | None = 128,
        verbose: str | int = "auto",
        return_dict: bool = True,
    ) -> dict[str, float] | list[float]:
        """The loss and the perplexities, full softmax.

        Args:
            x: list of sentences or of token lists.
            batch_size: int. Sentences at once, at most; `None` is 128. Defaults to `128`.
            verbose: as in `predict`. Defaults to `"auto"`.
            return_dict: bool. Whether to return a dict instead of a list. Defaults to `True`.

        Returns:
            dict of `loss`, the mean negative log-probability of a word over both directions,
            `forward_perplexity`, `backward_perplexity` and `perplexity`; or the list of these.

        Raises:
            ValueError: as `perplexity`.
        """
        result = self._perplexity(read_sentences(x, self, "x"), batch_size, verbose)
        result = {
            "loss": float(np.log(result.mean)),
            "forward_perplexity": result.forward,
            "backward_perplexity": result.backward,
            "perplexity": result.mean,
        }
        return result if return_dict else list(result.values())

    def _perplexity(self, rows, batch_size=128, verbose=0):
        if not rows:
            raise ValueError("`sentences` must hold at least one sentence. Received: none.")
        words = sum(map(len, rows)) + len(rows)
        forward, backward = -self._scores(rows, batch_size, verbose).sum(axis=0) / words
        with np.errstate(over="ignore"):
            perplexities = np.exp([forward, backward, (forward + backward) / 2])
        check_finite([perplexities], self, "perplexities")
        forward, backward, mean = map(float, perplexities)
        return Perplexity(forward, backward, mean, words)

    def _scores(self, rows, batch_size=128, verbose=0):
        scores = np.zeros((len(rows), 2))
        for places, log_probabilities in self._compiled.by_length(rows, batch_size, verbose):
            scores[places] = log_probabilities.sum(axis=1, dtype="float64")
        return scores

    def substitutes(self, tokens, position, k=10, direction="both"):
        """The words that the model would put in the place of one, the most probable ones first.

        Args:
            tokens: list of str, a sentence.
            position: int. Which token, from 0; negative from the end. The token itself is not
                looked at.
            k: int or `None`. How many; `None` for all words of the vocabulary.
            direction: str. `"both"`, the default, multiplies what the two directions say;
                `"forward"` goes by the words before, `"backward"` by those after.

        Returns:
            list of `(word, probability)`. The probabilities of all words are 1 together; `<S>`,
            `</S>` and `<UNK>` are left out.

        Raises:
            ValueError: if there is no such position; or as `predict`.
        """
        tokens = read_sentences([tokens], self, "tokens")[0]
        if not isinstance(position, int) or not -len(tokens) <= position < len(tokens):
            raise ValueError(
                f"`position` must be that of one of the {len(tokens)} tokens. "
                f"Received: position={position!r}"
            )
        if direction not in DIRECTIONS:
            raise ValueError(
                f"`direction` must be one of {DIRECTIONS}. Received: direction={direction!r}"
            )
        ids = self.elmo.token_encoder.numpy_ids(tokens)
        top = self.elmo(ids[None])  # (1, time + 2, 2 * dim)
        forward, backward = keras.ops.split(top[0], 2, axis=-1)
        place = position % len(tokens) + 1  # among the steps, the begin in front
        sources = {"forward": forward[place - 1], "backward": backward[place + 1]}
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
        return [(self.vocabulary[number], float(probabilities[number])) for number in order]

    def compile(self, *args, **kwargs):
        raise not_trained_by_keras("compile")

    def fit(self, *args, **kwargs):
        raise not_trained_by_keras("fit")

    def train_on_batch(self, *args, **kwargs):
        raise not_trained_by_keras("train_on_batch")

    def test_on_batch(self, *args, **kwargs):
        raise not_trained_by_keras("test_on_batch")

    def export(
        self, filepath: str | os.PathLike, format: str = "tf_saved_model", **kwargs: Any
    ) -> None:
        """Writes a SavedModel of the model, which TensorFlow serves.

        Args:
            filepath: path of a directory.
            format: str. `"tf_saved_model"`, the default, and no other.
            **kwargs: as in `keras.Model.export`, like `verbose`.

        Raises:
            ValueError: for another format: no other runtime can run the graph.
        """
        saving.check_format(format)
        super().export(filepath, format=format, **kwargs)

    def get_config(self):
        return {
            "elmo": serialize_part(self.elmo),
            "vocabulary": self.word_vocabulary.text,
            "name": self.name,
            "trainable": self.trainable,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return saving.from_config(cls, config, custom_objects)
