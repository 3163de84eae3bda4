"""elmo_keras against AllenNLP, simple_elmo and the machine, in one run: `make bench`.

    python benchmarks/speed.py [--rounds 3] [--only vectors,train,...] [--peers ../shared/peers]

The original size, 93.6 M parameters, random weights, on sentences of UD EWT (`ELMO_KERAS_DATA`
names their folder). Each program is a process of its own; of each case, every one does the same
work in turn, round by round, and medians and their ratios are reported. The peers are left out
where `.peers/` does not hold their environments. Writes `benchmarks/RESULTS.md`.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import random
import re
import statistics
import subprocess
import sys
import tempfile

import load

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent
PYTHONS = {"allennlp": ".peers/torch/bin/python", "simple_elmo": ".peers/tf/bin/python"}


class Worker:
    """A program in its process; `ask` has it do something."""

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
    """The workers, started when first needed, and the lines of the report."""

    def __init__(self, arguments, checkpoint):
        self.arguments, self.checkpoint = arguments, checkpoint
        self.workers, self.lines = {}, []
        self.versions = {}
        self.programs = ["allennlp", "simple_elmo"]
        self.programs = [name for name in self.programs if (ROOT / PYTHONS[name]).exists()]

    def worker(self, program, dtype="float32"):
        key = program, dtype
        if key not in self.workers:
            self.workers[key] = Worker(program, self.checkpoint, self.arguments.peers, dtype)
            self.versions[program] = self.workers[key].versions
        return self.workers[key]

    def close(self):
        for worker in self.workers.values():
            worker.close()
        self.workers = {}

    def rounds(self, asked, rounds=None, warm=True):
        """Medians of the answers' numbers; `asked` are `(worker, request)` by name, in turn."""
        for worker, request in asked.values() if warm else ():
            few = {"sentences": request.get("sentences", [])[: request.get("batch_size", 8)]}
            worker.ask(**request | (few if "sentences" in request else {}))
        answers = {name: [] for name in asked}
        for _ in range(rounds or self.arguments.rounds):
            for name, (worker, request) in asked.items():
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


def against_peers(bench, title, cases, do, dtypes, targets, fresh=False):
    """A table of tokens per second of each program, and the ratios to AllenNLP."""
    half = dtypes[1]
    bench.write("", f"## {title}")
    memory = ["peak memory, MiB: AllenNLP, float32, " + half] if do == "train" else []
    bench.table(
        "case", "tokens", "AllenNLP, tokens/s", "float32", "ratio", half, "ratio", "asked", *memory
    )
    for name, sentences, size in cases:
        if fresh:
            bench.close()
        request = {"do": do, "sentences": sentences, "batch_size": size}
        asked = {"allennlp": "float32"} if "allennlp" in bench.programs else {}
        asked = {program: (bench.worker(program), request) for program in asked}
        for dtype in dtypes:
            asked[dtype] = (bench.worker("elmo_keras", dtype), request)
        results = bench.rounds(asked)
        tokens = sum(map(len, sentences))
        rates = {key: tokens / result["seconds"] for key, result in results.items()}
        peer = rates.get("allennlp")
        cells = [name, f"{tokens:,}", f"{peer:.0f}" if peer else "-"]
        for dtype in dtypes:
            cells += [f"{rates[dtype]:,.0f}", f"{rates[dtype] / peer:.1f}x" if peer else "-"]
        cells.append(targets.get(name, "-"))
        if memory:
            cells.append(", ".join(f"{result['peak']:,.0f}" for result in results.values()))
        bench.row(*cells)


def vectors(bench, data):
    in_order, first = data[:128], sorted(data[:128], key=len)
    long = sum(data[:40], [])
    cases = [
        ("batches of 32, corpus order", in_order, 32),
        ("batches of 32, sorted", first, 32),
        ("batch of 1", data[:20], 1),
        ("batches of 8", data[:48], 8),
        ("batch of 128", in_order, 128),
        ("5 tokens, batch of 128", [s[:5] for s in data if len(s) >= 5][:128], 128),
        ("400 tokens, batch of 4", [long[i : i + 400] for i in range(0, 400, 100)], 4),
    ]
    asked = {
        name: "3.5x, 6x" if "32" in name else "4x, 6x" for name, _, size in cases if size in (1, 32)
    }
    against_peers(
        bench, "Vectors, identical batches", cases, "vectors", ("float32", "bfloat16"), asked
    )


def train(bench, data):
    cases = [
        ("batches of 32, corpus order", data[:64], 32),
        ("batches of 32, sorted", sorted(data[:64], key=len), 32),
    ]
    asked = {name: "4.5x, 7x" for name, *_ in cases}
    against_peers(
        bench,
        "Training step: forward and backward through the whole biLM",
        cases,
        "train",
        ("float32", "mixed_bfloat16"),
        asked,
        fresh=True,
    )
    bench.close()


def corpus(bench, data):
    sentences = data[:512]
    tokens = sum(map(len, sentences))
    bench.write("", "## A corpus, in its own order", "")
    bench.write(
        "`elmo.embed(sentences)` against the peers in batches of 32 as they come: "
        f"{tokens:,} tokens of {len(sentences)} sentences."
    )
    asked = {}
    for program in bench.programs:
        request = {"do": "vectors", "sentences": sentences, "batch_size": 32}
        asked[program] = (bench.worker(program), request)
    for dtype in ("float32", "bfloat16"):
        request = {"do": "embed", "sentences": sentences}
        asked[dtype] = (bench.worker("elmo_keras", dtype), request)
    rates = {key: tokens / r["seconds"] for key, r in bench.rounds(asked).items()}
    bench.table("", "tokens/s", "x AllenNLP", "x simple_elmo", "asked")
    targets = {"float32": "5x, 15x", "bfloat16": "10x, 30x"}
    for name, rate in rates.items():
        ratios = [f"{rate / rates[p]:.1f}x" if p in rates else "-" for p in PYTHONS]
        bench.row(name, f"{rate:,.0f}", *ratios, targets.get(name, "-"))


def limit(bench, data):
    bench.write("", "## The biLM against the machine's matrix products", "")
    bench.write(
        "Equal lengths. The limit is the time of the same products, of the same shapes and number,",
        "one behind the other, by `tf.matmul`, in turn with the biLM.",
    )
    bench.table("work", "s", "limit, s", "of the limit", "GFLOP/s", "GB/s of weights", "asked")
    for name, dtype, rows, steps, is_train, target in (
        ("forward, 32 x 20", "float32", 32, 20, False, "90 %"),
        ("forward, 32 x 20", "bfloat16", 32, 20, False, "-"),
        ("forward, 1 x 20", "float32", 1, 20, False, "-"),
        ("forward, 1 x 20", "bfloat16", 1, 20, False, "-"),
        ("training, 32 x 20", "float32", 32, 20, True, "70 %"),
        ("training, 32 x 20", "mixed_bfloat16", 32, 20, True, "-"),
    ):
        request = {"do": "limit", "rows": rows, "steps": steps, "train": is_train}
        asked = {"it": (bench.worker("elmo_keras", dtype), request)}
        it = bench.rounds(asked, rounds=max(5, bench.arguments.rounds))["it"]
        share = f"{it['limit'] / it['seconds']:.0%}"
        numbers = f"{it['seconds']:.3f}", f"{it['limit']:.3f}", share, f"{it['gflops']:.0f}"
        bench.row(f"{name}, {dtype}", *numbers, f"{it['gbs']:.0f}", target)


def lengths(bench, data):
    """What padding costs: mixed lengths against equal ones of as many tokens."""
    worker = bench.worker("elmo_keras", "float32")
    bench.write("", "## Cost follows tokens")
    bench.table("batch of 32", "real of padded tokens", "time of its padded cost", "asked")
    corpus_lengths = [len(sentence) for sentence in data[:32]]
    few = [60] + [10] * 31
    for name, some, target in (
        ("equal lengths of 20", [20] * 32, "1.05"),
        ("corpus order", corpus_lengths, "1.05"),
        ("one of 60, 31 of 10", few, "0.65"),
        ("sorted corpus", sorted(map(len, data[:512]))[240:272], "1.05"),
    ):
        request = {"do": "lengths", "lengths": some}
        both = {
            key: (worker, request | {"padded": padded})
            for key, padded in (("packed", False), ("padded", True))
        }
        result = bench.rounds(both, rounds=5)
        share = sum(some) / (len(some) * max(some))
        ratio = result["packed"]["seconds"] / result["padded"]["seconds"]
        bench.row(name, f"{share:.0%}", f"{ratio:.2f}", target)

    sentences = data[:256]
    words = [word for sentence in sentences for word in sentence]
    equal = [words[i : i + 16] for i in range(0, len(words) - 15, 16)]
    asked = {
        key: (worker, {"do": "embed", "sentences": some})
        for key, some in (("mixed", sentences), ("equal", equal))
    }
    result = bench.rounds(asked, rounds=5)
    # Both with the boundaries of their sentences, which are steps like tokens.
    cost = {
        key: result[key]["seconds"] / sum(len(s) + 2 for s in some)
        for key, some in (("mixed", sentences), ("equal", equal))
    }
    bench.write(
        "",
        f"`embed` of mixed lengths costs {cost['mixed'] / cost['equal']:.2f}x what its steps cost "
        "in sentences of 16 tokens (asked: 1.15x at most).",
    )


def scaling(bench, data):
    worker = bench.worker("elmo_keras", "float32")
    bench.write("", "## Time and memory of `embed` against tokens (float32)")
    bench.table("tokens", "s", "tokens/s", "resident afterwards, MiB", "peak, MiB")
    words = [word for sentence in data for word in sentence]
    cut = random.Random(0)
    text = []
    while words:
        size = cut.randint(3, 40)
        text.append(words[:size])
        words = words[size:]
    text = (text * 10)[: 100_000 // 18]
    for number in (1_000, 10_000, 100_000):
        some, count = [], 0
        for sentence in text:
            if count >= number:
                break
            some.append(sentence)
            count += len(sentence)
        if number == 1_000:
            worker.ask(do="embed", sentences=some)
        it = worker.ask(do="embed", sentences=some)
        numbers = f"{it['seconds']:.1f}", f"{count / it['seconds']:,.0f}"
        bench.row(f"{count:,}", *numbers, f"{it['resident']:,.0f}", f"{it['peak']:,.0f}")


def variants(bench, data):
    sentences = data[:128]
    tokens = sum(map(len, sentences))
    plain = bench.worker("elmo_keras", "float32")
    half = bench.worker("elmo_keras", "bfloat16")
    request = {"do": "vectors", "sentences": sentences, "batch_size": 32}

    bench.write("", "## Variants, batches of 32 in corpus order", "")
    bench.write(
        "The error is that of all layers' mix against float32: largest difference of a number, "
        "norm of the",
        "difference against the norm, and the smallest cosine of a token's vectors.",
    )
    bench.table("variant", "x float32's speed", "largest", "relative", "smallest cosine")
    with tempfile.TemporaryDirectory() as folder:
        compare = {"do": "error", "sentences": sentences, "reference": f"{folder}/reference.npy"}
        plain.ask(**compare)
        for name, part in (
            ("bfloat16", None),
            ("int8, the token encoder's products", "token_encoder"),
            ("int8, all products", "all"),
        ):
            other = half
            if part:
                other = Worker("elmo_keras", bench.checkpoint, bench.arguments.peers)
                other.ask("quantize", part=part)
            short = request | {"sentences": sentences[:32]} if part == "all" else request
            asked = {"plain": (plain, short), "other": (other, short)}
            result = bench.rounds(asked)
            error = other.ask(**compare)
            ratio = result["plain"]["seconds"] / result["other"]["seconds"]
            numbers = (f"{error[key]:.4f}" for key in ("largest", "relative", "cosine"))
            bench.row(name, f"{ratio:.2f}x", *numbers)
            if part:
                other.close()

    counts = {}
    for sentence in data:
        for word in sentence:
            counts[word] = counts.get(word, 0) + 1
    frequent = sorted(counts, key=counts.get, reverse=True)[:2000]
    before = bench.rounds({"it": (plain, request)})["it"]["seconds"]
    made = plain.ask("cache", words=frequent)["seconds"]
    plain.ask("retrace")
    after = bench.rounds({"it": (plain, request)})["it"]["seconds"]
    plain.ask("cache", words=None)
    plain.ask("retrace")
    bench.write(
        "",
        f"`cache_vocabulary` of the 2,000 most frequent words ({made:.1f} s, once): "
        f"{before / after:.2f}x the speed, {tokens / after:,.0f} tokens/s.",
    )

    few = [sentence[:12] for sentence in data if len(sentence) >= 12][:32]
    first = plain.ask("xla", sentences=few, jit=True)["seconds"]
    asked = {
        name: (plain, {"do": "xla", "sentences": few, "jit": jit})
        for name, jit in (("without", False), ("with", True))
    }
    result = bench.rounds(asked, warm=False)
    plain.ask("xla", sentences=few, jit=False)
    again = plain.ask("xla", sentences=[s[:11] for s in few], jit=True)["seconds"]
    bench.write(
        "",
        f"XLA (`jit_compile=True`, ids, 32 x 12): {result['with']['seconds']:.2f} s against "
        f"{result['without']['seconds']:.2f} s without; the first call of each of two lengths "
        f"takes {first:.1f} s and {again:.1f} s.",
    )


def rest(bench, data):
    worker = bench.worker("elmo_keras", "float32")
    bench.write("", "## Strings and SavedModel")
    bench.write("", "Character ids from strings (asked: 1 M tokens/s):", "")
    for name, some in (
        ("32 sentences in corpus order", data[:32]),
        ("128 sentences of like length", sorted(data[:1024], key=len)[512:640]),
    ):
        tokens = sum(map(len, some))
        request = {"do": "ids", "sentences": some, "repeats": 20}
        seconds = bench.rounds({"it": (worker, request)}, rounds=5)["it"]["seconds"]
        bench.write(f"- a batch of {name}: {20 * tokens / seconds / 1e6:.2f} M tokens/s")
    with tempfile.TemporaryDirectory() as folder:
        request = {"directory": f"{folder}/served", "sentences": data[:32]}
        worker.ask("saved_model", **request)
        it = bench.rounds({"it": (worker, {"do": "saved_model"} | request)}, warm=False)["it"]
    rate = sum(map(len, data[:32])) / it["seconds"]
    bench.write(
        "",
        f"SavedModel that takes raw text: {it['load']:.2f} s to load, {it['first']:.2f} s for the "
        f"first call, {it['seconds']:.2f} s for a later one of the same 32 sentences "
        f"(about {rate:,.0f} tokens/s).",
    )
    rows = {"read": [], "load": []}
    for _ in range(max(5, bench.arguments.rounds)):
        for what, row in rows.items():
            row.append(load.measure(what, pathlib.Path(bench.checkpoint), repeats=1))
    read, loaded = ([statistics.median(column) for column in zip(*row)] for row in rows.values())
    bench.write(
        "",
        f"Loading the checkpoint, in new processes: {loaded[0]:.2f} s and {loaded[2]:,.0f} MiB "
        f"({loaded[0] / read[0]:.2f}x the time of reading its arrays by h5py, {read[0]:.2f} s); "
        "more in `benchmarks/load.py`.",
    )


CASES = {
    "vectors": vectors,
    "train": train,
    "corpus": corpus,
    "limit": limit,
    "lengths": lengths,
    "scaling": scaling,
    "variants": variants,
    "rest": rest,
}


def machine():
    model = re_search(r"model name\s*:\s*(.*)", "/proc/cpuinfo") or platform.processor()
    memory = int(re_search(r"MemTotal:\s+(\d+)", "/proc/meminfo") or 0) / 2**20
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB"


def re_search(pattern, path):
    found = re.search(pattern, pathlib.Path(path).read_text())
    return found and found[1]


def write_checkpoint(directory):
    """A random checkpoint of the published original's size."""
    load.write_original(directory)
    (weights,) = directory.glob("*.hdf5")
    weights.rename(directory / "model.hdf5")  # what the peers' scripts look for


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help=f"some of {','.join(CASES)}; other sections stay")
    parser.add_argument("--checkpoint", help="options.json and model.hdf5, of any size")
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
        "Tokens are counted without the boundaries of sentences; times include the front end from "
        "strings",
        "and the character CNN. Every line compares programs that ran in turn, medians of "
        f"{arguments.rounds} rounds or more;",
        "the machine is shared, and absolute figures move by a tenth and more between runs.",
    ]
    results = HERE / "RESULTS.md"
    lines = [*head, *bench.lines]
    if arguments.only and results.exists():
        lines = merged(results.read_text().split("\n"), lines)
    results.write_text("\n".join(lines).rstrip("\n") + "\n")


def merged(old, new):
    """The sections of the old report, those that are new in their places."""
    head, *sections = _sections(old)
    for section in _sections(new)[1:]:
        places = [i for i, other in enumerate(sections) if other[0] == section[0]]
        if places:
            sections[places[0]] = section
        else:
            sections.append(section)
    return [line for section in [head, *sections] for line in section]


def _sections(lines):
    """What stands before the first heading, and then each heading with what follows it."""
    sections = [[]]
    for line in lines:
        if line.startswith("## "):
            sections.append([])
        sections[-1].append(line)
    return sections


if __name__ == "__main__":
    main()
