"""What is known of a run while it goes on: lines to read, a log, TensorBoard."""

import contextlib
import json
import pathlib
import time
from collections.abc import Callable

import numpy as np

from elmo_keras.files.atomic_write import text_content, write_atomically
from elmo_keras.utils.optional_module import tensorflow as tf

LOG, TENSORBOARD = "log.jsonl", "tensorboard"


class Progress:
    """Collects the losses of steps, and tells about them now and then.

    Args:
        directory: where `log.jsonl` and `tensorboard/` go.
        steps: int. Of the whole run.
        batch_tokens: int. Words of a batch that each direction predicts.
        first: int. The step that the run begins with; the log of later ones is dropped.
        every: int. Steps that are told of together.
        report: what takes a line of text.
        is_chief: bool. Whether to write anything.
        pending: what `pending` was at that step.
    """

    def __init__(
        self,
        directory: pathlib.Path,
        steps: int,
        batch_tokens: int,
        first: int,
        every: int,
        report: Callable[[str], None],
        is_chief: bool = True,
        pending: tuple | None = None,
    ):
        self.path = directory / LOG
        self.steps, self.batch_tokens, self.first = steps, batch_tokens, first
        self.every, self.report, self.is_chief = every, report, is_chief
        sums, norms = ([], []) if pending is None else pending
        self._sums, self._norms = [np.array(pair) for pair in sums], list(norms)
        self._start = self._since = time.perf_counter()
        self._writer = None
        if is_chief:
            self._drop_later_lines()
            # Without TensorFlow there is the log.
            with contextlib.suppress(ImportError):
                self._writer = tf.summary.create_file_writer(str(directory / TENSORBOARD))

    def add(self, step: int, sums: np.ndarray, norm: float, learning_rate: float) -> None:
        """One step, from 0: the sums of both directions' losses, and the gradient's norm."""
        self._sums.append(np.asarray(sums, "float64"))
        self._norms.append(norm)
        if (step + 1) % self.every and step + 1 != self.steps:
            return
        number, now = len(self._sums), time.perf_counter()
        losses = sum(self._sums) / (number * self.batch_tokens)
        timed = min(number, step + 1 - self.first)
        speed = timed * self.batch_tokens / (now - self._since)
        forward, backward = np.exp(losses)
        self._write(
            step + 1,
            {
                "loss": float(losses.mean()),
                "forward_perplexity": float(forward),
                "backward_perplexity": float(backward),
                "gradient_norm": float(np.mean(self._norms)),
                "learning_rate": learning_rate,
                "tokens_per_second": speed,
            },
        )
        left = (self.steps - step - 1) * (now - self._start) / (step + 1 - self.first)
        self.report(
            f"step {step + 1:,}/{self.steps:,}  {(step + 1) * self.batch_tokens:,} tokens  "
            f"{speed:,.0f} tokens/s  loss {losses.mean():.3f}  perplexity {forward:,.1f} forward, "
            f"{backward:,.1f} backward  {_duration(left)} left"
        )
        self._sums, self._norms, self._since = [], [], now

    @property
    def pending(self) -> tuple:
        """What was not told of yet, ready for JSON."""
        return [pair.tolist() for pair in self._sums], list(self._norms)

    def validated(self, step: int, forward: float, backward: float, mean: float) -> None:
        """The perplexities of the validation text after so many steps, by the full softmax."""
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
    def paused(self):
        """Inside, time does not count as that of steps."""
        start = time.perf_counter()
        yield
        pause = time.perf_counter() - start
        self._since += pause
        self._start += pause

    def _write(self, step, values):
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

    def _drop_later_lines(self):
        """A run that was killed went on behind its last checkpoint: what it logged comes again."""
        if not self.path.exists():
            return
        kept = []
        for line in self.path.read_text(encoding="utf-8").splitlines(keepends=True):
            # The last line of a killed run may be cut.
            with contextlib.suppress(ValueError):
                if json.loads(line)["step"] <= self.first:
                    kept.append(line)
        write_atomically(self.path, text_content("".join(kept)).write)


def _duration(seconds):
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
