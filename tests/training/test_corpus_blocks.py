"""Corpus: blocks of lines, from which a run is resumed, and very long lines."""

import random
import tracemalloc

import pytest

from elmo_keras.training import Corpus, corpus
from tests.training.text_files import read, write


def numbered(lines, seed=0):
    """Lines of a few tokens, some of them empty or white space."""
    rng = random.Random(seed)
    return [
        " ".join(f"{n}.{i}" for i in range(rng.randrange(4))) or " " * (n % 2) for n in range(lines)
    ]


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("lines", [0, 1, 3, 4, 5, 8, 23])
def test_blocks_are_consecutive_lines(tmp_path, small_blocks, lines, compressed):
    texts = numbered(lines)
    path = write(tmp_path / "text", "".join(f"{text}\n" for text in texts), compressed)
    text = Corpus([write(tmp_path / "other", "x\n"), path], "whitespace")
    blocks = list(text.blocks(1))
    line = 0
    for block in blocks:
        end = lines if block.next_line is None else block.next_line
        assert (block.file, block.line) == (1, line)
        assert end - line <= 4
        assert block.sentences == [item.split() for item in texts[line:end] if item.strip()]
        line = end
    assert line == lines
    assert [block.next_line is None for block in blocks] == [False] * (len(blocks) - 1) + [True]
    for number, block in enumerate(blocks):
        assert list(text.blocks(1, block.line)) == blocks[number:]
    # From any line on.
    for line in range(lines + 1):
        rest = [sentence for block in text.blocks(1, line) for sentence in block.sentences]
        assert rest == [item.split() for item in texts[line:] if item.strip()]
    assert list(text) == [["x"], *(item.split() for item in texts if item.strip())]


def test_restarted_blocks_of_split_lines(tmp_path, small_blocks):
    lines = [f"Line {n}. It has two. Or" + " three!" * (n % 3) for n in range(18)]
    text = Corpus(write(tmp_path / "text", "\n".join(lines)), "whitespace", split_sentences=True)
    blocks = list(text.blocks(0))
    assert len(blocks) == 5
    assert [sentence for block in blocks for sentence in block.sentences] == list(text)
    for number, block in enumerate(blocks):
        assert list(text.blocks(0, block.line)) == blocks[number:]


def test_the_lines_before_a_restart_are_not_decoded(tmp_path, small_blocks):
    text = Corpus(write(tmp_path / "text", b"\xff\n" * 6), "whitespace")
    list(text.blocks(0, 4))
    assert text.undecodable == 2


# === Long lines ===


def test_a_line_of_a_million_tokens(tmp_path):
    """The line is read in pieces of a MiB, which may split a token in two."""
    tokens = [f"w{number}" for number in range(1_000_000)]
    path = write(tmp_path / "text", "first\n" + " ".join(tokens) + "\nlast\n", compressed=True)
    sentences = read(path)
    assert sentences[0] == ["first"] and sentences[-1] == ["last"]
    pieces = sentences[1:-1]
    size = sum(map(len, tokens)) + len(tokens) - 1
    assert len(pieces) == size // 2**20 + 1
    joined, cut = pieces[0], 0
    for piece in pieces[1:]:
        place = len(joined)
        if joined[-1] != tokens[place - 1]:  # The end of the piece has split this token.
            joined[-1] += piece[0]
            piece, cut = piece[1:], cut + 1
        joined = joined + piece
    assert joined == tokens
    assert 0 < cut < len(pieces)


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 64])
def test_pieces_end_with_whole_characters(tmp_path, monkeypatch, size, compressed):
    monkeypatch.setattr(corpus, "MAX_LINE_BYTES", size)
    rng = random.Random(size)
    lines = ["".join(rng.choices("aé東🙂", k=rng.randrange(1, 40))) for _ in range(50)]
    path = write(tmp_path / "text", "\n".join(lines), compressed)
    text = Corpus(path, "whitespace")
    pieces = list(text)
    assert text.undecodable == 0
    assert "".join(token for tokens in pieces for token in tokens) == "".join(lines)
    assert all(len(token.encode()) <= size + 3 for tokens in pieces for token in tokens)
    # A restart counts pieces as it counts lines.
    monkeypatch.setattr(corpus, "BLOCK_LINES", 10)
    blocks = list(text.blocks(0))
    assert [sentence for block in blocks for sentence in block.sentences] == pieces
    for number, block in enumerate(blocks):
        assert list(text.blocks(0, block.line)) == blocks[number:]


def test_continuation_bytes_alone_are_cut_too(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "MAX_LINE_BYTES", 4)
    text = Corpus(write(tmp_path / "text", b"\x80" * 1000), "whitespace")
    assert sum(len(token) for tokens in text for token in tokens) == 1000
    assert text.undecodable == 1000
    assert max(len(token) for tokens in text for token in tokens) <= 7


def test_blocks_have_fewer_long_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "BLOCK_CHARACTERS", 100)
    lengths = [10, 99, 40, 60, 1, 250, 1, 1, 1]  # with the line feed
    lines = ["é" * (length - 1) for length in lengths]
    text = Corpus(write(tmp_path / "text", "".join(f"{line}\n" for line in lines)), "whitespace")
    blocks = list(text.blocks(0))
    # The line that reaches a hundred characters ends a block.
    assert [block.line for block in blocks] == [0, 2, 4, 6]
    assert list(text) == [[line] for line in lines if line]
    for number, block in enumerate(blocks):
        assert list(text.blocks(0, block.line)) == blocks[number:]


def test_memory_does_not_depend_on_the_line_breaks(tmp_path, monkeypatch):
    """A file of one line takes the memory of a block."""
    monkeypatch.setattr(corpus, "MAX_LINE_BYTES", 2**12)
    monkeypatch.setattr(corpus, "BLOCK_CHARACTERS", 2**15)
    path = write(tmp_path / "text", "abcd " * 400_000)
    text = Corpus(path, "whitespace")
    tracemalloc.start()
    try:
        tokens = sum(map(len, text))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 400_000 <= tokens <= 400_000 + 2_000_000 // 2**12 + 1
    assert peak < 4_000_000  # All of it takes some 25 MB.
