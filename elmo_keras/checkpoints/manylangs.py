"""ELMoForManyLangs: two JSON files, two dictionaries and two files of torch tensors.

Sources: ELMoForManyLangs, `elmo.py` (`Embedder`), `frontend.py`, `modules/`. The tests compare with
the vectors of the program itself.
"""

import contextlib
import functools
import pathlib
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from elmo_keras.checkpoints.checkpoint import Checkpoint
from elmo_keras.checkpoints.loader import Entry, identity_entry, without_padding
from elmo_keras.checkpoints.options import ACTIVATIONS, MAX_CHARACTERS, MAX_LAYERS
from elmo_keras.files import safe_json, stored_array, vocabulary_file
from elmo_keras.files.stored_array import StoredArray
from elmo_keras.layers.bilstm_stack import BiLSTMStack
from elmo_keras.layers.code_point_encoder import CodePointEncoder
from elmo_keras.utils.optional_module import OptionalModule

torch = OptionalModule(
    "torch",
    "The weights of ELMoForManyLangs are torch files: `pip install elmo_keras[manylangs]`, or "
    "convert them where it is installed, `elmo-keras convert SOURCE DESTINATION`.",
)

CONFIG = "config.json"
TOKEN_EMBEDDER, ENCODER = "token_embedder.pkl", "encoder.pkl"
CHARACTERS, WORDS = "char.dic", "word.dic"
# The program strips each line of a dictionary and then reads a key of white space as this one.
IDEOGRAPHIC_SPACE = "\u3000"
MAX_ENTRIES = 10_000_000
# A torch file is a zip archive without compression: its parts are hardly larger than the file.
MAX_EXPANSION = 10


@contextlib.contextmanager
def open_manylangs(directory: pathlib.Path) -> Iterator[Checkpoint]:
    """Opens the model in a directory of ELMoForManyLangs, inside a `with` statement.

    Args:
        directory: path of a directory with `config.json`, the file that its `config_path` names,
            `char.dic`, `word.dic`, `token_embedder.pkl` and `encoder.pkl`.

    Raises:
        ImportError: if torch is not installed.
        ValueError: if a file is missing, damaged or unsafe, or if the files do not belong together.
    """
    source = str(directory)
    token_encoder_options, bilstm_options = _read_configs(directory)
    arrays: dict[str, StoredArray] = {}
    for name in (TOKEN_EMBEDDER, ENCODER):
        tensors = _tensors(_existing(directory / name))
        repeated = sorted(arrays.keys() & tensors.keys())
        if repeated:
            raise ValueError(
                f"Each weight in {source} must be in one file only. Received: {repeated} in both "
                f"{TOKEN_EMBEDDER} and {ENCODER}. Get both from where they were published."
            )
        arrays |= tensors
    has_characters = token_encoder_options["char_embedding_dim"]
    has_words = token_encoder_options["word_embedding_dim"]
    characters = _read_dictionary(directory / CHARACTERS) if has_characters else None
    words = _read_dictionary(directory / WORDS) if has_words else None
    try:
        token_encoder = CodePointEncoder(
            characters=characters,
            words=words,
            # From the weights: a table keeps the rows of entries that the dictionary has lost.
            num_characters=_num_rows(arrays.get("char_emb_layer.embedding.weight")),
            num_words=_num_rows(arrays.get("word_emb_layer.embedding.weight")),
            name="token_encoder",
            **token_encoder_options,
        )
    except ValueError as error:
        raise ValueError(f"The dictionaries in {source} must fit its weights: {error}") from error
    bilstm = BiLSTMStack(**bilstm_options, forget_bias=0.0, residual=True, name="bilstm")
    yield Checkpoint(
        format="ELMoForManyLangs",
        source=source,
        token_encoder=token_encoder,
        bilstm=bilstm,
        table=weight_table(token_encoder, bilstm),
        arrays=arrays,
    )


def _num_rows(table: StoredArray | None) -> int | None:
    return table.shape[0] if table is not None and table.shape else None


def weight_table(encoder: CodePointEncoder, bilstm: BiLSTMStack) -> list[Entry]:
    """Returns the entries of all weights of two layers.

    Args:
        encoder: the token encoder.
        bilstm: the LSTMs.
    """
    root = "token_encoder"
    entries = []
    dim = 0
    if encoder.has_characters:
        shape = (encoder.num_characters, encoder.char_embedding_dim)
        path = f"{root}/char_cnn/char_embedding/embeddings"
        entries.append(without_padding("char_emb_layer.embedding.weight", shape, path))
        for i, (width, count) in enumerate(encoder.filters):
            path = f"{root}/char_cnn/convolution_{i}"
            entries += [
                Entry(
                    f"convolutions.{i}.weight",
                    (count, encoder.char_embedding_dim, width),
                    (f"{path}/kernel",),
                    lambda x: [_aligned(x.transpose(2, 1, 0))],
                    lambda x: x.transpose(2, 1, 0),
                ),
                identity_entry(f"convolutions.{i}.bias", (count,), f"{path}/bias"),
            ]
        dim = sum(count for _, count in encoder.filters)
        for i in range(encoder.num_highways):
            entries += _highway(f"highways._layers.{i}", dim, f"{root}/char_cnn/highway_{i}")
    if encoder.has_words:
        shape = (encoder.num_words, encoder.word_embedding_dim)
        path = f"{root}/word_embedding/embeddings"
        entries.append(without_padding("word_emb_layer.embedding.weight", shape, path))
        dim += encoder.word_embedding_dim
    size = encoder.projection_dim
    entries += [
        _linear("projection.weight", (size, dim), f"{root}/projection/kernel"),
        identity_entry("projection.bias", (size,), f"{root}/projection/bias"),
    ]
    for direction in ("forward", "backward"):
        for j in range(bilstm.num_layers):
            source, path = f"{direction}_layer_{j}", f"bilstm/{direction}_{j}"
            gates = (4 * bilstm.units, size)
            # The files hold the gates in this package's order, i, f, g, o. The +1 of the forget
            # gate is part of the bias.
            entries += [
                _linear(f"{source}.input_linearity.weight", gates, f"{path}/input_gates/kernel"),
                _linear(
                    f"{source}.state_linearity.weight", gates, f"{path}/recurrent_gates/kernel"
                ),
                identity_entry(
                    f"{source}.state_linearity.bias", gates[:1], f"{path}/input_gates/bias"
                ),
                _linear(
                    f"{source}.state_projection.weight",
                    (size, bilstm.units),
                    f"{path}/projection/kernel",
                ),
            ]
    return entries


def _linear(name: str, shape: tuple[int, int], path: str) -> Entry:
    return Entry(name, shape, (path,), lambda x: [_aligned(x.T)], lambda x: x.T)


def _highway(name: str, dim: int, path: str) -> list[Entry]:
    """Returns the entries of a highway, whose two Dense layers are one array in the file.

    ELMoForManyLangs' gate weighs the input, this package's gate the transformed input. 1 -
    sigmoid(x) equals sigmoid(-x), so the sign changes.
    """
    return [
        Entry(
            f"{name}.weight",
            (2 * dim, dim),
            (f"{path}/transform/kernel", f"{path}/gate/kernel"),
            lambda x: [_aligned(x[:dim].T), _aligned(-x[dim:].T)],
            lambda transform, gate: np.concatenate([transform.T, -gate.T]),
        ),
        Entry(
            f"{name}.bias",
            (2 * dim,),
            (f"{path}/transform/bias", f"{path}/gate/bias"),
            lambda x: [x[:dim], -x[dim:]],
            lambda transform, gate: np.concatenate([transform, -gate]),
        ),
    ]


def _aligned(x: np.ndarray) -> np.ndarray:
    array = stored_array.aligned_empty(x.shape)
    array[...] = x
    return array


def _read_configs(directory: pathlib.Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the arguments of CodePointEncoder and of BiLSTMStack that the JSON files give."""
    path = _existing(directory / CONFIG)
    read = safe_json.Reader(str(path), "the config.json of an ELMoForManyLangs model")
    content = safe_json.load(path, "training arguments")
    if not isinstance(content, dict) or not isinstance(content.get("config_path"), str):
        received = content.get("config_path") if isinstance(content, dict) else content
        raise read.error("config_path", "the name of a JSON file", received)
    # Often a path on the author's machine: only its last part names a file of the directory.
    name = content["config_path"].replace("\\", "/").rsplit("/", 1)[-1]
    path = directory / name
    if name in ("", CONFIG) or not path.is_file():
        raise ValueError(
            f"{directory} must hold the file that config_path in its config.json names. Received: "
            f"no file {name!r}. In the published models it is cnn_50_100_512_4096_sample.json: "
            "put it there."
        )
    read = safe_json.Reader(str(path), "the configuration of an ELMoForManyLangs model")
    content = safe_json.load(path, "configuration")
    if not isinstance(content, dict):
        raise read.error("the file", "an object with 'encoder' and 'token_embedder'", content)
    lstm, cnn = read.section(content, "encoder"), read.section(content, "token_embedder")
    for section, prefix, name in ((lstm, "encoder.", "elmo"), (cnn, "token_embedder.", "cnn")):
        if str(section.get("name")).lower() != name:
            must_be = f"{name!r}, which all published models have"
            raise read.error(f"{prefix}name", must_be, section.get("name"))
    dim = read.integer(lstm, "projection_dim", "encoder.")
    bilstm = {
        "num_layers": read.integer(lstm, "n_layers", "encoder.", highest=MAX_LAYERS),
        "units": read.integer(lstm, "dim", "encoder."),
        "projection_dim": dim,
        "cell_clip": read.positive(lstm, "cell_clip", "encoder."),
        "projection_clip": read.positive(lstm, "proj_clip", "encoder."),
    }
    prefix = "token_embedder."
    char_dim = read.integer(cnn, "char_dim", prefix, lowest=0)
    max_characters = read.integer(
        cnn, "max_characters_per_token", prefix, default=50, lowest=3, highest=MAX_CHARACTERS
    )
    encoder: dict[str, Any] = {
        "word_embedding_dim": read.integer(cnn, "word_dim", prefix, lowest=0),
        "char_embedding_dim": char_dim,
        "max_characters": max_characters,
        "projection_dim": dim,
    }
    if char_dim:
        encoder |= {
            "filters": read.filters(cnn, "filters", prefix, max_characters),
            "num_highways": read.integer(cnn, "n_highway", prefix, lowest=0, highest=MAX_LAYERS),
            "activation": read.choice(cnn, "activation", prefix, ACTIVATIONS),
        }
    return encoder, bilstm


def _existing(path: pathlib.Path) -> pathlib.Path:
    if not path.is_file():
        raise ValueError(
            f"{path.parent} must hold all files of an ELMoForManyLangs model. Received: no "
            f"{path.name}. Unpack the whole archive."
        )
    return path


def _read_dictionary(path: pathlib.Path) -> list[str]:
    """Reads a `.dic` file: one entry, a tab and its id per line.

    Like the program, this function strips each line before it splits it. An entry of white space is
    lost that way, and its id goes to U+3000; the last of several such ids holds. Unlike in the
    program, only a line feed ends a line, so that other line breaks can be entries.

    Returns:
        The entries in the order of their ids; `""` for an id without an entry.
    """
    id_of: dict[str, int] = {}
    keys = set()
    for line_number, line in enumerate(vocabulary_file.read(_existing(path)), start=1):
        fields = line.strip().split("\t")
        entry, digits = fields if len(fields) == 2 else (IDEOGRAPHIC_SPACE, fields[0])
        if len(fields) > 2 or not (digits.isascii() and digits.isdigit()):
            raise ValueError(
                f"{path} must be a dictionary: an entry, a tab and its number on each line. "
                f"Received: {line[:60]!r} as line {line_number}. Fetch it again."
            )
        key = line.rpartition("\t")[0]
        if key in keys:
            raise ValueError(
                f"{path} must be a dictionary that holds each entry once. Received: {key!r} again "
                f"as line {line_number}. Fetch it again."
            )
        keys.add(key)
        id_of[entry] = int(digits.lstrip("0")[:12] or 0)
    size = max(id_of.values(), default=-1) + 1
    if size > min(MAX_ENTRIES, 10 * len(id_of) + 1000):
        raise ValueError(
            f"{path} must be a dictionary that numbers its entries from 0 on. Received: the number "
            f"{size - 1} among {len(id_of)} entries. Fetch it again."
        )
    entries = [""] * size
    for entry, index in id_of.items():
        if entries[index]:
            raise ValueError(
                f"{path} must be a dictionary with a different number for each entry. Received: "
                f"{index} for {entries[index]!r} and {entry!r}. Fetch it again."
            )
        entries[index] = entry
    return entries


def _tensors(path: pathlib.Path) -> dict[str, StoredArray]:
    """Reads the tensors of a torch file by name, without running code from the file."""
    load = torch.load  # Raises the ImportError, with its advice, if torch is not installed.
    try:
        _check_expansion(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about things that are refused below
            state = load(path, map_location="cpu", weights_only=True)
    except (
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        struct.error,
        RuntimeError,
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        AssertionError,
        EOFError,
        OSError,
        OverflowError,
        MemoryError,
        RecursionError,
        ImportError,
        NotImplementedError,
    ) as error:
        raise ValueError(
            f"{path} must be a torch file of weights alone. Received: {_reason(error)}. It is "
            "damaged, or holds more than weights: get it from where it was published."
        ) from error
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in state.items()
    ):
        raise ValueError(
            f"{path} must hold tensors by name. Received: {type(state).__name__} of other things. "
            "Get it from where it was published."
        )
    return {name: _stored(tensor, name, path) for name, tensor in state.items()}


def _check_expansion(path: pathlib.Path) -> None:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            size = sum(info.file_size for info in archive.infolist())
        if size > MAX_EXPANSION * path.stat().st_size + 2**20:
            raise ValueError(f"parts that expand to {size} bytes")


def _stored(tensor: Any, name: str, path: pathlib.Path) -> StoredArray:
    is_plain = tensor.layout == torch.strided and not (tensor.is_quantized or tensor.is_meta)
    size = tensor.numel() * tensor.element_size()
    if not is_plain or size > tensor.untyped_storage().nbytes():
        raise ValueError(
            f"{path} must hold all values of its tensors. Received: {name} of shape "
            f"{tuple(tensor.shape)}, without all of its values. Get the file from where it was "
            "published."
        )
    dtype = np.dtype("float32") if tensor.is_floating_point() else np.dtype("int64")
    return StoredArray(tuple(tensor.shape), dtype, functools.partial(_values, tensor))


def _values(tensor: Any) -> np.ndarray:
    # A copy: tensors of the file may share memory, weights must not.
    return tensor.detach().to(torch.float32, copy=True).contiguous().numpy()


def _reason(error: BaseException) -> str:
    """Returns the reason in a torch error, without its advice to load the file unsafely."""
    text = str(error).strip()
    match = re.search(r"(?:WeightsUnpickler error: |Trying to load )(.*?)(?:\.\s|\n|$)", text)
    line = match[1] if match else text.split("\n")[0]
    return line.rstrip(".") or type(error).__name__
