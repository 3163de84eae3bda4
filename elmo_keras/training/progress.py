"""Progress of a pretraining run: lines of text, a progress bar, `log.jsonl` and TensorBoard."""

import contextlib
import json
import pathlib
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TypeAlias

import numpy as np

from elmo_keras.files.atomic_write import text_content, write_atomically
from elmo_keras.utils.optional_module import tensorflow as tf
from elmo_keras.utils.progress_bar import ProgressBar

LOG, TENSORBOARD = "log.jsonl", "tensorboard"

# The sums that `window_loss` returns, and the norms of the gradient, of each step.
Pending: TypeAlias = tuple[list[list[float]], list[float]]


class PretrainingProgress:
    """Collects the losses of steps and reports their means at regular intervals.

    As a context manager, it shows the progress bar.

    Args:
        directory: path to write `log.jsonl` and `tensorboard/` to.
        num_steps: int. Steps of the whole run.
        batch_tokens: int. Words of a batch that each direction predicts.
        first_step: int. The step that the process starts with. Log lines of later steps, from an
            earlier process, are dropped.
        log_every: int. Number of steps that a line sums up.
        report: function that is called with each line of text.
        is_chief: bool. Whether to write files. Defaults to `True`.
        pending: value of `pending` at `first_step`, or `None` for a new run. Defaults to `None`.
        show_bar: bool. Whether to show a progress bar. Defaults to `False`.
    """

    def __init__(
        self,
        directory: pathlib.Path,
        num_steps: int,
        batch_tokens: int,
        first_step: int,
        log_every: int,
        report: Callable[[str], None],
        is_chief: bool = True,
        pending: Pending | None = None,
        show_bar: bool = False,
    ) -> None:
        self.path = directory / LOG
        self.num_steps, self.batch_tokens = num_steps, batch_tokens
        self.first_step, self.log_every = first_step, log_every
        self.report, self.is_chief = report, is_chief
        sums, norms = ([], []) if pending is None else pending
        self._sums, self._norms = [np.array(pair) for pair in sums], list(norms)
        self._start = self._since = time.perf_counter()
        self._bar = ProgressBar("Pretraining", "steps", num_steps, first_step, enabled=show_bar)
        self._writer = None
        if is_chief:
            self._drop_later_lines()
            # Without TensorFlow, there is no TensorBoard log.
            with contextlib.suppress(ImportError):
                self._writer = tf.summary.create_file_writer(str(directory / TENSORBOARD))

    def __enter__(self) -> "PretrainingProgress":
        self._bar.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.__exit__(kind, error, traceback)

    def add_step(self, step: int, sums: np.ndarray, norm: float, learning_rate: float) -> None:
        """Adds a step, and reports if a line is due.

        Args:
            step: int. Index of the step, from 0.
            sums: `(2,)` floats, the sums of each direction's losses; with a teacher `(7,)`, see
                `window_loss`.
            norm: float. Norm of the gradient before clipping.
            learning_rate: float.
        """
        self._sums.append(np.asarray(sums, "float64"))
        self._norms.append(norm)
        self._bar.advance(1, tokens=self.batch_tokens)
        if (step + 1) % self.log_every and step + 1 != self.num_steps:
            return
        count, now = len(self._sums), time.perf_counter()
        means = np.asarray(sum(self._sums)) / count
        losses = means[:2] / self.batch_tokens
        teacher = _teacher_values(means[2:])
        timed = min(count, step + 1 - self.first_step)
        speed = timed * self.batch_tokens / (now - self._since)
        forward, backward = np.exp(losses)
        self._write(
            step + 1,
            {
                "loss": float(losses.mean()),
                "forward_perplexity": float(forward),
                "backward_perplexity": float(backward),
                **teacher,
                "gradient_norm": float(np.mean(self._norms)),
                "learning_rate": learning_rate,
                "tokens_per_second": speed,
            },
        )
        left = (self.num_steps - step - 1) * (now - self._start) / (step + 1 - self.first_step)
        self.report(
            f"step {step + 1:,}/{self.num_steps:,}  {(step + 1) * self.batch_tokens:,} tokens  "
            f"{speed:,.0f} tokens/s  loss {losses.mean():.3f}  perplexity {forward:,.1f} forward, "
            f"{backward:,.1f} backward  "
            + _format_teacher(teacher)
            + f"{_format_duration(left)} left"
        )
        self._sums, self._norms, self._since = [], [], now

    @property
    def pending(self) -> Pending:
        """The losses and norms that have not been reported yet, as JSON-compatible lists."""
        return [pair.tolist() for pair in self._sums], list(self._norms)

    def add_validation(self, step: int, forward: float, backward: float, mean: float) -> None:
        """Reports the full-softmax perplexities of the validation text.

        Args:
            step: int. Number of steps taken.
            forward: float. Perplexity of the forward direction.
            backward: float. Perplexity of the backward direction.
            mean: float. Perplexity of the mean loss.
        """
        values = {
            "validation_forward_perplexity": forward,
            "validation_backward_perplexity": backward,
            "validation_perplexity": mean,
        }
        self._write(step, values)
        self.report(
            f"step {step:,}  validation perplexity {mean:,.2f}: {forward:,.2f} forward, "
            f"{backward:,.2f} backward (full softmax)"
        )

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Excludes the time spent in the context from the speed of the steps."""
        start = time.perf_counter()
        yield
        pause = time.perf_counter() - start
        self._since += pause
        self._start += pause

    def _write(self, step: int, values: dict[str, float]) -> None:
        if not self.is_chief:
            return
        line = {"step": step, "tokens": step * self.batch_tokens, **values}
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if self._writer is not None:
            with self._writer.as_default(step=step):
                for name, value in values.items():
                    tf.summary.scalar(name, value)
            self._writer.flush()

    def _drop_later_lines(self) -> None:
        """Drops log lines after `first_step`: a killed process took those steps, to be repeated."""
        if not self.path.exists():
            return
        kept = []
        for line in self.path.read_text(encoding="utf-8").splitlines(keepends=True):
            # The last line of a killed process may be incomplete.
            with contextlib.suppress(ValueError):
                if json.loads(line)["step"] <= self.first_step:
                    kept.append(line)
        write_atomically(self.path, text_content("".join(kept)).write)


def _teacher_values(sums: np.ndarray) -> dict[str, float]:
    """Converts the five values of `window_loss.sentence_sums`, or none, to means."""
    if not len(sums):
        return {}
    word_loss, error, sentence_error, words, targets = map(float, sums)
    return {
        "sentence_perplexity": float(np.exp(word_loss / (2 * words))),
        "teacher_error": error / max(targets, 1.0),
        "teacher_sentence_error": sentence_error / max(targets, 1.0),
    }


def _format_teacher(values: dict[str, float]) -> str:
    if not values:
        return ""
    perplexity, error, sentence_error = values.values()
    return (
        f"sentences: perplexity {perplexity:,.1f}, teacher error {error:.3f} by token, "
        f"{sentence_error:.3f} by sentence  "
    )


def _format_duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
