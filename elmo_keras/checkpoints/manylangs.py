"""ELMoForManyLangs: dictionaries, two JSON files, two files of torch tensors.

Sources: ELMoForManyLangs, `elmo.py` (`Embedder`), `frontend.py`, `modules/`; all of it confirmed
against the program's own vectors.
"""

import contextlib
import pathlib
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Iterator

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
# What a key of white space becomes in the program: it strips each line of a dictionary.
IDEOGRAPHIC_SPACE = "\u3000"
MAX_ENTRIES = 10_000_000
# A torch file is a zip of stored, not compressed, parts; little more than its size can come of it.
MAX_EXPANSION = 10


@contextlib.contextmanager
def open_manylangs(directory: pathlib.Path) -> Iterator[Checkpoint]:
    """The model in a directory of ELMoForManyLangs.

    Args:
        directory: with `config.json` and the file that it names in `config_path`, `char.dic`,
            `word.dic`, `token_embedder.pkl` and `encoder.pkl`.

    Raises:
        ImportError: if torch is not installed.
        ValueError: if a file is missing, damaged or hostile, or if they do not fit each other.
    """
    source = str(directory)
    token_encoder_options, bilstm_options = _read_configs(directory)
    datasets = {}
    for name in (TOKEN_EMBEDDER, ENCODER):
        tensors = _tensors(_existing(directory / name))
        twice = sorted(datasets.keys() & tensors.keys())
        if twice:
            raise ValueError(
                f"The weights in {source} must be in one of its files each. Received: {twice} in "
                f"{TOKEN_EMBEDDER} and {ENCODER}. Get both from where they were published."
            )
        datasets |= tensors
    dictionaries = {
        key: _read_dictionary(_existing(directory / file)) if is_used else None
        for key, file, is_used in (
            ("characters", CHARACTERS, token_encoder_options["char_embedding_dim"]),
            ("words", WORDS, token_encoder_options["word_embedding_dim"]),
        )
    }
    # The tables have as many rows as their tensors: entries that the program lost keep theirs.
    rows = {"num_characters": "char_emb_layer", "num_words": "word_emb_layer"}
    for key, layer in rows.items():
        table = datasets.get(f"{layer}.embedding.weight")
        rows[key] = table.shape[0] if table is not None and table.shape else None
    try:
        token_encoder = CodePointEncoder(
            **dictionaries, **rows, **token_encoder_options, name="token_encoder"
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
        arrays=datasets,
    )


def weight_table(encoder: CodePointEncoder, bilstm: BiLSTMStack) -> list[Entry]:
    """The format's table for two layers: (their name, their shape, our paths, transform)."""
    ours = "token_encoder"
    rows = []
    dim = 0
    if encoder.has_characters:
        shape = (encoder.num_characters, encoder.char_embedding_dim)
        path = f"{ours}/char_cnn/char_embedding/embeddings"
        rows.append(without_padding("char_emb_layer.embedding.weight", shape, path))
        for i, (width, number) in enumerate(encoder.filters):
            path = f"{ours}/char_cnn/convolution_{i}"
            rows += [
                Entry(
                    f"convolutions.{i}.weight",
                    (number, encoder.char_embedding_dim, width),
                    (f"{path}/kernel",),
                    lambda x: [_aligned(x.transpose(2, 1, 0))],
                    lambda x: x.transpose(2, 1, 0),
                ),
                identity_entry(f"convolutions.{i}.bias", (number,), f"{path}/bias"),
            ]
        dim = sum(number for _, number in encoder.filters)
        for i in range(encoder.num_highways):
            rows += _highway(f"highways._layers.{i}", dim, f"{ours}/char_cnn/highway_{i}")
    if encoder.has_words:
        shape = (encoder.num_words, encoder.word_embedding_dim)
        path = f"{ours}/word_embedding/embeddings"
        rows.append(without_padding("word_emb_layer.embedding.weight", shape, path))
        dim += encoder.word_embedding_dim
    size = encoder.projection_dim
    rows += [
        _linear("projection.weight", (size, dim), f"{ours}/projection/kernel"),
        identity_entry("projection.bias", (size,), f"{ours}/projection/bias"),
    ]
    for direction in ("forward", "backward"):
        for j in range(bilstm.num_layers):
            theirs, path = f"{direction}_layer_{j}", f"bilstm/{direction}_{j}"
            gates = 4 * bilstm.units
            # Their gates stand in our order, i, f, g, o; the forget gate's +1 is in the bias.
            rows += [
                _linear(
                    f"{theirs}.input_linearity.weight", (gates, size), f"{path}/input_gates/kernel"
                ),
                _linear(
                    f"{theirs}.state_linearity.weight",
                    (gates, size),
                    f"{path}/recurrent_gates/kernel",
                ),
                identity_entry(
                    f"{theirs}.state_linearity.bias", (gates,), f"{path}/input_gates/bias"
                ),
                _linear(
                    f"{theirs}.state_projection.weight",
                    (size, bilstm.units),
                    f"{path}/projection/kernel",
                ),
            ]
    return rows


def _linear(name, shape, path):
    return Entry(name, shape, (path,), lambda x: [_aligned(x.T)], lambda x: x.T)


def _highway(name, dim, path):
    # One product for both: first the transform, then the gate, which opens the carry and not, as
    # ours, the transform; 1 - sigmoid(x) is sigmoid(-x).
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


def _aligned(x):
    array = stored_array.aligned_empty(x.shape)
    array[...] = x
    return array


def _read_configs(directory):
    """`(arguments of CodePointEncoder, arguments of BiLSTMStack)` of a directory's JSON files."""
    path = _existing(directory / CONFIG)
    kind = "the config.json of an ELMoForManyLangs model"
    read = safe_json.Reader(str(path), kind)
    content = safe_json.load(path, "training arguments")
    if not isinstance(content, dict) or not isinstance(content.get("config_path"), str):
        received = content.get("config_path") if isinstance(content, dict) else content
        raise read.error("config_path", "the name of a JSON file", received)
    # The path is often that of the author's machine: the file lies beside, under its last name.
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
    encoder = {
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


def _existing(path):
    if not path.is_file():
        raise ValueError(
            f"{path.parent} must hold all files of an ELMoForManyLangs model. Received: no "
            f"{path.name}. Unpack the whole archive."
        )
    return path


def _read_dictionary(path: pathlib.Path) -> list[str]:
    """The entries of a `.dic` file, `entry<TAB>number` a line, in the order of their numbers.

    As the program does it, a line is stripped first: an entry of white space is lost, and its
    number becomes that of U+3000; of several such numbers the last one holds. Unlike there, a line
    ends at a line feed alone, so that other line ends may be entries.
    """
    numbers, keys = {}, set()
    for place, line in enumerate(vocabulary_file.read(path), start=1):
        fields = line.strip().split("\t")
        entry, number = fields if len(fields) == 2 else (IDEOGRAPHIC_SPACE, fields[0])
        if len(fields) > 2 or not (number.isascii() and number.isdigit()):
            raise ValueError(
                f"{path} must be a dictionary: an entry, a tab and its number on each line. "
                f"Received: {line[:60]!r} as line {place}. Fetch it again."
            )
        key = line.rpartition("\t")[0]
        if key in keys:
            raise ValueError(
                f"{path} must be a dictionary that holds each entry once. Received: {key!r} again "
                f"as line {place}. Fetch it again."
            )
        keys.add(key)
        numbers[entry] = int(number.lstrip("0")[:12] or 0)
    size = max(numbers.values(), default=-1) + 1
    if size > min(MAX_ENTRIES, 10 * len(numbers) + 1000):
        raise ValueError(
            f"{path} must be a dictionary that numbers its entries from 0 on. Received: the number "
            f"{size - 1} among {len(numbers)} entries. Fetch it again."
        )
    entries = [""] * size
    for entry, number in numbers.items():
        if entries[number]:
            raise ValueError(
                f"{path} must be a dictionary that gives each entry a number of its own. Received: "
                f"{number} for {entries[number]!r} and {entry!r}. Fetch it again."
            )
        entries[number] = entry
    return entries


def _tensors(path: pathlib.Path) -> dict[str, StoredArray]:
    """The tensors of a torch file by name; no code of the file is run."""
    load = torch.load  # ImportError here, with its advice, if torch is not installed
    try:
        _check_expansion(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is refused below
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
    return {name: _dataset(tensor, name, path) for name, tensor in state.items()}


def _check_expansion(path):
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            size = sum(info.file_size for info in archive.infolist())
        if size > MAX_EXPANSION * path.stat().st_size + 2**20:
            raise ValueError(f"parts that expand to {size} bytes")


def _dataset(tensor, name, path):
    is_plain = tensor.layout == torch.strided and not (tensor.is_quantized or tensor.is_meta)
    size = tensor.numel() * tensor.element_size()
    if not is_plain or size > tensor.untyped_storage().nbytes():
        raise ValueError(
            f"{path} must hold what it says. Received: {name} of shape {tuple(tensor.shape)}, "
            "which are not its numbers. Get the file from where it was published."
        )

    def read():
        # A copy: tensors may share their numbers, weights must not.
        return tensor.detach().to(torch.float32, copy=True).contiguous().numpy()

    kind = np.dtype("float32") if tensor.is_floating_point() else np.dtype("int64")
    return StoredArray(tuple(tensor.shape), kind, read)


def _reason(error):
    """What torch found, without its advice to run the file all the same."""
    text = str(error).strip()
    found = re.search(r"(?:WeightsUnpickler error: |Trying to load )(.*?)(?:\.\s|\n|$)", text)
    line = found[1] if found else text.split("\n")[0]
    return line.rstrip(".") or type(error).__name__
