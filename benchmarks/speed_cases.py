"""Sections of the report of `speed.py`: each function measures one and writes its lines."""

import pathlib
import random
import statistics
import tempfile

import load

PEERS = ("allennlp", "simple_elmo")


def against_peers(bench, title, cases, do, dtypes, targets, fresh=False):
    """Writes a table of tokens per second of each program, with the ratios to AllenNLP."""
    half = dtypes[1]
    bench.write("", f"## {title}")
    memory = ["peak memory, MiB: AllenNLP, float32, " + half] if do == "train" else []
    bench.table(
        "case", "tokens", "AllenNLP, tokens/s", "float32", "ratio", half, "ratio", "target", *memory
    )
    for name, sentences, size in cases:
        if fresh:
            bench.close()
        request = {"do": do, "sentences": sentences, "batch_size": size}
        peers = ["allennlp"] if "allennlp" in bench.programs else []
        requests = {program: (bench.worker(program), request) for program in peers}
        for dtype in dtypes:
            requests[dtype] = (bench.worker("elmo_keras", dtype), request)
        results = bench.rounds(requests)
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
    targets = {
        name: "3.5x, 6x" if "32" in name else "4x, 6x" for name, _, size in cases if size in (1, 32)
    }
    against_peers(
        bench, "Vectors, identical batches", cases, "vectors", ("float32", "bfloat16"), targets
    )


def train(bench, data):
    cases = [
        ("batches of 32, corpus order", data[:64], 32),
        ("batches of 32, sorted", sorted(data[:64], key=len), 32),
    ]
    targets = {name: "4.5x, 7x" for name, *_ in cases}
    against_peers(
        bench,
        "Training step: forward and backward through the whole biLM",
        cases,
        "train",
        ("float32", "mixed_bfloat16"),
        targets,
        fresh=True,
    )
    bench.close()


def corpus(bench, data):
    sentences = data[:512]
    tokens = sum(map(len, sentences))
    bench.write("", "## A corpus in its original order", "")
    bench.write(
        "`elmo.embed(sentences)` compared with the other programs in batches of 32: "
        f"{tokens:,} tokens of {len(sentences)} sentences."
    )
    requests = {}
    for program in bench.programs:
        request = {"do": "vectors", "sentences": sentences, "batch_size": 32}
        requests[program] = (bench.worker(program), request)
    for dtype in ("float32", "bfloat16"):
        request = {"do": "embed", "sentences": sentences}
        requests[dtype] = (bench.worker("elmo_keras", dtype), request)
    rates = {key: tokens / r["seconds"] for key, r in bench.rounds(requests).items()}
    bench.table("program", "tokens/s", "ratio to AllenNLP", "ratio to simple_elmo", "target")
    targets = {"float32": "5x, 15x", "bfloat16": "10x, 30x"}
    for name, rate in rates.items():
        ratios = [f"{rate / rates[p]:.1f}x" if p in rates else "-" for p in PEERS]
        bench.row(name, f"{rate:,.0f}", *ratios, targets.get(name, "-"))


def limit(bench, data):
    bench.write("", "## The biLM compared with its matrix products", "")
    bench.write(
        "Sentences of equal length. The limit is the time that `tf.matmul` takes for the same "
        "products",
        "alone, one after another, measured in turn with the biLM.",
    )
    bench.table("work", "s", "limit, s", "limit / time", "GFLOP/s", "GB/s of weights", "target")
    for name, dtype, rows, steps, is_train, target in (
        ("forward, 32 x 20", "float32", 32, 20, False, "90 %"),
        ("forward, 32 x 20", "bfloat16", 32, 20, False, "-"),
        ("forward, 1 x 20", "float32", 1, 20, False, "-"),
        ("forward, 1 x 20", "bfloat16", 1, 20, False, "-"),
        ("training, 32 x 20", "float32", 32, 20, True, "70 %"),
        ("training, 32 x 20", "mixed_bfloat16", 32, 20, True, "-"),
    ):
        request = {"do": "limit", "rows": rows, "steps": steps, "train": is_train}
        requests = {"bilm": (bench.worker("elmo_keras", dtype), request)}
        result = bench.rounds(requests, rounds=max(5, bench.arguments.rounds))["bilm"]
        share = f"{result['limit'] / result['seconds']:.0%}"
        numbers = f"{result['seconds']:.3f}", f"{result['limit']:.3f}", share
        bench.row(
            f"{name}, {dtype}", *numbers, f"{result['gflops']:.0f}", f"{result['gbs']:.0f}", target
        )


def lengths(bench, data):
    """Cost of padding: batches of mixed lengths compared with batches of equal length."""
    worker = bench.worker("elmo_keras", "float32")
    bench.write("", "## Cost follows tokens")
    bench.table("batch of 32", "real tokens", "time compared with a full batch", "target")
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
    requests = {
        key: (worker, {"do": "embed", "sentences": some})
        for key, some in (("mixed", sentences), ("equal", equal))
    }
    result = bench.rounds(requests, rounds=5)
    # Sentence boundaries are time steps, too.
    cost = {
        key: result[key]["seconds"] / sum(len(s) + 2 for s in some)
        for key, some in (("mixed", sentences), ("equal", equal))
    }
    bench.write(
        "",
        f"A time step of `embed` takes {cost['mixed'] / cost['equal']:.2f}x as long in sentences "
        "of mixed lengths as in sentences of 16 tokens (target: 1.15x at most).",
    )


def scaling(bench, data):
    worker = bench.worker("elmo_keras", "float32")
    bench.write("", "## Time and memory of `embed` by number of tokens (float32)")
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
        result = worker.ask(do="embed", sentences=some)
        seconds = result["seconds"]
        memory = f"{result['resident']:,.0f}", f"{result['peak']:,.0f}"
        bench.row(f"{count:,}", f"{seconds:.1f}", f"{count / seconds:,.0f}", *memory)


def variants(bench, data):
    sentences = data[:128]
    tokens = sum(map(len, sentences))
    plain = bench.worker("elmo_keras", "float32")
    half = bench.worker("elmo_keras", "bfloat16")
    request = {"do": "vectors", "sentences": sentences, "batch_size": 32}

    bench.write("", "## Variants, batches of 32 in corpus order", "")
    bench.write(
        "The vectors (the mix of all layers) are compared with those in float32: the largest "
        "difference of",
        "a value, the norm of the difference relative to the norm of the vectors, and the smallest "
        "cosine",
        "similarity of a token's vectors.",
    )
    bench.table("variant", "speed / float32", "largest", "relative", "smallest cosine")
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
                other = bench.new_worker()
                other.ask("quantize", part=part)
            short = request | {"sentences": sentences[:32]} if part == "all" else request
            result = bench.rounds({"plain": (plain, short), "other": (other, short)})
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
    before = bench.rounds({"plain": (plain, request)})["plain"]["seconds"]
    caching = plain.ask("cache", words=frequent)["seconds"]
    plain.ask("retrace")
    after = bench.rounds({"plain": (plain, request)})["plain"]["seconds"]
    plain.ask("cache", words=None)
    plain.ask("retrace")
    bench.write(
        "",
        f"`cache_vocabulary` of the 2,000 most frequent words takes {caching:.1f} s once; the "
        f"speed is then {before / after:.2f}x, {tokens / after:,.0f} tokens/s.",
    )

    few = [sentence[:12] for sentence in data if len(sentence) >= 12][:32]
    first = plain.ask("xla", sentences=few, jit=True)["seconds"]
    requests = {
        name: (plain, {"do": "xla", "sentences": few, "jit": jit})
        for name, jit in (("without", False), ("with", True))
    }
    result = bench.rounds(requests, warm=False)
    plain.ask("xla", sentences=few, jit=False)
    again = plain.ask("xla", sentences=[s[:11] for s in few], jit=True)["seconds"]
    bench.write(
        "",
        f"XLA (`jit_compile=True`, ids, 32 x 12) takes {result['with']['seconds']:.2f} s, "
        f"compared with {result['without']['seconds']:.2f} s without XLA. The first calls for two "
        f"lengths take {first:.1f} s and {again:.1f} s.",
    )


def rest(bench, data):
    worker = bench.worker("elmo_keras", "float32")
    bench.write("", "## Strings and SavedModel")
    bench.write("", "Character ids from strings (target: 1 M tokens/s):", "")
    for name, some in (
        ("32 sentences in corpus order", data[:32]),
        ("128 sentences of similar length", sorted(data[:1024], key=len)[512:640]),
    ):
        tokens = sum(map(len, some))
        request = {"do": "ids", "sentences": some, "repeats": 20}
        seconds = bench.rounds({"ids": (worker, request)}, rounds=5)["ids"]["seconds"]
        bench.write(f"- a batch of {name}: {20 * tokens / seconds / 1e6:.2f} M tokens/s")
    with tempfile.TemporaryDirectory() as folder:
        request = {"directory": f"{folder}/served", "sentences": data[:32]}
        worker.ask("saved_model", **request)
        requests = {"served": (worker, {"do": "saved_model"} | request)}
        served = bench.rounds(requests, warm=False)["served"]
    rate = sum(map(len, data[:32])) / served["seconds"]
    bench.write(
        "",
        f"A SavedModel that accepts raw text takes {served['load']:.2f} s to load, "
        f"{served['first']:.2f} s for the first call and {served['seconds']:.2f} s for a later "
        f"call with the same 32 sentences (about {rate:,.0f} tokens/s).",
    )
    rows = {"read": [], "load": []}
    for _ in range(max(5, bench.arguments.rounds)):
        for action, row in rows.items():
            row.append(load.measure(action, pathlib.Path(bench.checkpoint), repeats=1))
    read, loaded = ([statistics.median(column) for column in zip(*row)] for row in rows.values())
    bench.write(
        "",
        f"Loading the checkpoint in a new process takes {loaded[0]:.2f} s and {loaded[2]:,.0f} "
        f"MiB. h5py alone reads its arrays in {read[0]:.2f} s, a ratio of "
        f"{loaded[0] / read[0]:.2f}. `benchmarks/load.py` measures loading in detail.",
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
