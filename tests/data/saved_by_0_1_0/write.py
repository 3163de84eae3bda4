"""Writes the files in this folder, and the results that `tests/test_saved_files.py` compares.

Run once with version 0.1.0, before the modules of the package were rearranged.
Do not run it again with later code: the files would then prove nothing.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

import elmo_keras
from elmo_keras import layers, text

SENTENCES = [
    "Grandma's kettle whistles at six.",
    "The ferry was late again, and nobody minded!",
    "",
    "Zwölf Igel 🦔 grüßen 2 Dachse.",
    "我们吃面。",
]
TOKENS = [["The", "kettle", "was", "late"], ["Igel"], ["nobody", "minded", "!"]]
TEXTS = ["The kettle was late.", "Lovely, nobody minded!", "Zwölf Dachse.", "我们吃面"]
TEXT_LABELS = ["calm", "merry", "odd", "merry"]
TAGS = [["DET", "NOUN", "VERB", "ADV"], ["NOUN"], ["PRON", "VERB", "PUNCT"]]
TAG_NAMES = ["ADV", "DET", "NOUN", "PRON", "PUNCT", "VERB"]
WORDS = ["</S>", "<S>", "<UNK>", "the", "The", "kettle", "was", "late", "nobody", "minded", "!"]
STATIC_WORDS = ["the", "ferry", "kettle", "dachse", "", "我们"]
CODE_POINT_SPECIAL_TOKENS = ["<bos>", "<eos>", "<oov>", "<pad>", "<bow>", "<eow>"]


# === Models ===


def char_cnn(**options):
    sizes = {"filters": [(1, 3), (2, 4)], "char_embedding_dim": 3, "num_highways": 1}
    return layers.CharCNN(**{**sizes, "projection_dim": 4, **options})


def code_points():
    return layers.CodePointEncoder(
        characters=[*CODE_POINT_SPECIAL_TOKENS, *"abcdefgklmnorstwyü我们吃面"],
        words=[*CODE_POINT_SPECIAL_TOKENS, "The", "kettle", "我们"],
        num_words=12,
        filters=[(1, 3), (2, 4)],
        char_embedding_dim=3,
        word_embedding_dim=2,
        num_highways=1,
        projection_dim=4,
        max_characters=10,
    )


def word_table():
    return layers.WordEmbedding(len(WORDS), 4, vocabulary=WORDS)


def bilstm(**options):
    return layers.BiLSTMStack(**{"units": 6, "projection_dim": 4, "num_layers": 2, **options})


def elmo_layer(token_encoder=None, lstm=None, **options):
    """A small ElmoLayer with random weights, built."""
    elmo = elmo_keras.ElmoLayer(token_encoder or char_cnn(), lstm or bilstm(), **options)
    elmo.build((None, None, *elmo.ids_shape))
    randomize(elmo)
    return elmo


def randomize(layer):
    """Replaces all weights, biases and mixes among them, by random ones."""
    rng = np.random.default_rng(len(layer.weights))
    layer.set_weights([rng.normal(0, 0.7, weight.shape) for weight in layer.weights])


def fitted(model, x, y):
    """The model with random weights after two optimizer steps."""
    randomize(model)
    return trained(model, x, y)


def spread_labels(model, layer, x):
    """Changes the last layer so that different inputs get different labels."""
    kernel, bias = model.get_layer(layer).get_weights()
    model.get_layer(layer).set_weights([5 * kernel, bias])
    probabilities = model.predict(x, verbose=0).reshape(-1, len(bias))
    is_token = probabilities.sum(axis=-1) > 0
    bias = bias - np.log(probabilities[is_token]).mean(axis=0)
    model.get_layer(layer).set_weights([5 * kernel, bias])


def trained(model, x, y):
    model.fit(x, y, batch_size=len(y) // 2 + 1, shuffle=False, epochs=1, verbose=0)
    return model


def classifier(elmo, **options):
    model = elmo_keras.ElmoTextClassifier(elmo, ["calm", "merry", "odd"], **options)
    randomize(model)
    spread_labels(model, "probabilities", SENTENCES[:2] + SENTENCES[3:])
    return trained(model, TEXTS, TEXT_LABELS)


def tagger():
    lstm = bilstm(num_layers=1)
    elmo = elmo_layer(lstm=lstm, state="warm", layer_norm=True, tokenizer="whitespace")
    model = elmo_keras.ElmoTagger(elmo, TAG_NAMES, hidden_dim=5, head_dropout=0.1)
    randomize(model)
    spread_labels(model, "softmax", TOKENS)
    trained(model, TOKENS, TAGS)
    elmo.warm_up(SENTENCES[:2])
    return model


def plain(elmo, inputs):
    """A Functional model with two classes around an ElmoLayer."""
    x = layers.MaskedMeanPooling()(elmo(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def plain_elmo():
    elmo = elmo_layer(lstm=bilstm(num_layers=1), mix_regularizer="l2", dropout=0.1)
    model = plain(elmo, keras.Input((), dtype="string"))
    return fitted(model, text.to_tensor(TEXTS), np.array([0, 1, 1, 0]))


def plain_carry():
    model = plain(elmo_layer(state="carry", max_rows=6), keras.Input((), dtype="string"))
    fitted(model, text.to_tensor(TEXTS), np.array([0, 1, 1, 0]))
    model(text.to_tensor(SENTENCES))  # leaves states in the rows
    return model


def plain_static():
    sentences = keras.Input((), dtype="string")
    static = layers.StaticEmbedding(STATIC_WORDS, 3, lowercase=True, trainable=True)
    x = layers.MaskedMaxPooling()(static(sentences))
    model = keras.Model(sentences, keras.layers.Dense(2, activation="softmax")(x))
    model.compile("rmsprop", "sparse_categorical_crossentropy")
    return fitted(model, text.to_tensor(TEXTS), np.array([0, 1, 1, 0]))


def text_layers():
    """Tokenizer, CharacterIds, WordIds and CodePointIds as layers of one graph."""
    sentences = keras.Input((), dtype="string")
    tokens = text.Tokenizer("whitespace", lowercase=True, max_tokens=5)(sentences)
    elmo = elmo_layer(char_cnn(max_characters=12), output="average")
    characters = elmo(text.CharacterIds(max_characters=12)(tokens))
    encoder = code_points()
    encoder.build((None, None, *encoder.ids_shape))
    ids_layer = encoder.text_layer()
    code_point_ids = text.CodePointIds(ids_layer.characters, ids_layer.words, max_characters=10)
    words = text.WordIds(["kettle", "dachse."], unknown="kettle")(tokens)
    words = keras.layers.Embedding(4, 3)(words)
    x = keras.layers.Concatenate()([characters, encoder(code_point_ids(tokens)), words])
    model = keras.Model(sentences, keras.layers.Dense(2)(x))
    randomize(model)
    return model


def building_blocks():
    """The remaining public layers, each in the graph itself."""
    ids = keras.Input((None, 50), dtype="int32")
    words = keras.Input((None,), dtype="int32")
    tokens = char_cnn(num_characters=262)(ids)
    tokens = layers.Highway()(tokens)
    cell = layers.ProjectedLSTMCell(6, projection_dim=4, cell_clip=3.0, projection_clip=3.0)
    read = keras.layers.RNN(cell, return_sequences=True)(tokens)
    mixed = layers.ScalarMix()([tokens, read])
    both = keras.layers.Concatenate()([mixed, read])  # (batch, time, 2 * dim)
    model = keras.Model([ids, words], [mixed, layers.WordSoftmax(9)(read), both])
    randomize(model)
    return model


def language_model(**options):
    return elmo_keras.BidirectionalLanguageModel(elmo_layer(**options), WORDS)


# === Files ===


class Writer:
    """Writes artefacts into a folder and their weights and results beside them."""

    def __init__(self, folder):
        self.folder = folder

    def path(self, name):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def expect(self, name, weights=(), optimizer=(), answers=None, **results):
        arrays = {f"weight_{i:03d}": weight for i, weight in enumerate(weights)}
        arrays |= {f"optimizer_{i:03d}": value for i, value in enumerate(optimizer)}
        for key, result in results.items():
            several = result if isinstance(result, (list, tuple)) else [result]
            arrays |= {f"{key}_{i}": as_array(one) for i, one in enumerate(several)}
        np.savez_compressed(self.path(f"{name}.npz"), **arrays)
        if answers is not None:
            content = json.dumps(answers, ensure_ascii=False, indent=1) + "\n"
            self.path(f"{name}.json").write_text(content, encoding="utf-8")

    def preset(self, name, layer, dtype="float32"):
        name = f"presets/{name}"
        layer.save_to_preset(self.path(name), dtype)
        loaded = elmo_keras.ElmoLayer.from_preset(self.path(name))
        self.expect(name, loaded.get_weights(), result=loaded(SENTENCES))

    def keras_file(self, name, model, answer=None, **results):
        name = f"keras/{name}"
        model.save(self.path(f"{name}.keras"))
        optimizer = getattr(model, "optimizer", None)
        variables = [as_array(variable) for variable in optimizer.variables] if optimizer else ()
        weights = model.get_weights()  # before a call changes carried states
        results = {key: compute() for key, compute in results.items()}
        self.expect(name, weights, variables, answer and answer(), **results)

    def classifier(self, name, model):
        def answer():
            return model.classify(SENTENCES)

        self.keras_file(name, model, answer, result=lambda: model.predict(SENTENCES, verbose=0))
        return model

    def plain(self, name, model):
        self.keras_file(name, model, result=lambda: model(text.to_tensor(SENTENCES)))

    def saved_model(self, name, model):
        import tensorflow as tf

        name = f"saved_models/{name}"
        with tempfile.TemporaryDirectory() as directory:
            model.export(directory)
            shutil.make_archive(self.path(name), "zip", directory)
            served = tf.saved_model.load(directory)
        outputs = {
            "serve": served.serve(tf.constant(SENTENCES)),
            "tokens": served.tokens(text.pad(TOKENS)),
            "embed": served.embed(tf.constant(SENTENCES)),
            "embed_tokens": served.embed_tokens(text.pad(TOKENS)),
        }
        named = {f"{end}/{key}": x for end, row in outputs.items() for key, x in row.items()}
        answers = {
            key: np.vectorize(bytes.decode, otypes=[object])(x.numpy()).tolist()
            for key, x in named.items()
            if x.dtype == tf.string
        }
        floats = {key: x for key, x in named.items() if key not in answers}
        self.expect(name, answers=answers, **floats)


def as_array(x):
    return keras.ops.convert_to_numpy(x)


def write_presets(out):
    mixes = elmo_layer(
        num_representations=2,
        dropout=0.2,
        mix_regularizer=keras.regularizers.L2(0.01),
        keep_boundaries=True,
        tokenizer=text.Tokenizer("words", lowercase=True),
        name="mixes",
    )
    mixes.token_encoder.trainable = False
    out.preset("char_cnn", mixes)
    warm = elmo_layer(state="warm", layer_norm=True, output=1)
    warm.warm_up(SENTENCES[:2])
    out.preset("warm", warm)
    half = elmo_keras.ElmoLayer(
        char_cnn(dtype="float16"), bilstm(dtype="float16"), output="all", dtype="float16"
    )
    half.build((None, None, *half.ids_shape))
    randomize(half)
    out.preset("float16", half, "float16")
    lstm = bilstm(forget_bias=0.0, residual=False)
    out.preset("code_points", elmo_layer(code_points(), lstm, tokenizer="chinese_characters"))
    out.preset("words", elmo_layer(word_table(), output="top"))

    name = "presets/language_model"
    model = language_model()
    randomize(model)
    model.save_to_preset(out.path(name))
    loaded = elmo_keras.BidirectionalLanguageModel.from_preset(out.path(name))
    out.expect(
        name,
        loaded.get_weights(),
        answers=[word for word, _ in loaded.substitutes(TOKENS[0], position=1)],
        result=loaded.score(SENTENCES),
        vectors=elmo_keras.ElmoLayer.from_preset(out.path(name))(SENTENCES),
    )


def write_hdf5(out):
    for name, layer in {
        "hdf5/characters": elmo_layer(char_cnn(), bilstm(cell_clip=3.0, projection_clip=3.0)),
        "hdf5/words": elmo_layer(word_table(), bilstm(num_layers=1)),
    }.items():
        elmo_keras.checkpoints.save_hdf5(layer, out.path(name))
        loaded = elmo_keras.ElmoLayer.from_preset(out.path(name))
        out.expect(name, loaded.get_weights(), result=loaded(SENTENCES))


def write_keras_files(out):
    mean = out.classifier("classifier_mean", classifier(elmo_layer(lstm=bilstm(num_layers=1))))
    front = elmo_layer(code_points(), tokenizer="chinese_characters")
    out.classifier("classifier_max", classifier(front, pooling="max"))
    front = elmo_layer(word_table())
    front.trainable = False
    options = {"pooling": "mean_max", "hidden_dim": 5, "head_dropout": 0.1}
    out.classifier("classifier_mean_max", classifier(front, **options))

    tags = tagger()
    result = {"result": lambda: tags.predict(TOKENS, verbose=0)}
    out.keras_file("tagger", tags, lambda: tags.tag(TOKENS), **result)
    tags.save_weights(out.path("keras/tagger.weights.h5"))

    words = language_model()
    randomize(words)
    result = {"result": lambda: words.score(SENTENCES)}
    out.keras_file("language_model", words, **result)

    out.plain("plain_elmo", plain_elmo())
    out.plain("plain_carry", plain_carry())
    out.plain("plain_static", plain_static())
    out.plain("text_layers", text_layers())
    ids = np.random.default_rng(0).integers(1, 262, (2, 3, 50)).astype("int32")
    blocks = building_blocks()
    inputs = [ids, np.array([[3, 4, 5], [6, 7, 0]], "int32")]
    out.keras_file("building_blocks", blocks, result=lambda: blocks(inputs), ids=lambda: inputs)

    out.saved_model("classifier", mean)
    out.saved_model("tagger", tags)
    quantized = classifier(elmo_layer(output="top"))
    quantized.quantize("int8")
    quantized.compile()  # an optimizer of the weights that are still floats
    trained(quantized, TEXTS, TEXT_LABELS)
    out.classifier("classifier_int8", quantized)


def write_from_ids(out):
    """The models of a backend whose graphs cannot start at strings."""
    out.classifier("classifier_from_jax", classifier(elmo_layer()))
    elmo = elmo_layer(lstm=bilstm(num_layers=1))
    model = plain(elmo, keras.Input((None, 50), dtype="int32"))
    ids = np.asarray(elmo.to_ids(TEXTS))
    fitted(model, ids, np.array([0, 1, 1, 0]))
    out.keras_file("plain_from_jax", model, result=lambda: model(ids), ids=lambda: ids)


def main():
    folder = pathlib.Path(sys.argv[1])
    keras.utils.set_random_seed(7)
    out = Writer(folder)
    if keras.backend.backend() == "jax":
        write_from_ids(out)
        return
    folder.mkdir(parents=True)  # fails if it exists
    inputs = json.dumps({"sentences": SENTENCES, "tokens": TOKENS}, ensure_ascii=False, indent=1)
    (folder / "inputs.json").write_text(inputs + "\n", encoding="utf-8")
    write_presets(out)
    write_hdf5(out)
    write_keras_files(out)
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    subprocess.run([sys.executable, __file__, str(folder)], env=environment, check=True)


if __name__ == "__main__":
    main()
