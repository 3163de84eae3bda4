import os
import signal
import threading

import pytest

from elmo_keras.training.deferred_interrupts import DeferredInterrupts

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("number", SIGNALS, ids=["SIGINT", "SIGTERM"])
def test_a_signal_waits(number):
    before = [signal.getsignal(other) for other in SIGNALS]
    with DeferredInterrupts(True) as interrupts:
        assert not interrupts.is_pending
        os.kill(os.getpid(), number)
        assert interrupts.is_pending
    assert [signal.getsignal(other) for other in SIGNALS] == before


def test_an_error_restores_the_handlers():
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(RuntimeError, match="stop"), DeferredInterrupts(True):
        raise RuntimeError("stop")
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_disabled_it_changes_no_handler():
    before = [signal.getsignal(number) for number in SIGNALS]
    with DeferredInterrupts(False) as interrupts:
        assert [signal.getsignal(number) for number in SIGNALS] == before
    assert not interrupts.is_pending


def test_another_thread_changes_no_handler():
    before = [signal.getsignal(number) for number in SIGNALS]
    seen = []

    def enter():
        with DeferredInterrupts(True):
            seen.append([signal.getsignal(number) for number in SIGNALS])

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [before]
