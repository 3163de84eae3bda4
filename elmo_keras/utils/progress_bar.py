"""The progress bar of all long-running calls, except Keras's `fit` and `predict`."""

from types import TracebackType
from typing import Any


class ProgressBar:
    """A progress bar in the terminal that shows finished items, tokens per second and time left.

    rich draws the bar and is imported when the bar starts. Lines that are printed meanwhile appear
    above the bar.

    Args:
        label: str. The activity, such as `"Embedding"`.
        unit: str. The plural noun of the items that are counted, such as `"sentences"`.
        total: int or `None`. The number of items, or `None` if it is unknown. Defaults to `None`.
        completed: int. Number of items that are finished already. Defaults to `0`.
        enabled: bool. Whether to show the bar; otherwise all methods do nothing. Defaults to
            `True`.

    Example:

    >>> from elmo_keras.utils.progress_bar import ProgressBar
    >>> sentences = [["The", "cat", "sat", "."], ["Yes", "!"]]
    >>> with ProgressBar("Reading", "sentences", total=2, enabled=False) as bar:
    ...     for tokens in sentences:
    ...         bar.advance(1, tokens=len(tokens))
    """

    def __init__(
        self,
        label: str,
        unit: str,
        total: int | None = None,
        completed: int = 0,
        enabled: bool = True,
    ) -> None:
        self.label, self.unit = label, unit
        self.total, self.completed, self.enabled = total, completed, enabled
        self._bar: Any = None
        self._tokens = 0

    def __enter__(self) -> "ProgressBar":
        if self.enabled:
            from rich import progress

            self._bar = progress.Progress(
                progress.TextColumn(self.label),
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                progress.TextColumn(f"{self.unit}, {{task.fields[rate]}}"),
                progress.TimeRemainingColumn(),
            )
            self._bar.add_task("", total=self.total, completed=self.completed, rate="")
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def advance(self, items: int, tokens: int = 0) -> None:
        """Advances the bar.

        Args:
            items: number of newly finished items.
            tokens: number of tokens in these items. Defaults to `0`.
        """
        if self._bar is None:
            return
        self._tokens += tokens
        (task,) = self._bar.tasks
        seconds = task.elapsed or 0
        rate = f"{self._tokens / seconds:,.0f} tokens/s" if seconds else ""
        self._bar.update(task.id, advance=items, rate=rate)
