"""Progress bars."""


class EmbeddingBar:
    """A progress bar of sentences, with tokens per second; nothing unless asked for."""

    def __init__(self, progress):
        self._bar = None
        if progress is not False:
            from rich import progress as rich_progress

            total = None if progress is True else progress
            self._bar = rich_progress.Progress(
                rich_progress.TextColumn("Embedding"),
                rich_progress.BarColumn(),
                rich_progress.MofNCompleteColumn(),
                rich_progress.TextColumn("sentences, {task.fields[rate]}"),
                rich_progress.TimeRemainingColumn(),
            )
            self._task = self._bar.add_task("", total=total, rate="")
            self._tokens = 0

    def __enter__(self):
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *exception):
        if self._bar:
            self._bar.stop()

    def advance(self, sentences, tokens):
        if self._bar:
            self._tokens += tokens
            seconds = self._bar.tasks[0].elapsed or 0
            rate = f"{self._tokens / seconds:,.0f} tokens/s" if seconds else ""
            self._bar.update(self._task, advance=sentences, rate=rate)
