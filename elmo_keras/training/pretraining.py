"""Pretraining of a bidirectional language model on a corpus."""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Callable
from typing import Any, NoReturn

import keras
import numpy as np

from elmo_keras import backend
from elmo_keras.layers.composite import serialize_part
from elmo_keras.layers.weight_loading import weights_by_path
from elmo_keras.models.bidirectional_language_model import BidirectionalLanguageModel
from elmo_keras.training import run_checkpoint
from elmo_keras.training.corpus import Corpus
from elmo_keras.training.deferred_interrupts import DeferredInterrupts
from elmo_keras.training.distribution import check_divisible, current_distribution
from elmo_keras.training.prefetch import prefetch
from elmo_keras.training.pretraining_options import PretrainingOptions
from elmo_keras.training.progress import Pending, PretrainingProgress
from elmo_keras.training.run_checkpoint import RunCheckpoint
from elmo_keras.training.teacher_sentences import (
    LiveTeacher,
    check_tokenization,
    teacher_sentences,
)
from elmo_keras.training.teacher_shards import TeacherShards
from elmo_keras.training.vocabulary import warn_if_unsorted
from elmo_keras.training.window_loss import build_teacher_term, window_loss, zero_states
from elmo_keras.training.windows import Batch, Windows

PRESET, BAD_BATCH = "preset", "non_finite_batch.npz"
# Options that may change when a run is resumed; they do not affect steps already taken.
_RESUMABLE = {"tokens", "decay"}
_STATES = "states/hidden", "states/cell"
# Entries of a layer's config that do not change its computation, or that are compared elsewhere.
_NOT_ARCHITECTURE = {"name", "dtype", "trainable"}


def pretrain(
    model: BidirectionalLanguageModel,
    corpus: Corpus,
    directory: str | os.PathLike[str],
    options: PretrainingOptions,
    validation: list[list[str]] | None = None,
    validate_every: int | None = None,
    checkpoint_every: int = 500,
    log_every: int = 50,
    report: Callable[[str], None] = lambda line: None,
    progress: bool = False,
    teacher: TeacherShards | LiveTeacher | None = None,
) -> BidirectionalLanguageModel:
    """Trains a bidirectional language model on a corpus, or resumes the run in `directory`.

    The two directions read windows of parallel streams of sentences. LSTM states are carried from
    window to window, gradients are not (truncated backpropagation).

    Reproducibility: a run is a function of the initial weights of `model`, the corpus and the
    options. `options.seed` covers the sentence order, the negatives, the dropout and the fresh
    starts, but not the initial weights: call `keras.utils.set_random_seed` before you create the
    model (`elmo-keras pretrain --seed` does both). Two runs are bitwise equal on the same type of
    CPU with the same number of threads; others round sums differently. GPUs may round differently
    in each run; with TensorFlow, `tf.config.experimental.enable_op_determinism()` prevents it.

    Resuming: a checkpoint is written before the first step and then every `checkpoint_every`
    steps. A run that was killed at any time is resumed from its last checkpoint and computes the
    same results as an uninterrupted run: weights, optimizer, LSTM states, random numbers and the
    position in the corpus are restored. The weights of the given `model` are replaced.

    Distribution: in the scope of a `tf.distribute` strategy, in which `model` must have been
    created, the streams of each batch are divided among the replicas. The gradient is that of the
    whole batch, and is clipped as a whole.

    Teacher: with a `teacher`, a step also reads whole sentences from zero states. The biLM predicts
    their words, and a linear map of its layers predicts the teacher's vectors of their tokens. The
    loss of a word is the mean over windows and sentences, and `teacher_weight * (token error +
    teacher_sentence_weight * sentence error)` is added to it. Dropout is applied to the windows
    alone. The map is a part of the checkpoint, but not of the preset. Tokens, perplexities and
    speeds in the log are those of the windows, and so is the number of steps;
    `sentence_perplexity` is the perplexity of the teacher's sentences, by the sampled softmax too.

    Files in `directory`: `checkpoint.h5`, from which the run is resumed; `log.jsonl`, with a line
    every `log_every` steps and for each validation; `tensorboard/`; and `preset/`, which
    `from_preset` reads, written at each validation and at the end.

    Args:
        model: `BidirectionalLanguageModel`, with random weights or with weights to adapt. Its
            token encoder must convert words to ids (`numpy_ids`).
        corpus: `Corpus`.
        directory: path of the run; created if absent.
        options: `PretrainingOptions`.
        validation: list of sentences, each a list of tokens, to compute the perplexity of; or
            `None`, the default.
        validate_every: int or `None`. Steps between validations; the last step is always followed
            by one. Defaults to `None`.
        checkpoint_every: int. Steps between checkpoints. Defaults to `500`.
        log_every: int. Steps that a line of the log sums up. Defaults to `50`.
        report: function that is called with each line of text for the user. By default, lines are
            discarded.
        progress: bool. Whether to show a progress bar. Defaults to `False`.
        teacher: `TeacherShards` or `LiveTeacher` to learn from as well. Defaults to `None`.

    Returns:
        The model.

    Raises:
        ValueError: if the corpus is empty, if the run in `directory` has another configuration, or
            if the teacher's sentences have another tokenization than the corpus.
        FloatingPointError: if the loss or the gradient is not finite. The batch is saved, and the
            last checkpoint is unchanged.
        OSError: if a file cannot be written. The last checkpoint is unchanged.
        KeyboardInterrupt: after SIGINT or SIGTERM. On one device, the current step is finished and
            saved first.

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
    run = _PretrainingRun(
        model, corpus, pathlib.Path(directory), options, log_every, report, progress, teacher
    )
    return run.train(validation, validate_every, checkpoint_every)


class _PretrainingRun:
    """A run: its model, optimizer, windows, LSTM states and files."""

    def __init__(
        self,
        model: BidirectionalLanguageModel,
        corpus: Corpus,
        directory: pathlib.Path,
        options: PretrainingOptions,
        log_every: int,
        report: Callable[[str], None],
        show_bar: bool,
        teacher: TeacherShards | LiveTeacher | None,
    ) -> None:
        self.model, self.directory, self.options = model, directory, options
        self.report = report
        self.distribution = current_distribution(options.batch_size)
        if options.teacher_batch_size is not None:
            size = options.teacher_batch_size
            check_divisible("teacher_batch_size", size, self.distribution.num_replicas)
        bilstm = model.elmo.bilstm
        self.teacher = self.teacher_map = term = None
        if teacher is not None:
            self.teacher = teacher_sentences(
                teacher, options.teacher_batch_size or options.batch_size, options.seed
            )
            check_tokenization(teacher, corpus, model.word_vocabulary)
            term = build_teacher_term(model, self.teacher, options)
            self.teacher_map = term.map
        self.windows = Windows(
            corpus,
            model.word_vocabulary,
            model.elmo.token_encoder,
            batch_size=options.batch_size,
            window=options.window,
            num_negatives=options.num_negatives,
            dropout=options.dropout,
            fresh_starts=options.fresh_starts,
            dropout_shape=(bilstm.num_layers, bilstm.output_dim),
            seed=options.seed,
            pad_words=self.distribution.pads_words,
            teacher=self.teacher,
        )
        self.weights = list(model.trainable_weights)
        if self.teacher_map is not None:
            self.weights += self.teacher_map.trainable_weights
        self.optimizer = options.make_optimizer()
        self.training_step = backend.training_step(
            window_loss(model, options.batch_size, options.dropout, term),
            self.weights,
            self.optimizer,
            options.max_norm,
        )
        self.step = 0
        states: tuple[np.ndarray, ...] = zero_states(model, options.batch_size)
        pending = None
        checkpoint = run_checkpoint.load(directory)
        self.is_new = checkpoint is None
        if checkpoint is not None:
            states, pending = self._restore(checkpoint)
            report(f"Resumes the run in {directory} after step {self.step:,}.")
        else:
            if self.windows.sampler is not None:
                warn_if_unsorted(model.word_vocabulary, corpus)
            directory.mkdir(parents=True, exist_ok=True)
        self.states = self.distribution.distribute_states(states)
        self.progress = PretrainingProgress(
            directory,
            options.steps,
            self.windows.tokens,
            self.step,
            log_every,
            report,
            is_chief=self.distribution.is_chief,
            pending=pending,
            show_bar=show_bar and self.distribution.is_chief,
        )

    def train(
        self,
        validation: list[list[str]] | None,
        validate_every: int | None,
        checkpoint_every: int,
    ) -> BidirectionalLanguageModel:
        """Takes the remaining steps. See `pretrain`."""
        if self.step >= self.options.steps:
            self.report(f"All {self.options.steps:,} steps have been taken already.")
            return self.model
        # Workers save together, so no worker may stop alone: with several, signals kill at once.
        interrupts = DeferredInterrupts(enabled=self.distribution.num_replicas == 1)
        beginning = self.windows.state()
        is_last = False
        with self.progress, interrupts, prefetch(self.windows) as batches:
            for batch, windows_state in batches:
                # Saved only after a first batch, so that an empty corpus leaves no checkpoint.
                if self.is_new:
                    with self.progress.paused():
                        self._save(beginning)
                    self.is_new = False
                self._take_step(batch)
                is_last = self.step == self.options.steps
                is_over = is_last or interrupts.is_pending
                with self.progress.paused():
                    if is_last or _is_due(self.step, validate_every):
                        self._validate(validation)
                    if is_over or _is_due(self.step, checkpoint_every):
                        self._save(windows_state)
                if is_over:
                    break
        if not is_last:
            stopped = f"Stopped: step {self.step:,} is saved in {self.directory}."
            self.report(stopped)
            raise KeyboardInterrupt(stopped)
        return self.model

    def _take_step(self, batch: Batch) -> None:
        rate = self.options.learning_rate_at(self.step)
        self.optimizer.learning_rate = rate
        batch_of_replicas = self.distribution.distribute_batch(batch)
        sums, norm, self.states = self.training_step(batch_of_replicas, self.states)
        sums = self.distribution.to_numpy(sums)
        norm = float(self.distribution.to_numpy(norm))
        if not np.all(np.isfinite(sums)) or not np.isfinite(norm):
            self._raise_not_finite(batch, sums, norm)
        self.progress.add_step(self.step, sums, norm, rate)
        self.step += 1

    def _raise_not_finite(self, batch: Batch, sums: np.ndarray, norm: float) -> NoReturn:
        path = self.directory / BAD_BATCH
        arrays = {name: array for name, array in batch._asdict().items() if array is not None}
        np.savez_compressed(path, step=self.step, **arrays)
        raise FloatingPointError(
            "The loss and the gradient must be finite. Received: losses "
            f"{sums.tolist()} and a gradient of norm {norm} in step {self.step:,}. Its batch is "
            f"in {path}; the last checkpoint is from before. Lower the learning rate or `max_norm`."
        )

    def _validate(self, validation: list[list[str]] | None) -> None:
        """Logs the perplexity of the validation text, if any, and writes the preset."""
        if validation:
            result = self.model.perplexity(validation)
            self.progress.add_validation(self.step, result.forward, result.backward, result.mean)
        with self.distribution.write_path(self.directory / PRESET) as path:
            self.model.save_to_preset(path)

    def _variables(self) -> dict[str, keras.Variable]:
        """Returns the variables of a checkpoint by name."""
        model = self.model
        variables = weights_by_path(model.elmo.token_encoder, "weights/token_encoder")
        variables |= weights_by_path(model.elmo.bilstm, "weights/bilstm")
        variables |= {f"weights/softmax/{weight.name}": weight for weight in model.head.weights}
        if self.teacher_map is not None:
            weights = self.teacher_map.weights
            variables |= {f"weights/teacher/{weight.name}": weight for weight in weights}
        slots = self.optimizer.variables
        return variables | {f"optimizer/{index:04d}": slot for index, slot in enumerate(slots)}

    def _configuration(self) -> dict[str, Any]:
        """Describes the options and data that must not change when the run is resumed."""
        options = dataclasses.asdict(self.options)
        teacher = {}
        if self.teacher is None:
            # Checkpoints of old versions do not have them.
            options = {name: options[name] for name in options if not name.startswith("teacher_")}
        else:
            teacher = {"teacher": self.teacher.description}
            options["teacher_batch_size"] = self.teacher.batch_size
        vocabulary = self.model.word_vocabulary
        return {
            **{name: value for name, value in options.items() if name not in _RESUMABLE},
            "dtype": self.model.elmo.dtype_policy.name,
            "vocabulary": f"{len(vocabulary)} words, sha1 {_sha1(vocabulary.text)}",
            "files": [path.name for path in self.windows.corpus.files],
            **teacher,
        }

    def _architecture(self) -> dict[str, str]:
        """Digests the configs of the layers, for options that no weight's shape shows."""
        parts = {"token_encoder": self.model.elmo.token_encoder, "bilstm": self.model.elmo.bilstm}
        digests = {}
        for name, part in parts.items():
            config = serialize_part(part)["config"]
            config = {key: config[key] for key in config if key not in _NOT_ARCHITECTURE}
            digest = _sha1(json.dumps(config, sort_keys=True, default=str))
            digests[name] = f"{type(part).__name__}, sha1 {digest}"
        return digests

    def _save(self, windows_state: dict[str, Any]) -> None:
        arrays = {
            name: keras.ops.convert_to_numpy(variable)
            for name, variable in self._variables().items()
        }
        for name, array in zip(_STATES, self.distribution.gather_states(self.states)):
            # HDF5 has no bfloat16; float32 holds its values exactly.
            arrays[name] = array.astype("float32")
        state = {
            "step": self.step,
            "configuration": self._configuration(),
            "architecture": self._architecture(),
            "windows": windows_state,
            "pending": self.progress.pending,
        }
        if self.distribution.is_chief:
            run_checkpoint.save(RunCheckpoint(arrays, state), self.directory)

    def _restore(self, checkpoint: RunCheckpoint) -> tuple[tuple[np.ndarray, ...], Pending]:
        """Restores the run; returns the LSTM states and the pending values of the progress."""
        arrays, state = checkpoint
        variables = self._variables()
        differences = self._differences(checkpoint, variables)
        if differences:
            raise ValueError(
                f"The run in {self.directory} must have the same configuration to be resumed. "
                f"Received: {'; '.join(differences[:5])}. Choose another directory, or the options "
                "and the corpus of that run."
            )
        for name, variable in variables.items():
            variable.assign(arrays[name])
        self.windows.restore(state["windows"])
        self.step = state["step"]
        return tuple(arrays[name] for name in _STATES), state["pending"]

    def _differences(
        self, checkpoint: RunCheckpoint, variables: dict[str, keras.Variable]
    ) -> list[str]:
        """Describes how the run of a checkpoint differs from this one."""
        arrays, state = checkpoint
        differences = _compare(state["configuration"], self._configuration())
        if differences:
            return differences
        new = {name: tuple(variable.shape) for name, variable in variables.items()}
        old = {name: array.shape for name, array in arrays.items() if name not in _STATES}
        differences = [
            f"{name} was of shape {old.get(name)} and is {new.get(name)}"
            for name in sorted(new.keys() | old.keys())
            if new.get(name) != old.get(name)
        ]
        # Checkpoints of old versions have no digests of the architecture.
        if differences or "architecture" not in state:
            return differences
        return _compare(state["architecture"], self._architecture())


def _sha1(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()


def _compare(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [
        f"{name} was {old.get(name)!r} and is {value!r}"
        for name, value in new.items()
        if old.get(name) != value
    ]


def _is_due(step: int, every: int | None) -> bool:
    return bool(every and step % every == 0)
