from typing import NamedTuple

import keras
import numpy as np

from elmo_keras import kernels
from elmo_keras.layers.composite import serialize_part
from elmo_keras.layers.elmo_layer import ElmoLayer
from elmo_keras.layers.language_model_head import LanguageModelHead
from elmo_keras.models import examples, restoring
from elmo_keras.text import byte_alphabet
from elmo_keras.text.lengths import bucket, places_by_length
from elmo_keras.text.strings import pad_checked
from elmo_keras.text.word_ids import WordIds
from elmo_keras.text.word_vocabulary import SPECIALS, UNKNOWN, WordVocabulary

# Logits of one direction that are made at once, at most: 128 MB. And words, for the LSTMs' sake.
_MAX_LOGITS = 2**25
_MAX_TOKENS = 4096
DIRECTIONS = ("both", "forward", "backward")


class Perplexity(NamedTuple):
    """How many words a language model hesitates between, on average.

    Attributes:
        forward: float, of the forward direction: `exp` of the mean negative log-probability of a
            word, the end of its sentence among the words.
        backward: float, of the backward direction, the begin among them.
        mean: float, of both together: `exp` of the mean of the two means.
        words: int. Words predicted by each direction.
    """

    forward: float
    backward: float
    mean: float
    words: int


@keras.saving.register_keras_serializable(package="elmo_keras")
class BidirectionalLanguageModel(keras.Model):
    """The biLM inside of ELMo as what it is trained as: two language models and one softmax.

    The forward one gives each word a probability by the words before it, the backward one by those
    behind it. Both read characters, so that every word can be read; what can be predicted are the
    words of the vocabulary, `<UNK>` for all others.

    It is a Functional model of `(batch, time)` tokens (where strings cannot go into a graph: of
    their ids and their numbers in the vocabulary) with outputs `(batch, time + 2, 2)`: the
    logarithms of each word's two probabilities, see `layers.LanguageModelHead`. It is trained by
    `elmo_keras.training.pretrain`, or the command `elmo-keras pretrain`.

    Args:
        elmo: `ElmoLayer` whose token encoder, LSTMs and tokenizer are taken, its weights shared.
        vocabulary: list of str, or one str with a word a line: the words of the softmax, `<S>`,
            `</S>` and `<UNK>` among them, by falling frequency.
        **kwargs: Model keyword arguments, like `name`.

    Raises:
        ValueError: if the vocabulary lacks one of the three, or holds a word twice.

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
        begin, end, _ = (self_vocabulary.number_of(word) for word in SPECIALS)
        top = _top(elmo)
        head = LanguageModelHead(
            len(self_vocabulary), begin, end, dtype=elmo.dtype_policy, name="head"
        )
        word_ids = WordIds(self_vocabulary.text, unknown=UNKNOWN, name="word_numbers")
        starts_at_strings = (
            keras.backend.backend() == "tensorflow"
            and top.text_layer is not None
            and not kernels.in_distribution_strategy()
        )
        if starts_at_strings:
            inputs = keras.Input((None,), dtype="string", name="tokens")
            words = word_ids(inputs)
            outputs = head(top(inputs), words)
        else:
            ids = keras.Input((None, *top.token_encoder.ids_shape), dtype="int32", name="ids")
            words = keras.Input((None,), dtype="int32", name="words")
            inputs = [ids, words]
            outputs = head(top(ids), words)
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.starts_at_strings = starts_at_strings
        self.elmo = top
        self.head = head
        self.words = self_vocabulary
        self._compiled = _Compiled(self)

    @property
    def vocabulary(self):
        """The words of the softmax in the order of their numbers, list of str."""
        return self.words.tokens

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
        # Models stand left of presets in the order of imports; this convenience reaches right.
        from elmo_keras import presets

        return presets.load_language_model(source, cls=cls, vocabulary=vocabulary, **options)

    def save_to_preset(self, directory, dtype="float32"):
        """Writes what `from_preset` of this class, and of `ElmoLayer`, reads on every backend.

        Args:
            directory: where `config.json`, `model.weights.h5`, `metadata.json`,
                `softmax_weights.hdf5` and `vocabulary.txt` go; made if absent.
            dtype: str. `"float32"`, the default, or `"float16"`, half the size, rounded.
        """
        from elmo_keras import presets

        presets.save_language_model(self, directory, dtype)

    def to_elmo_layer(self, **options):
        """An ElmoLayer on the weights of this model, shared with it.

        Args:
            **options: arguments of `ElmoLayer`: `output`, `dropout`, `state` and so on.
        """
        elmo = self.elmo
        options = {"tokenizer": elmo.tokenizer, "dtype": elmo.dtype_policy, **options}
        layer = ElmoLayer(elmo.token_encoder, elmo.bilstm, **options)
        layer.build((None, None, *elmo.token_encoder.ids_shape))
        return layer

    def predict(self, x, batch_size=32, verbose="auto", **kwargs):
        """The logarithms of the words' probabilities.

        Args:
            x: sentences or token lists.
            batch_size: int. Sentences at once, at most. Defaults to `32`.
            verbose: as in `keras.Model.predict`.

        Returns:
            numpy array `(n, longest + 2, 2)`, zeros at padding: see `layers.LanguageModelHead`.
        """
        rows = examples.read_inputs(x, self)
        bar = keras.utils.Progbar(len(rows), verbose=1 if verbose == "auto" else verbose)
        longest = max(map(len, rows), default=0)
        outputs = np.zeros((len(rows), longest + 2, 2), "float32")
        for places, log_probabilities in self._by_length(rows, batch_size):
            time = min(log_probabilities.shape[1], longest + 2)
            outputs[places, :time] = log_probabilities[:, :time]
            bar.add(len(places))
        return outputs

    def score(self, sentences):
        """How probable sentences are.

        Args:
            sentences: list of sentences or of token lists.

        Returns:
            numpy array `(n, 2)`: for each sentence the natural logarithm of its probability by
            the forward and by the backward direction, its end or begin among the words.
        """
        rows = examples.read_inputs(sentences, self)
        scores = np.zeros((len(rows), 2))
        for places, log_probabilities in self._by_length(rows):
            scores[places] = log_probabilities.sum(axis=1, dtype="float64")
        return scores

    def perplexity(self, sentences):
        """How many words the model hesitates between, by the full softmax, from zero states.

        Args:
            sentences: list of sentences or of token lists. An empty sentence has one word, its end.

        Returns:
            `Perplexity(forward, backward, mean, words)`.

        Raises:
            ValueError: if there is no sentence.
        """
        rows = examples.read_inputs(sentences, self)
        if not rows:
            raise ValueError("`sentences` must hold at least one sentence. Received: none.")
        words = sum(map(len, rows)) + len(rows)
        forward, backward = -self.score(rows).sum(axis=0) / words
        means = (forward, backward, (forward + backward) / 2)
        return Perplexity(*(float(np.exp(mean)) for mean in means), words)

    def evaluate(self, x, **kwargs):
        """The loss and the perplexities, full softmax, as a dict.

        Args:
            x: sentences or token lists.

        Returns:
            dict of `loss`, the mean negative log-probability of a word over both directions,
            `forward_perplexity`, `backward_perplexity` and `perplexity`.
        """
        result = self.perplexity(x)
        return {
            "loss": float(np.log(result.mean)),
            "forward_perplexity": result.forward,
            "backward_perplexity": result.backward,
            "perplexity": result.mean,
        }

    def substitutes(self, tokens, position, k=10, direction="both"):
        """The words that the model would put in the place of one, the most probable ones first.

        Args:
            tokens: list of str, a sentence.
            position: int. Which token, from 0; negative from the end. The token itself is not
                looked at.
            k: int or `None`. How many; `None` for all words of the vocabulary.
            direction: str. `"both"`, the default, multiplies what the two directions say;
                `"forward"` goes by the words before, `"backward"` by those behind.

        Returns:
            list of `(word, probability)`. The probabilities of all words are 1 together; `<S>`,
            `</S>` and `<UNK>` are none.

        Raises:
            ValueError: if there is no such position.
        """
        tokens = examples.read_inputs([tokens], self)[0]
        if not isinstance(position, int) or not -len(tokens) <= position < len(tokens):
            raise ValueError(
                f"`position` must be that of one of the {len(tokens)} tokens. "
                f"Received: position={position!r}"
            )
        if direction not in DIRECTIONS:
            raise ValueError(
                f"`direction` must be one of {DIRECTIONS}. Received: direction={direction!r}"
            )
        ids = byte_alphabet.character_ids(tokens, self.elmo.token_encoder.max_characters)
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
        logits[[self.words.number_of(word) for word in SPECIALS]] = -np.inf
        probabilities = np.exp(logits - logits.max())
        probabilities /= probabilities.sum()
        order = np.argsort(-probabilities, kind="stable")
        order = order[: len(order) - len(SPECIALS)][:k]
        return [(self.vocabulary[number], float(probabilities[number])) for number in order]

    def _by_length(self, rows, batch_size=128):
        """`(places, log probabilities)` of batches of sentences of like length."""
        lengths = [len(row) + 2 for row in rows]
        most = min(_MAX_TOKENS, _MAX_LOGITS // len(self.words))
        for places in places_by_length(lengths, most, batch_size):
            yield places, self._compiled(self._to_inputs([rows[place] for place in places]))

    def _to_inputs(self, rows):
        """What the graph starts at, of token lists."""
        longest = max(1, *map(len, rows))
        if self.starts_at_strings:
            return pad_checked(rows)
        if keras.backend.backend() == "jax":
            longest = bucket(longest)
        encoder = self.elmo.token_encoder
        ids = np.zeros((len(rows), longest, encoder.max_characters), "int32")
        words = np.zeros((len(rows), longest), "int32")
        for place, row in enumerate(rows):
            if row:
                ids[place, : len(row)] = byte_alphabet.character_ids(row, encoder.max_characters)
                words[place, : len(row)] = self.words.numbers_of(row) + 1
        return [ids, words]

    def get_config(self):
        return {
            "elmo": serialize_part(self.elmo),
            "vocabulary": self.words.text,
            "name": self.name,
            "trainable": self.trainable,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return restoring.from_config(cls, config, custom_objects)


class _Compiled:
    """A model as a function from and to numpy. Keras' own would run on each replica."""

    def __init__(self, model):
        self._model, self._function = model, None

    def __call__(self, inputs):
        if self._function is None:
            shapes = [(tuple(x.shape[1:]), x.dtype) for x in self._model.inputs]
            self._function = kernels.inference(self._model, *shapes)
        return keras.ops.convert_to_numpy(self._function(inputs))


def _top(elmo):
    """An ElmoLayer of the same parts that gives the last layer, sentence boundaries among it."""
    if not hasattr(elmo.token_encoder, "max_characters"):
        raise ValueError(
            "`elmo` must read characters, with a CharCNN. Received: an ElmoLayer with a "
            f"{type(elmo.token_encoder).__name__}."
        )
    layer = ElmoLayer(
        elmo.token_encoder,
        elmo.bilstm,
        output="top",
        keep_boundaries=True,
        tokenizer=elmo.tokenizer,
        dtype=elmo.dtype_policy,
        name="elmo",
    )
    if not elmo.trainable:  # True would free the parts that are frozen for themselves
        layer.trainable = False
    return layer
