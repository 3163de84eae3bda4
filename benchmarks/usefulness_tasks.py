"""The tasks of the usefulness benchmark: data, spelling, samples and scores."""

import dataclasses
import functools
import random

from spelling import spell_token

from elmo_keras import datasets, text

SENTENCES, TOKENS, PAIRS = "sentences", "tokens", "pairs"


@dataclasses.dataclass(frozen=True)
class Task:
    """A data set and its measure.

    Args:
        load: function that returns `Splits`.
        kind: the thing that has a label: `SENTENCES`, `TOKENS` or `PAIRS`.
        language: `"en"` or `"zh"`.
        measure: `"accuracy"` or `"span F1"`.
    """

    load: object
    kind: str
    language: str = "en"
    measure: str = "accuracy"


TASKS = {
    "sst2": Task(datasets.load_sst2, SENTENCES),
    "sst2_phrases": Task(functools.partial(datasets.load_sst2, phrases=True), SENTENCES),
    "trec": Task(datasets.load_trec, SENTENCES),
    "ud_ewt": Task(datasets.load_ud_ewt, TOKENS),
    "wnut17": Task(datasets.load_wnut17, TOKENS, measure="span F1"),
    "conll2000": Task(datasets.load_conll2000, TOKENS, measure="span F1"),
    "wic": Task(datasets.load_wic, PAIRS),
    "chnsenticorp": Task(datasets.load_chnsenticorp, SENTENCES, "zh"),
    "waimai": Task(datasets.load_waimai, SENTENCES, "zh"),
    "weibo_ner": Task(datasets.load_weibo_ner, TOKENS, "zh", "span F1"),
}


@functools.lru_cache(maxsize=2)
def load(name):
    """Loads the splits of a task, with token lists in the spelling of the presets' text."""
    task = TASKS[name]
    split = text.Tokenizer("chinese_characters").split if task.language == "zh" else None

    def spell(example):
        if isinstance(example, datasets.WordPair):
            return example._replace(sentences=tuple(map(spell, example.sentences)))
        tokens = example.split() if isinstance(example, str) else example
        return [spell_token(token) for token in tokens]

    def convert(part):
        if task.language == "en":
            return part._replace(sentences=[spell(example) for example in part.sentences])
        if task.kind == SENTENCES:
            return part._replace(sentences=split(part.sentences))
        return part

    return datasets.Splits(*map(convert, task.load()))


def sample(number_of_rows, budget, seed):
    """Returns the indices of a training set: `budget` of them at random, or all."""
    if budget == "all" or int(budget) >= number_of_rows:
        return list(range(number_of_rows))
    return random.Random(seed).sample(range(number_of_rows), int(budget))


def score(name, expected, predicted):
    """Returns the percentage that the task's measure gives to the predicted labels.

    Args:
        name: str. The task.
        expected: list of labels, or of lists of labels.
        predicted: the same.
    """
    if TASKS[name].measure == "span F1":
        return 100 * span_f1(expected, predicted)
    if TASKS[name].kind == TOKENS:
        expected, predicted = sum(expected, []), sum(predicted, [])
    return 100 * sum(map(str.__eq__, expected, predicted)) / len(expected)


def span_f1(expected, predicted):
    """Returns the F1 of exact spans over all sentences, as the CoNLL evaluation computes it.

    A predicted span is right if a span of the same type has the same first and last token.

    Args:
        expected: list of lists of BIO tags.
        predicted: list of lists of BIO tags, as long.
    """
    right = of_expected = of_predicted = 0
    for one, other in zip(expected, predicted, strict=True):
        if len(one) != len(other):
            raise ValueError(
                "Both lists must have a tag for each token. "
                f"Received: {len(one)} and {len(other)} tags. Predict one tag for each token."
            )
        one, other = spans(one), spans(other)
        right += len(one & other)
        of_expected += len(one)
        of_predicted += len(other)
    return 2 * right / (of_expected + of_predicted) if right else 0.0


def spans(tags):
    """Returns the set of spans `(first, after, type)` of BIO tags.

    An `I-` tag after `O` or after another type starts a span, as in the CoNLL evaluation.

    Args:
        tags: list of str, such as `["B-NP", "I-NP", "O"]`.
    """
    found, start, kind = set(), 0, None
    for index, tag in enumerate([*tags, "O"]):
        prefix, _, type_ = tag.partition("-")
        if kind is not None and (prefix != "I" or type_ != kind):
            found.add((start, index, kind))
            kind = None
        if prefix != "O" and kind is None:
            start, kind = index, type_
    return found
