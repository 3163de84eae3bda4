"""The projection of a teacher's vectors to their principal components."""

import hashlib
import math
import pathlib
import zipfile
from typing import NamedTuple

import numpy as np

from elmo_keras.files.atomic_write import atomic_write
from elmo_keras.training.corpus import Corpus
from elmo_keras.training.teacher import Teacher, check_targets

# Sentences by which a teacher is recognized.
_PROBE_SENTENCES = 4


class Projection(NamedTuple):
    """A linear map of vectors to principal components whose variances add up to 1.

    Attributes:
        mean: `(dim,)` float32, the mean vector.
        matrix: `(dim, components)` float32. Its columns are orthogonal and of one length; the
            first component has the largest variance.
        bound: `(components,)` float32. Bounds of the components' absolute values in the sample.
        explained: float. Share of the variance of the vectors that the components keep.
        probe_text: str. Some sentences of the sample, one on each line.
        probe: `(tokens, dim)` float32, the teacher's vectors of these sentences, which identify it.
    """

    mean: np.ndarray
    matrix: np.ndarray
    bound: np.ndarray
    explained: float
    probe_text: str = ""
    probe: np.ndarray = np.zeros((0, 0), "float32")

    @property
    def digest(self) -> str:
        """Digest of the map, 40 hexadecimal digits."""
        data = self.mean.astype("<f4").tobytes() + self.matrix.astype("<f4").tobytes()
        return hashlib.sha1(data).hexdigest()

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Returns the components `(tokens, components)` of vectors `(tokens, dim)`, float32.

        Raises:
            ValueError: if the vectors are of another size.
        """
        if vectors.shape[-1] != len(self.mean):
            raise ValueError(
                f"The vectors of the teacher must have {len(self.mean)} values, as those that the "
                f"projection was fitted to. Received: {vectors.shape[-1]} values. Use the same "
                "teacher."
            )
        return (vectors - self.mean) @ self.matrix


def fit_projection(vectors: np.ndarray, components: int) -> Projection:
    """Fits a projection to a sample of vectors, by principal component analysis.

    Args:
        vectors: `(tokens, dim)` float array.
        components: int. Number of components; at most `dim` are kept.

    Raises:
        ValueError: if there are fewer than two vectors, or if all of them are equal.
    """
    sample = np.asarray(vectors, "float64")
    total = 0.0
    if len(sample) > 1:
        mean = sample.mean(axis=0)
        centered = sample - mean
        variances, axes = np.linalg.eigh(centered.T @ centered / len(sample))
        variances, axes = variances[::-1], axes[:, ::-1]  # the largest first
        total = variances[variances > 0].sum()
    if not total > 0:
        raise ValueError(
            "The sample of a teacher's vectors must hold different vectors. "
            f"Received: {len(sample)} vectors without any variance. Check the teacher, or give it "
            "more text."
        )
    # Components without variance are rounding errors.
    keep = min(components, int((variances > total * 1e-9).sum()))
    # The sign of an axis is arbitrary: its largest entry is made positive.
    axes = axes[:, :keep]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(keep)])
    matrix = axes / np.sqrt(variances[:keep].sum())
    bound = np.abs(centered @ matrix).max(axis=0)
    return Projection(
        mean.astype("float32"),
        matrix.astype("float32"),
        bound.astype("float32"),
        float(variances[:keep].sum() / total),
    )


def fit_to_corpus(
    teacher: Teacher, corpus: Corpus, components: int, fit_tokens: int, max_length: int
) -> Projection:
    """Fits a projection to the teacher's vectors of the beginnings of a corpus's files.

    Args:
        teacher: `Teacher`.
        corpus: `Corpus`. Each file contributes the same number of tokens, if it has them.
        components: int. Number of components.
        fit_tokens: int. Number of tokens of the sample.
        max_length: int. Maximum number of tokens of a sentence, see `cut_sentences`.

    Raises:
        ValueError: if the corpus is empty, and as `fit_projection` does.
    """
    share = -(-fit_tokens // len(corpus.files))
    sentences: list[list[str]] = []
    for file in range(len(corpus.files)):
        left = share
        for block in corpus.blocks(file):
            for tokens in cut_sentences(block.sentences, max_length):
                if left > 0:
                    sentences.append(tokens)
                    left -= len(tokens)
            if left <= 0:
                break
    if not sentences:
        raise corpus.empty_error()
    parts = []
    for start in range(0, len(sentences), 512):
        some = sentences[start : start + 512]
        vectors, has_target = check_targets(teacher.targets(some), some)
        parts.append(vectors[has_target])
    probe = sentences[:_PROBE_SENTENCES]
    return fit_projection(np.concatenate(parts), components)._replace(
        probe_text="\n".join(" ".join(tokens) for tokens in probe),
        probe=check_targets(teacher.targets(probe), probe).vectors,
    )


def check_same_teacher(teacher: Teacher, projection: Projection, path: pathlib.Path) -> None:
    """Compares a teacher with the one that a stored projection was fitted to.

    Args:
        teacher: `Teacher`.
        projection: `Projection` with a probe.
        path: path of the file of the projection, for the error.

    Raises:
        ValueError: if the teacher's vectors of the probe differ.
    """
    sentences = [line.split(" ") for line in projection.probe_text.split("\n") if line]
    vectors = check_targets(teacher.targets(sentences), sentences).vectors if sentences else None
    if vectors is None or vectors.shape != projection.probe.shape:
        difference = math.inf
    else:
        # Another device rounds differently, and int8 more so.
        size = float(np.abs(projection.probe).mean())
        difference = float(np.abs(vectors - projection.probe).mean()) / max(size, 1e-12)
    if difference > 0.1:
        raise ValueError(
            f"The teacher must be the one that {path} was fitted to. Received: vectors that differ "
            f"by {difference:.0%} for stored sentences. Choose another directory, or the earlier "
            "teacher."
        )


def cut_sentences(sentences: list[list[str]], max_length: int) -> list[list[str]]:
    """Cuts sentences into parts of at most `max_length` tokens."""
    return [
        tokens[start : start + max_length]
        for tokens in sentences
        for start in range(0, len(tokens), max_length)
    ]


def save_projection(projection: Projection, path: pathlib.Path) -> None:
    """Writes a projection as an npz file, atomically."""
    with atomic_write(path) as partial, open(partial, "wb") as file:
        arrays = projection._asdict() | {"probe_text": np.array(projection.probe_text)}
        np.savez(file, **arrays)


def load_projection(path: pathlib.Path) -> Projection:
    """Reads a projection that `save_projection` has written.

    Raises:
        ValueError: if the file is missing, damaged, or holds something else.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            mean, matrix, bound = (arrays[name] for name in ("mean", "matrix", "bound"))
            explained, probe_text = float(arrays["explained"]), str(arrays["probe_text"])
            probe = arrays["probe"]
        is_valid = matrix.ndim == 2 and mean.shape == matrix.shape[:1]
        if not is_valid or bound.shape != matrix.shape[1:] or not np.isfinite(matrix).all():
            raise ValueError(f"arrays of shapes {mean.shape}, {matrix.shape}, {bound.shape}")
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} must be the projection of a teacher's vectors. Received: {error}. Write the "
            "targets again with `elmo-keras teach`."
        ) from error
    return Projection(mean, matrix, bound, explained, probe_text, probe)
