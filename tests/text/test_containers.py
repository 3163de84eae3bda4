"""Containers of texts: columns are accepted, tables refused, missing texts named."""

import types

import numpy as np
import pandas as pd
import pytest

import elmo_keras
from elmo_keras.text.containers import is_missing, refuse_table, to_batch
from elmo_keras.text.conversion import is_text, string_tensor

tf = pytest.importorskip("tensorflow", reason="strings need TensorFlow")

TEXTS = ["A cat.", "", "Yes"]
TABLE = pd.DataFrame({"text": TEXTS, "label": ["a", "b", "a"]})


@pytest.mark.parametrize(
    "column",
    [
        TABLE["text"],
        TABLE["text"].astype("category"),
        TABLE["text"].astype("string"),
        TABLE["text"].astype(object),
        TABLE["text"][::-1].sort_index(),
        TABLE["text"].to_numpy(),
        pd.Index(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, dtype=object),
        np.array(TEXTS, dtype=np.dtypes.StringDType()),
        np.array([text.encode() for text in TEXTS]),
        tuple(TEXTS),
        dict.fromkeys(TEXTS).keys(),
        types.SimpleNamespace(to_pylist=lambda: TEXTS),  # pyarrow
    ],
    ids=lambda column: type(column).__name__,
)
@pytest.mark.parametrize("make", [string_tensor, elmo_keras.text.to_tensor])
def test_columns_are_sentences(column, make):
    tensor = make(column)
    assert tensor.shape == (3,)
    assert [text.decode() for text in tensor.numpy()] == TEXTS


TABLES = [
    (TABLE, "'text', 'label'"),
    (TABLE[["text"]], "'text'"),
    ({"text": TEXTS}, "'text'"),
    (types.MappingProxyType({"text": TEXTS}), "'text'"),
    (types.SimpleNamespace(columns=["c1", "c2"]), "'c1', 'c2'"),  # polars
    (types.SimpleNamespace(columns=[[1]], column_names=["text"]), "'text'"),  # pyarrow
    (types.SimpleNamespace(column_names=["text"]), "'text'"),  # Hugging Face datasets
    (np.array([("a", "b")], dtype=[("x", "U3"), ("y", "U3")]), "'x', 'y'"),
]


@pytest.mark.parametrize("table, columns", TABLES, ids=lambda item: type(item).__name__)
@pytest.mark.parametrize(
    "make", [to_batch, string_tensor, elmo_keras.text.to_tensor, elmo_keras.text.pad]
)
def test_tables_are_refused(table, columns, make):
    with pytest.raises(ValueError, match=f"with the columns {columns}. Pass one column"):
        make(table)


@pytest.mark.parametrize(
    "data", [{"a", "b"}, frozenset("ab"), {"a": 1}.items()], ids=["set", "frozenset", "items"]
)
def test_sets_have_no_order(data):
    with pytest.raises(ValueError, match="must have an order.*Sort it into a list"):
        to_batch(data)


@pytest.mark.parametrize(
    "data",
    [["a"], "a", np.array(["a"]), tf.constant(["a"]), iter("a"), 7, None],
    ids=["list", "str", "array", "tensor", "iterator", "int", "None"],
)
def test_other_data_is_not_a_table(data):
    refuse_table(data)


@pytest.mark.parametrize(
    "missing",
    [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT],
    ids=["None", "nan", "float32", "NA", "NaT"],
)
def test_missing_texts_are_named(missing):
    assert is_missing(missing)
    rows = ["fine"] * 300 + [missing, "fine", missing]
    for data in (rows, np.array(rows, dtype=object), pd.Series(rows, dtype=object)):
        assert is_text(data if not isinstance(data, pd.Series) else data.to_list())
        with pytest.raises(ValueError, match=r"as sentence 300 \(2 are missing: 300, 302\)"):
            string_tensor(data)
    with pytest.raises(ValueError, match="a missing text, as token 1 of sentence 2"):
        string_tensor([["a"], ["b"], ["c", missing]])
    with pytest.raises(ValueError, match="a missing text, as sentence 0"):
        string_tensor([missing, missing])


@pytest.mark.parametrize("item", ["", "nan", b"", 0, 1.5, [], np.float64(2)], ids=repr)
def test_other_values_are_not_missing(item):
    assert not is_missing(item)


def test_a_masked_array_has_missing_texts():
    with pytest.raises(ValueError, match="Received: None, a missing text, as sentence 1"):
        string_tensor(np.ma.masked_array(["a", "b"], mask=[False, True]))


@pytest.mark.parametrize(
    "data, message",
    [
        (["fine", 3], "Received: 3 of type int as sentence 1"),
        (["fine", {"text": "a"}], "of type dict as sentence 1. Pass the texts alone"),
        (["fine", ["a"]], r"Received: 'fine' as sentence 0 and \['a'\] as sentence 1"),
        ([["a"], "fine"], r"Received: 'fine' as sentence 1 and \['a'\] as sentence 0"),
        ([["a", 3]], "Received: 3 of type int as token 1 of sentence 0"),
    ],
    ids=str,
)
def test_the_row_is_named(data, message):
    with pytest.raises(ValueError, match=message):
        string_tensor(data)


def test_tokens_in_columns():
    column = pd.Series([["a", "b"], ["c"]])
    for make in (string_tensor, elmo_keras.text.pad):
        assert make(column).numpy().tolist() == [[b"a", b"b"], [b"c", b""]]
    assert string_tensor([pd.Series(["a", "b"])]).numpy().tolist() == [[b"a", b"b"]]


def test_helpers_name_each_other():
    with pytest.raises(ValueError, match="flat list of str.*use elmo_keras.text.pad"):
        elmo_keras.text.to_tensor([["a", "b"]])
    with pytest.raises(ValueError, match="must be a list of tokens"):
        elmo_keras.text.pad(["a b"])


def test_iterators_and_tensors():
    assert elmo_keras.text.to_tensor(iter(TEXTS)).shape == (3,)
    rows = [["a", "b"], ["c"]]
    for tensor in (tf.ragged.constant(rows), elmo_keras.text.pad(rows)):
        assert elmo_keras.text.pad(tensor).numpy().tolist() == [[b"a", b"b"], [b"c", b""]]


def test_texts_of_numpy_are_shown_as_str():
    with pytest.raises(ValueError, match="Received: 'b' as sentence 1 and"):
        string_tensor([["a"], np.str_("b")])


def test_split_accepts_columns():
    rows = elmo_keras.text.Tokenizer().split(TABLE["text"])
    assert rows == [["A", "cat", "."], [], ["Yes"]]


@pytest.mark.parametrize(
    "data, message",
    [
        (TABLE, "a table with the columns 'text', 'label'"),
        ("A cat.", "must be a list of str. Received: 'A cat.'"),
        ([["A", "cat"]], "token lists are split already"),
        (["A", None], "a missing text, as sentence 1"),
        ({"A cat."}, "must have an order"),
    ],
    ids=["table", "str", "tokens", "missing text", "set"],
)
def test_split_refuses_other_inputs(data, message):
    with pytest.raises(ValueError, match=message):
        elmo_keras.text.Tokenizer().split(data)
