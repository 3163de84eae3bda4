"""A watched process that loads untrusted files, and assertions on the result of a load."""

import collections
import json
import os
import queue
import subprocess
import sys
import threading

from tests.fresh_process import ROOT

MIB = 2**20
MAX_ADDRESS_SPACE = 6 * 2**30  # bytes a load may add
MAX_MEMORY = 192 * MIB  # bytes a load may add; small models take one or two MiB
TIMEOUT = 10  # seconds; small models take a tenth of a second

# `result` is "loaded", the name of an exception, or "crashed" or "hung" for the process.
Outcome = collections.namedtuple("Outcome", "result message memory warnings")


class Jail:
    """A watched process that loads untrusted files one after the other.

    Its address space is limited, so that an allocation of all memory fails in this process alone.
    It starts at the first load, and again after a file has crashed it.

    Args:
        folder: path. Folder of the process's log and of `planted_module`, which no file may import.
        good: path. A source that loads; its first load is not measured.
        imports: str. A module to import before the measurements.
    """

    def __init__(self, folder, good, imports="json"):
        self._folder = folder
        (folder / "planted_module.py").write_text(f"open({str(folder / 'trapped')!r}, 'w')")
        self._log = folder / "log"
        self._arguments = [str(good), imports, str(MAX_ADDRESS_SPACE)]
        self._process = None

    def load(self, source, **options):
        """Returns the `Outcome` of `from_preset(source, **options)`; paths are passed as str."""
        if self._process is None:
            self._start()
            assert self._answer(120).result == "loaded", self._log.read_text()
        self._process.stdin.write(json.dumps([source, options], default=str) + "\n")
        self._process.stdin.flush()
        return self._answer(TIMEOUT)

    def _start(self):
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _INSIDE, *self._arguments],
                env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{self._folder}"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._answers = queue.SimpleQueue()
        threading.Thread(target=self._listen, args=(self._process, self._answers)).start()

    @staticmethod
    def _listen(process, answers):
        for line in process.stdout:
            answers.put(line)
        answers.put("")

    def _answer(self, timeout):
        try:
            line = self._answers.get(timeout=timeout)
        except queue.Empty:
            self.close()
            return Outcome("hung", f"for {timeout} seconds", 0, [])
        if line:
            return Outcome(*json.loads(line))
        self.close()
        return Outcome("crashed", self._log.read_text()[-2000:], 0, [])

    def is_trapped(self):
        """Returns whether a file made the process import `planted_module`."""
        return (self._folder / "trapped").exists()

    def close(self):
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


_INSIDE = """
import gc, importlib, json, os, re, resource, sys, warnings

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # Libraries also write to standard output.
good, imports, room = sys.argv[1:]
importlib.import_module(imports)
import elmo_keras

def status(key):
    with open("/proc/self/status") as file:
        return int(re.search(rf"{key}:\\s+(\\d+) kB", file.read())[1]) * 1024

def load(source, options):
    gc.collect()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # Resets VmHWM, the peak memory.
    before = status("VmRSS")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            elmo_keras.ElmoLayer.from_preset(source, **options)
            result, message = "loaded", ""
        except BaseException as error:
            # For one of our own exceptions, its built-in base class.
            bases = [c.__name__ for c in type(error).__mro__ if c.__module__ == "builtins"]
            result, message = bases[0], f"{type(error).__name__}: {error}"
    # As in `pyproject.toml`.
    texts = [str(w.message) for w in caught if "__array__ implementation" not in str(w.message)]
    answer = json.dumps([result, message, status("VmHWM") - before, texts])
    print(answer, file=answers, flush=True)

load(good, {})
gc.freeze()  # Later collections skip the objects that exist now.
resource.setrlimit(resource.RLIMIT_AS, (status("VmSize") + int(room),) * 2)
for line in sys.stdin:
    load(*json.loads(line))
"""


def assert_refused(outcome, *words):
    """Asserts that a load ended in a ValueError with these words, and had no other effect."""
    assert outcome.result == "ValueError", outcome
    for word in (*words, "Received"):
        assert word in outcome.message
    assert outcome.warnings == []
    assert outcome.memory < MAX_MEMORY, f"{outcome.memory // MIB} MiB"


def assert_loaded(outcome):
    assert outcome.result == "loaded", outcome
    assert outcome.warnings == []
    assert outcome.memory < MAX_MEMORY, f"{outcome.memory // MIB} MiB"
