"""Runs one program for `speed.py`, in a process that answers one request per line.

    python speed_worker.py allennlp|simple_elmo|elmo_keras CHECKPOINT [--peers DIR] [--dtype D]

A request is a JSON object with `do`, the name of a method below, and the method's arguments. The
answer is a JSON object with `seconds` and, from some methods, further values.
"""

import argparse
import json
import os
import pathlib
import re
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def memory(field):
    """Returns the memory of this process in MiB: `VmHWM` (peak) or `VmRSS` (current)."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(rf"{field}:\s+(\d+)", status)[1]) / 1024


def measured(function):
    """Measures the seconds of a call and the peak memory of the process during it."""
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    start = time.perf_counter()
    function()
    return {"seconds": time.perf_counter() - start, "peak": memory("VmHWM")}


def batches(sentences, size):
    return [sentences[i : i + size] for i in range(0, len(sentences), size)]


class AllenNLP:
    def __init__(self, arguments):
        sys.path.insert(0, arguments.peers)
        import allennlp_elmo
        import torch

        self.torch, self.program = torch, allennlp_elmo
        self.checkpoint, self.model = arguments.checkpoint, None
        self.versions = f"AllenNLP 2.10.1, torch {torch.__version__}"

    def vectors(self, sentences, batch_size):
        self._load(train=False)

        def run():
            for batch in batches(sentences, batch_size):
                with self.torch.inference_mode():
                    self.model(self.program.batch_to_ids(batch))

        return measured(run)

    def train(self, sentences, batch_size):
        self._load(train=True)
        parts = [self.program.batch_to_ids(batch) for batch in batches(sentences, batch_size)]

        def run():
            for ids in parts:
                self.model.zero_grad(set_to_none=True)
                self.model(ids)["elmo_representations"][0].square().mean().backward()

        return measured(run)

    def _load(self, train):
        if self.model is None or self.model.training != train:
            self.model = None
            self.model = self.program.load(self.checkpoint, requires_grad=train).train(train)


class SimpleElmo:
    def __init__(self, arguments):
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
        import tensorflow as tf
        from simple_elmo import ElmoModel

        self.versions = f"simple_elmo 0.9.2, tensorflow {tf.__version__}"
        self.model = ElmoModel()
        self.model.load(arguments.checkpoint, max_batch_size=32)

    def vectors(self, sentences, batch_size):
        return measured(lambda: self.model.get_elmo_vectors(sentences))


class ElmoKeras:
    def __init__(self, arguments):
        import keras
        import numpy as np
        import tensorflow as tf

        import elmo_keras

        self.tf, self.np, self.keras, self.elmo_keras = tf, np, keras, elmo_keras
        self.versions = f"tensorflow {tf.__version__}, keras {keras.__version__}"
        self.elmo = elmo_keras.ElmoLayer.from_preset(arguments.checkpoint, dtype=arguments.dtype)
        self._stacks = {}
        strings = [tf.TensorSpec((None, None), tf.string)]
        self.retrace()
        self._step = tf.function(self._gradients, input_signature=strings, autograph=False)
        self._xla = tf.function(lambda ids: self.elmo(ids), jit_compile=True, autograph=False)

    def _gradients(self, tokens):
        tf = self.tf
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(tf.cast(self.elmo(tokens, training=True), "float32")))
        return tape.gradient(loss, self.elmo.trainable_variables)

    # === Work that the other programs do, too ===

    def vectors(self, sentences, batch_size):
        def run():
            for batch in batches(sentences, batch_size):
                self._call(self.elmo_keras.text.pad(batch)).numpy()

        return measured(run)

    def train(self, sentences, batch_size):
        parts = [self.elmo_keras.text.pad(batch) for batch in batches(sentences, batch_size)]

        def run():
            for tokens in parts:
                self._step(tokens)

        return measured(run)

    def embed(self, sentences, max_tokens=4096):
        def run():
            for _ in self.elmo.embed(sentences, max_tokens=max_tokens):
                pass

        return measured(run) | {"resident": memory("VmRSS")}

    # === Comparison with the machine's limit ===

    def limit(self, rows, steps, train):
        """Times the biLM on rows of equal length, and its matrix products one after another."""
        tf, stack = self.tf, self.elmo.bilstm
        dtype = stack.compute_dtype
        dim, units = stack.output_dim, stack.units

        def random(*shape):
            return tf.cast(tf.random.normal(shape), dtype)

        x, x_all = random(rows, steps, dim), random(rows * steps, dim)
        h, c, z = random(rows, dim), random(rows, units), random(rows, 4 * units)
        inner_all, z_all = random(rows * steps, units), random(rows * steps, 4 * units)
        layers = []
        for layer in (*stack.forward_layers, *stack.backward_layers):
            w, _, u, p = (tf.cast(weight, dtype) for weight in layer.cell.matrices)
            layers.append((w, u, p, tf.transpose(u), tf.transpose(p)))

        def products():
            for w, u, p, u_t, p_t in layers:
                tf.matmul(x_all, w)
                for _ in range(steps):
                    tf.matmul(h, u)
                    last = tf.matmul(c, p)
                if train:
                    for _ in range(steps):
                        tf.matmul(z, u_t)
                        tf.matmul(h, p_t)
                    tf.matmul(z_all, w, transpose_b=True)
                    tf.matmul(x_all, z_all, transpose_a=True)
                    tf.matmul(x_all, z_all, transpose_a=True)
                    last = tf.matmul(inner_all, x_all, transpose_a=True)
            return last.numpy()

        if (rows, steps, train) not in self._stacks:

            def forward(x):
                return [self._sum(y) for y in stack(x)[0]]

            def step(x):
                with tf.GradientTape() as tape:
                    tape.watch(x)
                    loss = sum(forward(x))
                return tape.gradient(loss, [x, *stack.trainable_variables])

            self._stacks[rows, steps, train] = tf.function(
                step if train else forward, autograph=False
            )
            self._stacks[rows, steps, train](x)
        function = self._stacks[rows, steps, train]
        limit = measured(products)["seconds"]
        flops = 2 * rows * steps * 4 * (8 * dim * units + dim * units) * (3 if train else 1)
        result = measured(lambda: [y.numpy() for y in self.tf.nest.flatten(function(x))[:1]])
        bytes_read = 4 * steps * (4 * dim * units + dim * units) * self.tf.as_dtype(dtype).size
        return result | {
            "limit": limit,
            "gflops": flops / result["seconds"] / 1e9,
            "gbs": bytes_read / result["seconds"] / 1e9,
        }

    def _sum(self, y):
        return self.tf.reduce_sum(self.tf.cast(y, "float32"))

    def lengths(self, lengths, padded):
        """Times a batch of rows of these lengths, or with `padded` all of the greatest length."""
        rng = self.np.random.default_rng(0)
        longest = max(lengths)
        words = rng.integers(0, 700, (len(lengths), longest))  # as many words as a text has
        rows = [
            [f"w{word}" for word in row[: longest if padded else length]]
            for row, length in zip(words, lengths)
        ]
        tokens = self.elmo_keras.text.pad(rows)
        return measured(lambda: self._call(tokens).numpy())

    def ids(self, sentences, repeats):
        text_layer = self.elmo.text_layer
        tokens = self.elmo_keras.text.pad(sentences)
        if not hasattr(self, "_ids"):
            self._ids = self.tf.function(
                lambda tokens: text_layer(tokens),
                input_signature=[self.tf.TensorSpec((None, None), self.tf.string)],
                autograph=False,
            )
        return measured(lambda: [self._ids(tokens) for _ in range(repeats)][-1].numpy())

    # === Variants ===

    def error(self, sentences, reference):
        """Compares the vectors with the file `reference`, or writes the file if it is missing."""
        vectors = self.np.concatenate([y for y in self.elmo.embed(sentences)])
        path = pathlib.Path(reference)
        if not path.exists():
            self.np.save(path, vectors)
            return {"seconds": 0.0}
        expected = self.np.load(path)
        norms = self.np.linalg.norm(vectors, axis=1) * self.np.linalg.norm(expected, axis=1)
        cosine = (vectors * expected).sum(axis=1) / norms
        relative = self.np.linalg.norm(vectors - expected) / self.np.linalg.norm(expected)
        return {
            "seconds": 0.0,
            "largest": float(self.np.abs(vectors - expected).max()),
            "relative": float(relative),
            "cosine": float(cosine.min()),
        }

    def quantize(self, part):
        """Quantizes all Dense layers, or those of the token encoder, to int8."""
        dense = (self.keras.layers.Dense,)
        whole = self.elmo if part == "all" else self.elmo.token_encoder
        for layer in whole._flatten_layers():
            if isinstance(layer, dense):
                layer.quantize("int8")
        return self.retrace()

    def cache(self, words):
        return measured(lambda: self.elmo.cache_vocabulary(words))

    def retrace(self):
        self._call = self.tf.function(
            lambda tokens: self.elmo(tokens),
            input_signature=[self.tf.TensorSpec((None, None), self.tf.string)],
            autograph=False,
        )
        return {"seconds": 0.0}

    def xla(self, sentences, jit):
        ids = self.elmo.text_layer(self.elmo_keras.text.pad(sentences))
        if not hasattr(self, "_plain"):
            shape = (None, None, *self.elmo.ids_shape)
            self._plain = self.tf.function(
                lambda ids: self.elmo(ids),
                input_signature=[self.tf.TensorSpec(shape, "int32")],
                autograph=False,
            )
        function = self._xla if jit else self._plain
        return measured(lambda: function(ids).numpy())

    def saved_model(self, directory, sentences):
        """Times the loading of a SavedModel, its first call and a later call."""
        keras = self.keras
        if not pathlib.Path(directory).exists():
            inputs = keras.Input((None,), dtype="string")
            model = keras.Model(
                inputs, self.elmo_keras.layers.MaskedMeanPooling()(self.elmo(inputs))
            )
            self.elmo_keras.serving.export_saved_model(model, directory)
        text = self.tf.constant([" ".join(tokens) for tokens in sentences])
        held = []
        load = measured(lambda: held.append(self.tf.saved_model.load(directory)))["seconds"]
        first = measured(lambda: held[0].serve(text))["seconds"]
        return measured(lambda: held[0].serve(text)) | {"load": load, "first": first}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", choices=["allennlp", "simple_elmo", "elmo_keras"])
    parser.add_argument("checkpoint")
    parser.add_argument("--peers")
    parser.add_argument("--dtype", default="float32")
    arguments = parser.parse_args()
    answers = sys.stdout
    sys.stdout = sys.stderr  # Standard output is for answers only.
    classes = {"allennlp": AllenNLP, "simple_elmo": SimpleElmo, "elmo_keras": ElmoKeras}
    program = classes[arguments.program](arguments)
    print(json.dumps({"versions": program.versions}), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        answer = getattr(program, request.pop("do"))(**request)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
