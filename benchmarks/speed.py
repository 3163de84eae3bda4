"""Compares the speed of elmo_keras with AllenNLP, simple_elmo and the machine: `make bench`.

    python benchmarks/speed.py [--rounds 3] [--only vectors,train,...] [--peers ../shared/peers]

Measures a model of the original size (93.6 M parameters) with random weights on sentences of UD
EWT, from the folder that `ELMO_KERAS_DATA` names. Each program runs in a separate process. In each
round, the programs do the same work one after another; medians over the rounds and their ratios are
reported. Other programs are skipped if `.peers/` lacks their environments. Writes
`benchmarks/RESULTS.md`. `speed_cases.py` holds the sections of the report.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import tempfile

import load
from speed_cases import CASES, PEERS

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent
PYTHONS = {"allennlp": ".peers/torch/bin/python", "simple_elmo": ".peers/tf/bin/python"}


class Worker:
    """A process that runs one program and answers requests (`ask`)."""

    def __init__(self, program, checkpoint, peers, dtype="float32"):
        python = PYTHONS.get(program, sys.executable)
        command = [python, HERE / "speed_worker.py", program, checkpoint]
        command += ["--peers", peers, "--dtype", dtype]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
        self.process = subprocess.Popen(
            list(map(str, command)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        self.versions = self._answer()["versions"]

    def ask(self, do, **arguments):
        self.process.stdin.write(json.dumps({"do": do} | arguments) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args[2]} ended with {self.process.wait()}")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Bench:
    """The workers, which start when they are first needed, and the lines of the report."""

    def __init__(self, arguments, checkpoint):
        self.arguments, self.checkpoint = arguments, checkpoint
        self.workers, self.lines = {}, []
        self.versions = {}
        self.programs = [name for name in PEERS if (ROOT / PYTHONS[name]).exists()]

    def worker(self, program, dtype="float32"):
        key = program, dtype
        if key not in self.workers:
            self.workers[key] = Worker(program, self.checkpoint, self.arguments.peers, dtype)
            self.versions[program] = self.workers[key].versions
        return self.workers[key]

    def new_worker(self):
        """Starts a worker of elmo_keras that the caller closes."""
        return Worker("elmo_keras", self.checkpoint, self.arguments.peers)

    def close(self):
        for worker in self.workers.values():
            worker.close()
        self.workers = {}

    def rounds(self, requests, rounds=None, warm=True):
        """Sends requests in turn, several times, and returns the medians of their answers.

        Args:
            requests: dict of names to `(worker, request)`.
            rounds: int. Number of rounds. Defaults to the command line's `--rounds`.
            warm: bool. Whether to send each request once before, with few sentences.

        Returns:
            dict of names to dicts of medians.
        """
        for worker, request in requests.values() if warm else ():
            few = {"sentences": request.get("sentences", [])[: request.get("batch_size", 8)]}
            worker.ask(**request | (few if "sentences" in request else {}))
        answers = {name: [] for name in requests}
        for _ in range(rounds or self.arguments.rounds):
            for name, (worker, request) in requests.items():
                answers[name].append(worker.ask(**request))
        return {
            name: {key: statistics.median(a[key] for a in some) for key in some[0]}
            for name, some in answers.items()
        }

    def write(self, *lines):
        for line in lines:
            print(line, flush=True)
            self.lines.append(line)

    def table(self, *columns):
        self.write("", "| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns))

    def row(self, *cells):
        self.write("| " + " | ".join(map(str, cells)) + " |")


def machine():
    model = re_search(r"model name\s*:\s*(.*)", "/proc/cpuinfo") or platform.processor()
    memory = int(re_search(r"MemTotal:\s+(\d+)", "/proc/meminfo") or 0) / 2**20
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB"


def re_search(pattern, path):
    match = re.search(pattern, pathlib.Path(path).read_text())
    return match and match[1]


def write_checkpoint(directory):
    """Writes a checkpoint of the original size with random weights."""
    load.write_original(directory)
    (weights,) = directory.glob("*.hdf5")
    weights.rename(directory / "model.hdf5")  # The scripts of the other programs use this name.


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help=f"sections to replace, some of {','.join(CASES)}")
    parser.add_argument("--checkpoint", help="directory with options.json and model.hdf5")
    parser.add_argument("--peers", default=str(ROOT.parent / "shared" / "peers"))
    arguments = parser.parse_args()
    chosen = arguments.only.split(",") if arguments.only else list(CASES)

    shared = ROOT.parent / "shared" / "data"
    if shared.is_dir():
        os.environ.setdefault("ELMO_KERAS_DATA", str(shared))
    from elmo_keras import datasets

    data = datasets.load_ud_ewt()[1].sentences
    with tempfile.TemporaryDirectory() as folder:
        if arguments.checkpoint is None:
            write_checkpoint(pathlib.Path(folder))
        bench = Bench(arguments, arguments.checkpoint or folder)
        try:
            for name in chosen:
                CASES[name](bench, data)
        finally:
            bench.close()
    versions = "; ".join(bench.versions.values())
    head = [
        "# Speed",
        "",
        f"`make bench`, {datetime.date.today()}: {machine()}. Python {platform.python_version()}, "
        f"{versions}.",
        "",
        "The original size, 93.6 M parameters, random weights; sentences of UD EWT's development "
        "set.",
        "Token counts exclude sentence boundaries. Times include the conversion of strings to ids "
        "and the",
        "character CNN. The programs of each line ran in turn; figures are medians of "
        f"{arguments.rounds} rounds or more.",
        "The machine is shared: absolute figures vary by 10 % and more between runs. A target is a "
        "ratio that",
        "the project aims for; two targets are for the two ratios of a row.",
    ]
    results = HERE / "RESULTS.md"
    lines = [*head, *bench.lines]
    if arguments.only and results.exists():
        lines = merged(results.read_text().split("\n"), lines)
    results.write_text("\n".join(lines).rstrip("\n") + "\n")


def merged(old, new):
    """Replaces the sections of the old report that are in the new one; appends further ones."""
    head, *sections = _sections(old)
    for section in _sections(new)[1:]:
        matches = [i for i, other in enumerate(sections) if other[0] == section[0]]
        if matches:
            sections[matches[0]] = section
        else:
            sections.append(section)
    ended = (section if section[-1] == "" else [*section, ""] for section in [head, *sections])
    return [line for section in ended for line in section]


def _sections(lines):
    """Splits lines at headings. The first section is the text before the first heading."""
    sections = [[]]
    for line in lines:
        if line.startswith("## "):
            sections.append([])
        sections[-1].append(line)
    return sections


if __name__ == "__main__":
    main()
