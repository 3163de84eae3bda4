"""Hostile values in a preset's `config.json`, which may name classes and functions."""

import json

import keras
import pytest

from tests.untrusted.changes import MANY, REMOVED, VALUES, changed, dotted, paths_of
from tests.untrusted.jail import assert_loaded, assert_refused
from tests.untrusted.models import read_arrays, write_arrays

pytestmark = pytest.mark.slow


def code():
    """Returns the config of a Lambda layer with arbitrary code, as Keras serializes it."""
    layer = keras.layers.Lambda(lambda x: __import__("planted_module"))
    return keras.saving.serialize_keras_object(layer)


def named(module, name, config=None, registered_name=None):
    keys = ("module", "class_name", "config", "registered_name")
    return dict(zip(keys, (module, name, config or {}, registered_name)))


def put(path, value):
    """Returns a change that sets a config value; `value` may be a function of the old value."""

    def change(config):
        *parents, last = path.split(".")
        part = config["config"]
        for parent in parents:
            part = part[parent]
        part[last] = value(part.get(last)) if callable(value) else value

    return change


def moved(old):
    return named("elmo_keras.layers", "ElmoLayer", {"token_encoder": old})


def nested(old):
    for _ in range(150):
        old = named("keras.layers", "TimeDistributed", {"layer": old})
    return old


CNN, LSTM = "token_encoder.config.", "bilstm.config."
CONFIGS = {
    "code as the token encoder": put("token_encoder", lambda old: code()),
    "code as the LSTMs": put("bilstm", lambda old: code()),
    "code as the tokenizer": put("tokenizer", lambda old: code()),
    "code as an activation": put(f"{CNN}activation", lambda old: code()["config"]["function"]),
    "code as a regularizer": put("mix_regularizer", lambda old: code()["config"]["function"]),
    "code as a dtype": put("dtype", lambda old: code()),
    "code as a part's dtype": put(f"{CNN}dtype", lambda old: code()),
    "code in a Sequential": put(
        "token_encoder",
        lambda old: named("keras", "Sequential", {"name": "x", "layers": [code()]}),
    ),
    "module": put("token_encoder", named("planted_module", "CharCNN")),
    "module below": put("token_encoder", named("keras.planted_module", "CharCNN")),
    "module with a name": put(
        "token_encoder", named("planted_module", "X", registered_name="planted_module>X")
    ),
    "module of an activation": put(f"{CNN}activation", named("planted_module", "function", "x")),
    "os.system": put(f"{CNN}activation", named("os", "function", "system", "function")),
    "a function instead of a layer": put(
        "token_encoder",
        named("keras.utils", "get_file", {"fname": "x", "origin": "file:///etc/hostname"}),
    ),
    "saved model": put("token_encoder", named("keras.layers", "TFSMLayer", {"filepath": "."})),
    "other class": put(
        "token_encoder", lambda old: old | {"registered_name": "elmo_keras>Highway"}
    ),
    "LSTMs as token encoder": put(
        "token_encoder", lambda old: old | {"registered_name": "elmo_keras>BiLSTMStack"}
    ),
    "layer of Keras": put("token_encoder", named("keras.layers", "Dense", {"units": 6})),
    "itself": put("token_encoder", moved),
    "many times nested": put("token_encoder", nested),
    "unknown class": put("token_encoder", named("elmo_keras.layers", "X", {}, "elmo_keras>X")),
    "unknown argument": put("more", 1),
    "unknown argument of a part": put(f"{CNN}more", 1),
    "unknown argument of LSTMs": put(f"{LSTM}more", 1),
    "many layers": put(f"{LSTM}num_layers", MANY),
    "many units": put(f"{LSTM}units", MANY),
    "large projection": put(f"{LSTM}projection_dim", MANY),
    "large projections": lambda config: [
        put(f"{part}projection_dim", MANY)(config) for part in (CNN, LSTM)
    ],
    "large vectors of characters": put(f"{CNN}char_embedding_dim", MANY),
    "many characters": put(f"{CNN}num_characters", MANY),
    "long words": put(f"{CNN}max_characters", MANY),
    "many highways": put(f"{CNN}num_highways", MANY),
    "large filters": put(f"{CNN}filters", [[1, MANY], [2, 8]]),
    "many filters": put(f"{CNN}filters", [[1, 4]] * 10**6),
    "many mixes": put("num_representations", MANY),
    "many rows": lambda config: config["config"].update(state="carry", max_rows=10**7),
    "default parts": lambda config: config["config"].update(token_encoder=None, bilstm=None),
}
WORD_CONFIGS = {
    "word twice": put(f"{CNN}vocabulary", lambda old: old.replace("cat", "the")),
    "word less": put(f"{CNN}vocabulary", lambda old: old.removesuffix("\n.")),
    "no text": put(f"{CNN}vocabulary", 7),
    "numbers": put(f"{CNN}vocabulary", [1, 2, 3]),
    "many words": put(f"{CNN}num_words", MANY),
    "many unknown words": lambda config: config["config"]["token_encoder"]["config"].update(
        vocabulary=None, num_words=10**8
    ),
}


@pytest.mark.parametrize(
    "format, what",
    [("preset", what) for what in CONFIGS] + [("preset of words", what) for what in WORD_CONFIGS],
)
def test_hostile_configs(model, jail, format, what):
    target = model(format)
    file = target.directory / "config.json"
    config = json.loads(file.read_text())
    (CONFIGS | WORD_CONFIGS)[what](config)
    file.write_text(json.dumps(config))
    target.assert_refused(str(target.directory))
    assert not jail.is_trapped()


@pytest.mark.parametrize("state, rows", [("warm", 1), ("carry", 10**7)])
def test_missing_states(model, state, rows):
    target = model("preset")
    file = target.directory / "config.json"
    config = json.loads(file.read_text())
    config["config"].update(state=state, max_rows=rows)
    file.write_text(json.dumps(config))
    arrays = read_arrays(target.weights)
    kept = {key: array for key, array in arrays.items() if not key.startswith("lstm_states/")}
    write_arrays(target.weights, kept)
    target.assert_refused(target.named, "missing: lstm_states/")


@pytest.mark.parametrize("name", ["elmo_keras>CharCNN", "x", None, []])
def test_presets_of_other_classes(model, name):
    target = model("preset")
    file = target.directory / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "registered_name": name}))
    target.assert_refused("registered_name")


# By path of a key: the values that are valid, or that Keras accepts as equivalent.
VALUES_OF_CONFIGS = {
    f"{CNN}filters": [],
    f"{CNN}char_embedding_dim": [],
    f"{CNN}num_highways": [],
    f"{CNN}projection_dim": [],
    f"{CNN}activation": ["null"],
    f"{CNN}max_characters": [],
    f"{CNN}num_characters": [],
    f"{LSTM}num_layers": [],
    f"{LSTM}units": [],
    f"{LSTM}projection_dim": [],
    f"{LSTM}cell_clip": ["null"],
    f"{LSTM}projection_clip": ["null"],
    f"{LSTM}residual": ["zero"],
    f"{LSTM}forget_bias": ["zero", "minus one"],
    "token_encoder": [],
    "bilstm": [],
    "output": ["zero"],
    "num_representations": [],
    "dropout": ["zero"],
    "mix_regularizer": ["null"],
    "layer_norm": ["zero"],
    "keep_boundaries": ["zero"],
    "state": [],
    "max_rows": [],
    "tokenizer": [],
    "tokenizer.config.method": [],
    "tokenizer.config.lowercase": ["zero"],
    "tokenizer.config.max_tokens": ["null", "huge"],
}


def outcomes_of_configs(target, paths, names):
    """Sets values in a preset's config, and returns the unexpected outcomes by path and value."""
    file = target.directory / "config.json"
    config = json.loads(file.read_text())
    wrong = {}
    for path in paths:
        for name in names:
            file.write_text(json.dumps(changed(config, path, name)))
            outcome = target.load()
            try:
                assert_refused(outcome, str(target.directory))
            except AssertionError:
                wrong[dotted(path), name] = outcome
    return wrong


@pytest.mark.parametrize("key", VALUES_OF_CONFIGS)
def test_values_of_configs(model, key):
    # `True` is 1 to Python.
    names = [name for name in VALUES if name not in [*VALUES_OF_CONFIGS[key], "true"]]
    path = ("config", *key.split("."))
    assert outcomes_of_configs(model("preset"), [path], names) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*VALUES, REMOVED])
def test_all_values_of_configs(model, name):
    """Also for keys that Keras reads or ignores: a config that is not refused must load."""
    target = model("preset")
    config = json.loads((target.directory / "config.json").read_text())
    wrong = outcomes_of_configs(target, paths_of(config), [name])
    for outcome in wrong.values():
        assert_loaded(outcome)
