"""Writes the tables of the usefulness benchmark from its lines."""

import pathlib
import statistics

DOCUMENT = pathlib.Path(__file__).with_name("USEFULNESS.md")
COLUMNS = ["preset", "embedding", "tfidf", "glove", "minilm", "preset+glove"]
SIMPLE = ["embedding", "tfidf", "glove"]
TASKS = {
    "sst2": "SST-2, sentences",
    "sst2_phrases": "SST-2, phrases",
    "trec": "TREC",
    "ud_ewt": "UD EWT",
    "wnut17": "WNUT-17",
    "conll2000": "CoNLL-2000",
    "wic": "WiC",
    "chnsenticorp": "ChnSentiCorp",
    "waimai": "waimai",
    "weibo_ner": "Weibo NER",
}
MODES = {
    "frozen": """## Frozen vectors

Logistic regression on vectors that are not trained. The mean and the maximum over the tokens of all
layers represent a sentence; all layers represent a token (at most 60,000 training tokens); cosine,
difference and product by layer represent WiC's two words. The regularization is the one with the
best score on the development set.
""",
    "tuned": """## Trained as a whole

`ElmoTextClassifier` and `ElmoTagger` with their defaults on a preset, and with a StaticEmbedding
whose vectors are trained from the first step. The epoch with the best development accuracy is
tested. tf-idf is the logistic regression of the table above.
""",
}
INTRODUCTION = """# Usefulness of the presets

Written by `benchmarks/usefulness.py --table`, which describes the features, from the lines of
`usefulness.jsonl`.

Scores are percentages on the test set: accuracy, or the F1 of exact spans for WNUT-17, CoNLL-2000
and Weibo NER. They are means over the seeds, with the largest distance from the mean. The rows are
the number of training examples (sentences, or pairs of WiC). The strongest baseline is the best of
Embedding, tf-idf and GloVe; the last column is the share of its errors that the preset removes,
negative if the preset loses.

The development set chooses the regularization or the epoch, so it is a second source of labels in
the rows of 100 examples, for all features alike.
"""


def write(lines, protocol):
    """Writes `USEFULNESS.md`.

    Args:
        lines: list of dict, the lines of `usefulness.jsonl`. Of a preset, the last one in the file
            counts.
        protocol: int. Lines of another protocol are left out, and counted.
    """
    runs = [line for line in lines if line.get("protocol") == protocol]
    speeds = [line for line in lines if "speed" in line]
    if old := len(lines) - len(runs) - len(speeds):
        print(f"{old} lines of another protocol are left out.")
    scores, presets = collect(runs)
    parts = [INTRODUCTION]
    if presets:
        parts.append("Presets: " + ", ".join(f"`{n}` ({d})" for n, d in sorted(presets)) + ".\n")
    for mode, text in MODES.items():
        if any(key[1] == mode for key in scores):
            parts += [text, *mode_table(scores, mode)]
    if speeds:
        parts += speed_table(speeds)
    DOCUMENT.write_text("\n".join(parts), encoding="utf-8")


def collect(runs):
    """Groups the test scores of runs.

    Args:
        runs: list of dict.

    Returns:
        The pair (dict of `(task, mode, budget, features)` to the scores of its seeds, set of names
        and checksums of presets). Runs of an older preset of the language are left out.
    """
    digests = {}
    for run in runs:
        if run["digest"]:
            digests[is_chinese(run["task"])] = run["preset"], run["digest"]
    scores = {}
    for run in runs:
        newest = digests.get(is_chinese(run["task"]))
        if run["digest"] and (run["preset"], run["digest"]) != newest:
            continue
        key = run["task"], run["mode"], str(run["budget"]), run["features"]
        scores.setdefault(key, []).append(run["test"])
    return scores, set(digests.values())


def is_chinese(task):
    """Returns whether the text of a task is Chinese."""
    return task in ("chnsenticorp", "waimai", "weibo_ner")


def mode_table(scores, mode):
    """Returns the parts of the table of a mode, and the mean of its last column."""
    columns = [
        column
        for column in COLUMNS
        if any(key[3] == column and source_mode(column, mode) == key[1] for key in scores)
    ]
    header = ["task", "examples", *columns, "strongest baseline", "fewer errors"]
    rows, reductions = [row_of(header), "|---|---" + "|---:" * (len(header) - 2) + "|"], []
    for task, title in TASKS.items():
        for budget in sorted({key[2] for key in scores if key[0] == task}, key=order):
            found = {
                column: scores.get((task, source_mode(column, mode), budget, column))
                for column in columns
            }
            if not any(found[column] for column in columns if source_mode(column, mode) == mode):
                continue
            best, reduction = compare(found)
            if reduction is not None:
                reductions.append(reduction)
            cells = [cell(found[column]) for column in columns]
            share = "" if reduction is None else f"{100 * reduction:+.0f} %"
            rows.append(row_of([title, budget, *cells, best, share]))
    parts = ["\n".join(rows) + "\n"]
    if reductions:
        ahead = sum(reduction > 0 for reduction in reductions)
        parts.append(
            f"The preset is ahead of the strongest baseline in {ahead} of {len(reductions)} rows; "
            f"it makes {100 * statistics.mean(reductions):.1f} % fewer errors on average.\n"
        )
    return parts


def source_mode(column, mode):
    """Returns the mode of the runs that a column shows: tf-idf has no vectors to train."""
    return "frozen" if column == "tfidf" else mode


def order(budget):
    """Orders the budgets by number, `"all"` last."""
    return float("inf") if budget == "all" else int(budget)


def compare(found):
    """Returns the name of the strongest baseline, and the share of its errors that vanishes.

    Args:
        found: dict of features to scores, or to `None`.
    """
    means = {name: statistics.mean(found[name]) for name in SIMPLE if found.get(name)}
    if not means:
        return "", None
    best = max(means, key=means.get)
    if not found.get("preset") or means[best] >= 100:
        return best, None
    return best, (statistics.mean(found["preset"]) - means[best]) / (100 - means[best])


def cell(scores):
    """Formats the mean of scores and the largest distance from it."""
    if not scores:
        return ""
    mean = statistics.mean(scores)
    spread = max(abs(score - mean) for score in scores)
    return f"{mean:.1f}" + (f" ± {spread:.1f}" if len(scores) > 1 else "")


def row_of(cells):
    """Formats a row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def speed_table(lines):
    """Returns the parts of the table of words per second; the last line of each name counts."""
    newest = {line["speed"]: line for line in lines}
    some = next(iter(newest.values()))
    minilm = newest.get("minilm", {}).get("words_per_second")
    rows = [
        "## Speed and size\n",
        f"{some['words']:,} words of SST-2, {some['threads']} threads on as many cores, all "
        "features in turns in one run, the median of five rounds with their range.\n",
        row_of(["features", "words/s", "range", "against MiniLM", "MB", "load of the machine"])
        + "\n|---|---:|---:|---:|---:|---:|",
    ]
    for name, line in newest.items():
        low, high = line["range"]
        factor = f"{line['words_per_second'] / minilm:.1f}x" if minilm else ""
        size = f"{line['megabytes']:.1f}" if line["megabytes"] else ""
        rows[-1] += "\n" + row_of(
            [name, f"{line['words_per_second']:,}", f"{low:,} to {high:,}", factor, size]
            + [str(line["load"])]
        )
    rows[-1] += "\n"
    return rows
