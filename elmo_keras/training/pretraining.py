"""Pretraining a bidirectional language model on the words of a corpus."""

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import json
import pathlib
import signal
import threading
from collections.abc import Callable

import keras
import numpy as np

from elmo_keras import backend
from elmo_keras.layers.composite import serialize_part
from elmo_keras.layers.weight_loading import weights_by_path
from elmo_keras.models.bidirectional_language_model import BidirectionalLanguageModel
from elmo_keras.training import run_checkpoint as checkpoints
from elmo_keras.training.corpus import Corpus
from elmo_keras.training.distribution import devices
from elmo_keras.training.pretraining_options import PretrainingOptions
from elmo_keras.training.progress import Progress
from elmo_keras.training.run_checkpoint import Checkpoint
from elmo_keras.training.vocabulary import check_order
from elmo_keras.training.window_loss import window_loss, zero_states
from elmo_keras.training.windows import Windows

PRESET, BAD_BATCH = "preset", "non_finite_batch.npz"
# What a run may be resumed with another value of: it changes nothing that has been computed.
_MAY_CHANGE = {"tokens", "decay"}
_STATES = "states/hidden", "states/cell"
# Entries of a layer's config that may change when a run is resumed, or that are compared elsewhere.
_NO_ARCHITECTURE = {"name", "dtype", "trainable"}


def pretrain(
    model: BidirectionalLanguageModel,
    corpus: Corpus,
    directory,
    options: PretrainingOptions,
    validation: list[list[str]] | None = None,
    validate_every: int | None = None,
    checkpoint_every: int = 500,
    log_every: int = 50,
    report: Callable[[str], None] = lambda line: None,
) -> BidirectionalLanguageModel:
    """Trains a language model on a corpus; resumes the run that is in `directory`, if one is.

    The two directions read windows of streams of sentences; LSTM states go on from window to
    window, gradients do not.

    Note on reproducibility: a run is a function of the initial weights of `model`, the corpus and
    the options. `options.seed` covers the order of sentences, the negatives, the dropout and the
    fresh starts. It does not cover the initial weights, which `model` has already: call
    `keras.utils.set_random_seed` before the model is made (`elmo-keras pretrain --seed` does both).
    Two runs are equal to the bit on one kind of CPU with one number of threads; other machines and
    numbers of threads add numbers up in another order. GPUs may do so in each run;
    `tf.config.experimental.enable_op_determinism()` keeps TensorFlow's order there.

    Note on resuming: a checkpoint is written before the first step and then every
    `checkpoint_every` steps. A run that was killed at any moment is resumed from its last
    checkpoint and computes what it would have computed: the weights, the place in the corpus, all
    random numbers, the optimizer and the LSTM states are resumed. The weights of the `model` that a
    resumed run is given are replaced.

    Inside of the scope of a `tf.distribute` strategy, in which `model` must have been made too, the
    rows of each batch are spread over its replicas; the gradient, and its clipping, is that of the
    whole batch.

    What is in `directory`: `checkpoint.h5`, from which a run is resumed; `log.jsonl`, a line every
    `log_every` steps and for each validation; `tensorboard/`; and, after each validation and at
    the end, `preset/`, which `from_preset` reads.

    Args:
        model: `BidirectionalLanguageModel`, new or with the weights that are to be adapted; of any
            front end that makes ids of words.
        corpus: `Corpus`.
        directory: of the run; made if absent.
        options: `PretrainingOptions`.
        validation: token lists whose perplexity is taken, or `None`.
        validate_every: int or `None`. Steps between validations; there is one at the end anyway.
        checkpoint_every: int. Steps between checkpoints; one more is written before the first
            step. Defaults to `500`.
        log_every: int. Steps that a line of the log sums up. Defaults to `50`.
        report: what takes lines for people to read. Defaults to nothing.

    Returns:
        The model.

    Raises:
        ValueError: if the corpus is empty, or if the run in `directory` is of another
            configuration.
        FloatingPointError: if the loss or the gradient is not finite: the batch is saved, the
            last checkpoint is left as it is.
        OSError: if something cannot be written; the last checkpoint is whole.
        KeyboardInterrupt: after SIGINT or SIGTERM, with the step saved (in a run on one device).

    Example:

    ```python
    corpus = elmo_keras.training.Corpus("text/*.txt.gz", split_sentences=True)
    vocabulary, _ = elmo_keras.training.build_vocabulary(corpus, size=30_000)
    model = elmo_keras.BidirectionalLanguageModel(elmo_keras.ElmoLayer(), vocabulary.tokens)
    options = elmo_keras.training.PretrainingOptions(tokens=10_000_000)
    elmo_keras.training.pretrain(model, corpus, "run/", options, report=print)
    ```

    References:
        - [Peters et al., 2018](https://arxiv.org/abs/1802.05365), sections 3.1 and 3.4
        - bilm-tf, `bilm/training.py`, `train`
    """
    run = _Run(model, corpus, pathlib.Path(directory), options, log_every, report)
    return run.go(validation, validate_every, checkpoint_every)


class _Run:
    """The state of a run, and what it does with it."""

    def __init__(self, model, corpus, directory, options, log_every, report):
        self.model, self.directory, self.options = model, directory, options
        self.report = report
        self.devices = devices(options.batch_size)
        bilstm = model.elmo.bilstm
        self.windows = Windows(
            corpus,
            model.words,
            model.elmo.token_encoder,
            rows=options.batch_size,
            steps=options.window,
            num_negatives=options.num_negatives,
            dropout=options.dropout,
            fresh_starts=options.fresh_starts,
            keep_shape=(bilstm.num_layers, bilstm.output_dim),
            seed=options.seed,
            pad_words=self.devices.pads_words,
        )
        self.weights = model.trainable_weights
        self.optimizer = options.make_optimizer()
        self.take_step = backend.training_step(
            window_loss(model, options.batch_size, options.dropout),
            self.weights,
            self.optimizer,
            options.max_norm,
        )
        self.step = 0
        states = zero_states(model, options.batch_size)
        pending = None
        found = checkpoints.load(directory)
        self.is_new = found is None
        if found is not None:
            states, pending = self._restore(found)
            report(f"Goes on behind step {self.step:,}, as {directory} has it.")
        else:
            if self.windows.sampler is not None:
                check_order(model.words, corpus)
            directory.mkdir(parents=True, exist_ok=True)
        self.states = self.devices.states(states)
        self.progress = Progress(
            directory,
            options.steps,
            self.windows.tokens,
            self.step,
            log_every,
            report,
            is_chief=self.devices.is_chief,
            pending=pending,
        )

    def go(self, validation, validate_every, checkpoint_every):
        if self.step >= self.options.steps:
            self.report(f"All of the {self.options.steps:,} steps have been taken already.")
            return self.model
        # Workers save together: none of them may be stopped by itself.
        listens = _Interrupts() if self.devices.number == 1 else contextlib.nullcontext()
        beginning = self.windows.state()
        with listens as interrupts, _ahead(self.windows) as batches:
            for batch, state in batches:
                if self.is_new:  # Once there is a batch: an empty corpus leaves no checkpoint.
                    with self.progress.paused():
                        self._save(beginning)
                    self.is_new = False
                self._one(batch)
                is_last = self.step == self.options.steps
                is_over = is_last or (interrupts is not None and interrupts.came)
                with self.progress.paused():
                    if is_last or _is_due(self.step, validate_every):
                        self._validate(validation)
                    if is_over or _is_due(self.step, checkpoint_every):
                        self._save(state)
                if is_over:
                    break
        if not is_last:
            stopped = f"Stopped: step {self.step:,} is saved in {self.directory}."
            self.report(stopped)
            raise KeyboardInterrupt(stopped)
        return self.model

    def _one(self, batch):
        rate = self.options.learning_rate_of(self.step)
        self.optimizer.learning_rate = rate
        sums, norm, self.states = self.take_step(self.devices.batch(batch), self.states)
        sums, norm = self.devices.numpy(sums), float(self.devices.numpy(norm))
        if not np.all(np.isfinite(sums)) or not np.isfinite(norm):
            self._stop_at(batch, sums, norm)
        self.progress.add(self.step, sums, norm, rate)
        self.step += 1

    def _stop_at(self, batch, sums, norm):
        path = self.directory / BAD_BATCH
        arrays = {name: array for name, array in batch._asdict().items() if array is not None}
        np.savez_compressed(path, step=self.step, **arrays)
        raise FloatingPointError(
            "The loss and the gradient must be finite. Received: losses "
            f"{sums.tolist()} and a gradient of norm {norm} in step {self.step:,}. Its batch is "
            f"in {path}; the last checkpoint is from before. Lower the learning rate or `max_norm`."
        )

    def _validate(self, validation):
        if validation:
            result = self.model.perplexity(validation)
            self.progress.validated(self.step, result.forward, result.backward, result.mean)
        with self.devices.written(self.directory / PRESET) as place:
            self.model.save_to_preset(place)

    def _arrays(self):
        """All variables by name, as Keras has them."""
        model = self.model
        variables = weights_by_path(model.elmo.token_encoder, "weights/token_encoder")
        variables |= weights_by_path(model.elmo.bilstm, "weights/bilstm")
        variables |= {f"weights/softmax/{weight.name}": weight for weight in model.head.weights}
        slots = self.optimizer.variables
        return variables | {f"optimizer/{number:04d}": slot for number, slot in enumerate(slots)}

    def _configuration(self):
        options = dataclasses.asdict(self.options)
        return {
            **{name: value for name, value in options.items() if name not in _MAY_CHANGE},
            "dtype": self.model.elmo.dtype_policy.name,
            "vocabulary": f"{len(self.model.words)} words, sha1 {_sha1(self.model.words.text)}",
            "files": [path.name for path in self.windows.corpus.files],
        }

    def _architecture(self):
        """Digests of the configs of the parts: of options that no shape of a weight shows."""
        parts = {"token_encoder": self.model.elmo.token_encoder, "bilstm": self.model.elmo.bilstm}
        described = {}
        for name, part in parts.items():
            config = serialize_part(part)["config"]
            config = {key: value for key, value in config.items() if key not in _NO_ARCHITECTURE}
            digest = _sha1(json.dumps(config, sort_keys=True, default=str))
            described[name] = f"{type(part).__name__}, sha1 {digest}"
        return described

    def _save(self, windows_state):
        arrays = {
            name: keras.ops.convert_to_numpy(variable) for name, variable in self._arrays().items()
        }
        for name, array in zip(_STATES, self.devices.arrays(self.states)):
            # float32 holds every bfloat16, which HDF5 has no name for.
            arrays[name] = array.astype("float32")
        state = {
            "step": self.step,
            "configuration": self._configuration(),
            "architecture": self._architecture(),
            "windows": windows_state,
            "pending": self.progress.pending,
        }
        if self.devices.is_chief:
            checkpoints.save(Checkpoint(arrays, state), self.directory)

    def _restore(self, checkpoint):
        arrays, state = checkpoint
        different = _differences(state["configuration"], self._configuration())
        variables = self._arrays()
        if not different:
            shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
            found = {name: array.shape for name, array in arrays.items() if name not in _STATES}
            different = [
                f"{name} was of shape {found.get(name)} and is {shapes.get(name)}"
                for name in sorted(shapes.keys() | found.keys())
                if shapes.get(name) != found.get(name)
            ]
        if not different and "architecture" in state:  # Older runs do not have it.
            different = _differences(state["architecture"], self._architecture())
        if different:
            raise ValueError(
                f"The run in {self.directory} must be of this configuration, to be resumed. "
                f"Received: {'; '.join(different[:5])}. Choose another directory, or the options "
                "and the corpus of that run."
            )
        for name, variable in variables.items():
            variable.assign(arrays[name])
        self.windows.restore(state["windows"])
        self.step = state["step"]
        return tuple(arrays[name] for name in _STATES), state["pending"]


def _sha1(text):
    return hashlib.sha1(text.encode()).hexdigest()


def _differences(saved, own):
    return [
        f"{name} was {saved.get(name)!r} and is {value!r}"
        for name, value in own.items()
        if saved.get(name) != value
    ]


def _is_due(step, every):
    return bool(every) and step % every == 0


@contextlib.contextmanager
def _ahead(windows: Windows):
    """Batches with the state of the windows behind each, one of them made ahead in a thread."""

    def make():
        return next(windows), windows.state()

    def batches():
        future = executor.submit(make)
        while True:
            made = future.result()
            future = executor.submit(make)
            yield made

    executor = concurrent.futures.ThreadPoolExecutor(max_workers=1)
    try:
        yield batches()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


class _Interrupts:
    """Inside, SIGINT and SIGTERM are noted and not obeyed: a step is not to be cut in two."""

    def __enter__(self):
        self.came = False
        self._handlers = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._note)
        return self

    def _note(self, number, frame):
        self.came = True

    def __exit__(self, *error):
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
