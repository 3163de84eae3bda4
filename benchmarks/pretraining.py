"""Compares pretraining with bilm-tf's trainer: tokens per second, perplexity and memory.

    python benchmarks/pretraining.py CORPUS VALIDATION TRAINER

CORPUS and VALIDATION are text files with one sentence per line, tokens separated by spaces. CORPUS
has at least a few hundred thousand tokens. TRAINER is a script that runs bilm-tf's trainer, from
simple_elmo in `.peers/tf`, on a corpus: `TRAINER CORPUS FOLDER --tokens N`. It trains LSTMs of 512
units projected to 128 and a softmax over 30,003 words with 2,048 negatives, in batches of 64
streams and windows of 20 words. elmo_keras trains the same model on the trainer's vocabulary with
the same recipe: Adagrad with a learning rate of 0.2, dropout of 0.1, and LSTM states that are
always carried from window to window.

The programs run in turn, each in a separate process. Tokens per second exclude the start: the
trainer's follow from the difference between its "Total time" lines, ours from the log. elmo_keras
computes the perplexities of all models with the full softmax, in two ways: with states carried from
sentence to sentence, as bilm-tf tests, and with zero states before each sentence, as ELMo is used.
Writes `benchmarks/PRETRAINING.md`.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent
PEER = ROOT / ".peers" / "tf" / "bin" / "python"
BATCH_SIZE, WINDOW = 64, 20
LIKE_BILM_TF = {
    "optimizer": "adagrad",
    "learning_rate": 0.2,
    "warmup": 0,
    "decay": 0.0,
    "fresh_starts": 0.0,
}
OURS = {
    "elmo_keras, float32": ("float32", LIKE_BILM_TF),
    "elmo_keras, mixed_bfloat16": ("mixed_bfloat16", LIKE_BILM_TF),
    "elmo_keras' own recipe, mixed_bfloat16": ("mixed_bfloat16", {}),
}
TARGETS = {"elmo_keras, float32": "2x", "elmo_keras, mixed_bfloat16": "2.5x"}


def run_peer(trainer, corpus, folder, tokens):
    """Runs bilm-tf's trainer; returns its tokens per second and its peak memory in MiB."""
    output, memory = _watch([PEER, trainer, corpus, folder, "--tokens", tokens])
    times = [float(value) for value in re.findall(r"Total time: ([\d.]+)", output)]
    per_line = 100 * BATCH_SIZE * WINDOW  # it prints every 100 batches
    speeds = [per_line / (after - before) for before, after in zip(times, times[1:])]
    if not speeds:
        sys.exit(f"The trainer must print at least two times. It printed:\n{output[-2000:]}")
    return statistics.median(speeds), memory


def run_ours(name, corpus, vocabulary, folder, tokens):
    """Runs elmo_keras; returns its tokens per second and its peak memory in MiB."""
    arguments = json.dumps([name, str(corpus), str(vocabulary), str(folder), tokens])
    _, memory = _watch([sys.executable, __file__, "--train", arguments])
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    speeds = [line["tokens_per_second"] for line in lines if "loss" in line]
    return statistics.median(speeds[1:]), memory


def _watch(command):
    """Runs a program; returns its output and its peak memory in MiB."""
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(list(map(str, command)), stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode:
        sys.exit(f"{command[0]} failed:\n{text[-4000:]}")
    return text, usage.ru_maxrss / 1024


def train(name, corpus, vocabulary, folder, tokens):
    """Trains one of the models of `OURS`; runs in a separate process."""
    from elmo_keras import BidirectionalLanguageModel, training
    from elmo_keras.files import vocabulary_file
    from elmo_keras.training import command, model_sizes

    dtype, recipe = OURS[name]
    command.set_thread_counts()
    elmo = model_sizes.build_elmo(
        model_sizes.MODEL_SIZES["mini"], dtype=dtype, tokenizer="whitespace"
    )
    model = BidirectionalLanguageModel(elmo, vocabulary_file.read(pathlib.Path(vocabulary)))
    options = training.PretrainingOptions(
        tokens=tokens, batch_size=BATCH_SIZE, window=WINDOW, **recipe
    )
    training.pretrain(
        model,
        training.Corpus(corpus, "whitespace"),
        folder,
        options,
        checkpoint_every=10**9,
        log_every=20,
    )


def perplexities(source, vocabulary, validation):
    """Computes a model's perplexities on the validation text.

    Returns:
        Forward and backward perplexity with carried states, then forward and backward perplexity
        from zero states.
    """
    import numpy as np

    from elmo_keras import BidirectionalLanguageModel, training
    from elmo_keras.training.window_loss import window_loss, zero_states
    from elmo_keras.training.windows import Windows

    model = BidirectionalLanguageModel.from_preset(
        source, vocabulary, dtype="float32", tokenizer="whitespace"
    )
    corpus = training.Corpus(validation, "whitespace")
    encoder = model.elmo.token_encoder
    windows = Windows(
        corpus,
        model.word_vocabulary,
        encoder,
        batch_size=8,
        num_negatives=10**9,
        dropout=0.0,
        shuffle=False,
    )
    loss, states, total, tokens = window_loss(model, 8), zero_states(model, 8), np.zeros(2), 0
    for batch in windows:
        if windows.passes:
            break
        _, sums, states = loss(batch, states)
        total += np.asarray(sums, "float64")
        tokens += windows.tokens
    fresh = model.perplexity(list(corpus))
    return *np.exp(total / tokens).tolist(), fresh.forward, fresh.backward


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=pathlib.Path)
    parser.add_argument("validation", type=pathlib.Path)
    parser.add_argument("trainer", type=pathlib.Path)
    parser.add_argument("--tokens", type=int, default=512_000)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()

    names = ["bilm-tf's trainer", *OURS]
    speeds = {name: [] for name in names}
    results = {name: [] for name in names}
    memory = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for number in range(arguments.rounds):
            for name in names:
                place = folder / f"{number}-{names.index(name)}"
                start = time.time()
                if name == names[0]:
                    speed, peak = run_peer(
                        arguments.trainer, arguments.corpus, place, arguments.tokens
                    )
                    vocabulary = place / "vocab.txt"
                else:
                    speed, peak = run_ours(
                        name, arguments.corpus, vocabulary, place, arguments.tokens
                    )
                speeds[name].append(speed)
                memory.setdefault(name, peak)
                print(f"{name}: {speed:,.0f} tokens/s, {time.time() - start:.0f} s", flush=True)
                source = place if name == names[0] else place / "preset"
                values = perplexities(source, vocabulary, arguments.validation)
                results[name].append(values)
                print("  perplexities", [f"{value:,.1f}" for value in values], flush=True)
            # Written after each round, so that an interrupted run keeps the complete rounds.
            table = _table(names, speeds, memory, results, arguments)
            (HERE / "PRETRAINING.md").write_text(table, encoding="utf-8")
    print(table)


def _table(names, speeds, memory, results, arguments):
    date = time.strftime("%Y-%m-%d")
    header = [
        "trainer",
        "tokens/s",
        "ratio",
        "target",
        "peak memory, MiB",
        "perplexity, carried states: forward",
        "backward",
        "zero states: forward",
        "backward",
    ]
    lines = [
        "# Pretraining compared with bilm-tf's trainer",
        "",
        "`python benchmarks/pretraining.py CORPUS VALIDATION TRAINER`, "
        f"{date}: {arguments.tokens:,}",
        "tokens of the English Wikipedia of 2015 on 2 cores, medians of "
        f"{len(speeds[names[0]])} rounds. The programs",
        "ran in turn. LSTMs of 512 units projected to 128, 30,003 words, 2,048 negatives, batches",
        "of 64 streams, windows of 20 words. All rows but the last use bilm-tf's recipe.",
        "",
        f"| {' | '.join(header)} |",
        f"| {' | '.join(['---'] * len(header))} |",
    ]
    first = names[0]
    for name in names:
        speed = statistics.median(speeds[name])
        ratio = speed / statistics.median(speeds[first])
        cells = [
            name,
            f"{speed:,.0f}",
            f"{ratio:.2f}x",
            TARGETS.get(name, "-"),
            f"{memory[name]:,.0f}",
            *(", ".join(f"{value:,.0f}" for value in values) for values in zip(*results[name])),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "Perplexities are given for each round. Tokens per second of each round:", ""]
    for name in names:
        lines.append(f"- {name}: {', '.join(f'{speed:,.0f}' for speed in speeds[name])}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--train"]:
        name, corpus, vocabulary, folder, tokens = json.loads(sys.argv[2])
        train(name, corpus, vocabulary, pathlib.Path(folder), tokens)
    else:
        main()
