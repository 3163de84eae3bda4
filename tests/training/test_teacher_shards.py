"""Targets on disk: equal to the teacher's, written once, continued after a stop, checked."""

import json
import pathlib
import shutil
import sys

import numpy as np
import pytest

from elmo_keras import training
from elmo_keras.training import projection, teacher_shards
from tests.training import small_run
from tests.training.small_teacher import SmallTeacher, has_target, vector, write_shards


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return small_run.write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def written(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("targets") / "targets"
    write_shards(corpus, folder)
    return folder


@pytest.fixture
def folder(written, tmp_path):
    """A copy of the targets that the test may damage."""
    return shutil.copytree(written, tmp_path / "targets")


def expected_targets(corpus, components):
    """Principal components by a singular value decomposition; the signs are not determined."""
    words = [word for tokens in corpus for word in tokens]
    vectors = np.array([vector(word) for word in words if has_target(word)])
    mean = vectors.mean(axis=0)
    _, sizes, axes = np.linalg.svd(vectors - mean, full_matrices=False)
    scale = np.sqrt(np.sum(sizes[:components] ** 2) / len(vectors))
    return {word: (vector(word) - mean) @ axes[:components].T / scale for word in set(words)}


@pytest.mark.parametrize(("dtype", "tolerance"), [("int8", 1e-2), ("float16", 1e-3)])
def test_targets_are_principal_components(corpus, tmp_path, dtype, tolerance):
    shards = write_shards(corpus, tmp_path, dtype=dtype)
    expected = expected_targets(corpus, 4)
    sentences = list(corpus)
    assert len(shards) == len(sentences)
    assert shards.num_tokens == sum(map(len, sentences))
    for index, tokens in enumerate(sentences):
        actual = shards[index]
        assert actual.tokens == tokens
        assert actual.has_target.tolist() == [has_target(word) for word in tokens]
        for word, row, is_there in zip(tokens, actual.vectors, actual.has_target):
            # The largest entries are near 4.
            aligned = np.abs(row) if is_there else row
            wanted = np.abs(expected[word]) if is_there else np.zeros(4)
            np.testing.assert_allclose(aligned, wanted, atol=4 * tolerance)
    rows = [shards[index].vectors[shards[index].has_target] for index in range(len(shards))]
    taught = np.concatenate(rows)
    assert np.var(taught, axis=0).sum() == pytest.approx(1, rel=0.02)
    assert shards.projection.explained == pytest.approx(
        1 - np.sum(_left_variances(corpus)), rel=1e-6
    )


def _left_variances(corpus):
    words = [word for tokens in corpus for word in tokens if has_target(word)]
    vectors = np.array([vector(word) for word in words])
    sizes = np.linalg.svd(vectors - vectors.mean(axis=0), compute_uv=False) ** 2
    return sizes[4:] / sizes.sum()


def test_a_stopped_call_is_continued(corpus, tmp_path, small_blocks):
    """Complete shards are kept, and the result is equal to the bit."""
    whole = write_shards(corpus, tmp_path / "whole")
    stopped = SmallTeacher(limit=9)
    with pytest.raises(RuntimeError, match="has stopped"):
        training.write_teacher_shards(stopped, corpus, tmp_path / "parts", components=4)
    kept = len(list((tmp_path / "parts").glob("shard-*")))
    assert 0 < kept < len(list((tmp_path / "whole").glob("shard-*")))
    with pytest.raises(ValueError, match="complete targets. Received: .* interrupted"):
        training.TeacherShards(tmp_path / "parts")
    rest = SmallTeacher()
    parts = training.write_teacher_shards(rest, corpus, tmp_path / "parts", components=4)
    assert rest.calls <= len(list((tmp_path / "whole").glob("shard-*"))) - kept + 1
    assert parts.digest == whole.digest
    for index in range(len(whole)):
        np.testing.assert_array_equal(parts[index].vectors, whole[index].vectors)


def test_a_finished_call_asks_nothing(corpus, folder):
    teacher = SmallTeacher(limit=1)  # one call compares the teacher with the one before
    training.write_teacher_shards(teacher, corpus, folder, components=4)


def test_another_teacher_is_refused(corpus, folder):
    with pytest.raises(ValueError, match="must be the one that .*vectors that differ by 200%"):
        training.write_teacher_shards(SmallTeacher(scale=-1.0), corpus, folder, components=4)


def test_other_settings_are_refused(corpus, folder):
    with pytest.raises(ValueError, match="components was 4 and is 3; dtype was 'int8' and is"):
        write_shards(corpus, folder, components=3, dtype="float16")


def test_another_teacher_is_refused_before_the_first_shard(corpus, tmp_path):
    with pytest.raises(RuntimeError, match="has stopped"):
        training.write_teacher_shards(SmallTeacher(limit=2), corpus, tmp_path, components=4)
    assert (tmp_path / teacher_shards.PROJECTION).exists()
    assert not list(tmp_path.glob("shard-*"))
    with pytest.raises(ValueError, match="must be the one that"):
        training.write_teacher_shards(SmallTeacher(scale=2.0), corpus, tmp_path, components=4)


def test_another_corpus_is_refused(corpus, folder, tmp_path):
    """Files of the same names with other lines."""
    other = small_run.write_corpus(tmp_path / "other", seed=1)
    with pytest.raises(ValueError, match="the same corpus. Received: text that differs"):
        write_shards(other, folder)


def test_a_corpus_that_grew_is_written_to_its_end(corpus, tmp_path, small_blocks):
    for path in corpus.files:
        (tmp_path / "text").mkdir(exist_ok=True)
        lines = path.read_text().splitlines(keepends=True)
        (tmp_path / "text" / path.name).write_text("".join(lines[:60]))
    shorter = training.Corpus(tmp_path / "text", "whitespace")
    write_shards(shorter, tmp_path / "targets")
    for path in corpus.files:
        shutil.copy(path, tmp_path / "text" / path.name)
    with pytest.raises(RuntimeError, match="has stopped"):
        training.write_teacher_shards(
            SmallTeacher(limit=5), shorter, tmp_path / "targets", components=4
        )
    with pytest.raises(ValueError, match="must hold complete targets"):
        training.TeacherShards(tmp_path / "targets")
    assert len(write_shards(shorter, tmp_path / "targets")) == 240


def test_a_damaged_shard_is_written_again(corpus, folder):
    before = training.TeacherShards(folder)
    expected = before[7].vectors
    path = next(folder.glob("shard-*")) / "vectors.npy"
    path.write_bytes(path.read_bytes()[:-1])
    shards = write_shards(corpus, folder)
    np.testing.assert_array_equal(shards[7].vectors, expected)
    assert len(shards) == 240


def test_many_shards_need_few_file_descriptors(corpus, tmp_path, small_blocks, monkeypatch):
    monkeypatch.setattr(teacher_shards, "_MAPPED_SHARDS", 2)
    resource = pytest.importorskip("resource", reason="Windows has no limit to set")
    write_shards(corpus, tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    number = len(list(tmp_path.glob("shard-*")))
    used = len(list(pathlib.Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 100
    assert number * 5 > 200
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 100, hard))
    try:
        shards = training.TeacherShards(tmp_path)
        tokens = [shards[index].tokens for index in range(len(shards))]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert tokens == list(corpus)


def test_long_sentences_are_cut(corpus, tmp_path):
    shards = write_shards(corpus, tmp_path, max_length=5)
    assert shards.lengths.max() == 5
    words = [word for index in range(len(shards)) for word in shards[index].tokens]
    assert words == [word for tokens in corpus for word in tokens]


@pytest.mark.parametrize(
    "options", [{"components": 0}, {"dtype": "int4"}, {"fit_tokens": True}, {"max_length": 2.5}]
)
def test_arguments_are_checked(corpus, tmp_path, options):
    with pytest.raises(ValueError, match=f"`{next(iter(options))}` must be"):
        write_shards(corpus, tmp_path, **options)


def test_nan_is_refused(corpus, tmp_path):
    def broken(sentences):
        return [np.full((len(tokens), 2), np.nan) for tokens in sentences]

    with pytest.raises(ValueError, match="must be finite"):
        training.write_teacher_shards(training.CallableTeacher(broken), corpus, tmp_path)


def test_vectors_without_variance_are_refused(corpus, tmp_path):
    def constant(sentences):
        return [np.ones((len(tokens), 2)) for tokens in sentences]

    with pytest.raises(ValueError, match="without any variance"):
        training.write_teacher_shards(training.CallableTeacher(constant), corpus, tmp_path)


def test_an_empty_corpus_is_refused(tmp_path):
    (tmp_path / "text").write_text("\n")
    corpus = training.Corpus(tmp_path / "text", "whitespace")
    with pytest.raises(ValueError, match="must hold sentences"):
        write_shards(corpus, tmp_path / "targets")


def test_a_folder_without_targets_is_refused(tmp_path):
    with pytest.raises(ValueError, match="without teacher.json"):
        training.TeacherShards(tmp_path)


@pytest.mark.parametrize("name", ["text", "text_ends", "token_ends", "vectors", "has_target"])
@pytest.mark.parametrize("damage", ["truncated", "absent", "short", "text"])
def test_a_damaged_shard_is_refused(folder, name, damage):
    path = next(folder.glob("shard-*")) / f"{name}.npy"
    content = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(content[:-1])
    elif damage == "absent":
        path.unlink()
    elif damage == "short":
        np.save(path, np.load(path)[:-1])
    else:
        path.write_text("no array")
    with pytest.raises(ValueError, match="must be a shard"):
        training.TeacherShards(folder)


def test_nan_in_a_shard_is_refused(corpus, tmp_path):
    write_shards(corpus, tmp_path, dtype="float16")
    path = next(tmp_path.glob("shard-*")) / "vectors.npy"
    vectors = np.load(path)
    vectors[3, 1] = np.nan
    np.save(path, vectors)
    with pytest.raises(ValueError, match="must be finite. Received: NaN"):
        training.TeacherShards(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "another"},
        {"version": 99},
        {"shards": "all"},
        {"shards": ["../outside"]},
        {"settings": None},
    ],
)
def test_a_damaged_manifest_is_refused(folder, change):
    path = folder / teacher_shards.MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match="teacher.json must"):
        training.TeacherShards(folder)


def test_a_damaged_projection_is_refused(folder):
    path = folder / teacher_shards.PROJECTION
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="must be the projection"):
        training.TeacherShards(folder)


def test_a_sentence_out_of_range(written):
    shards = training.TeacherShards(written)
    for index in (-1, len(shards)):
        with pytest.raises(IndexError, match="from 0 to 239"):
            shards[index]


def test_vectors_of_another_size_are_refused():
    fitted = projection.fit_projection(np.random.default_rng(0).normal(size=(20, 3)), 2)
    with pytest.raises(ValueError, match="must have 3 values.*Received: 4"):
        fitted(np.zeros((1, 4)))


def test_no_more_components_than_values():
    fitted = projection.fit_projection(np.random.default_rng(0).normal(size=(20, 3)), 128)
    assert fitted.matrix.shape == (3, 3)
    assert fitted.explained == pytest.approx(1)


def test_tokens_of_any_script(tmp_path):
    (tmp_path / "text").write_text("猫 sat\nstraße 😀\n", encoding="utf-8")
    corpus = training.Corpus(tmp_path / "text", "whitespace")

    def codes(sentences):
        return [[[float(ord(token[-1])), 0] for token in tokens] for tokens in sentences]

    shards = training.write_teacher_shards(
        training.CallableTeacher(codes), corpus, tmp_path / "targets"
    )
    assert [shards[index].tokens for index in range(2)] == [["猫", "sat"], ["straße", "😀"]]
