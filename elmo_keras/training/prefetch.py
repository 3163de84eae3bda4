"""Prefetching of training batches."""

import concurrent.futures
import contextlib
from collections.abc import Iterator
from typing import Any

from elmo_keras.training.windows import Batch, Windows


@contextlib.contextmanager
def prefetch(windows: Windows) -> Iterator[Iterator[tuple[Batch, dict[str, Any]]]]:
    """Yields an iterator of batches, each with the state of the windows after it.

    A thread makes the next batch while the current one is in use.

    Args:
        windows: `Windows`.
    """

    def make() -> tuple[Batch, dict[str, Any]]:
        return next(windows), windows.state()

    def batches() -> Iterator[tuple[Batch, dict[str, Any]]]:
        future = executor.submit(make)
        while True:
            result = future.result()
            future = executor.submit(make)
            yield result

    executor = concurrent.futures.ThreadPoolExecutor(max_workers=1)
    try:
        yield batches()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
