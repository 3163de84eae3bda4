"""Compares the sentences and tokens of two versions of elmo_keras over a corpus.

    python benchmarks/tokens.py FOLDER --before CHECKOUT --tokenizer words

Reads the text files of a folder (`.txt` or `.txt.gz`) with one paragraph per line. Splits each line
with `split_sentences` and `Tokenizer` of the imported version and, in a second process, with the
version in the folder CHECKOUT. Prints how many lines differ, and why. A line without any of the
characters below is "unexplained": its tokens are printed, and the script fails.
"""

import argparse
import collections
import gzip
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import regex

import elmo_keras

# Characters for which the newer version follows Unicode's rules.
KINDS = {
    "zero-width joiner or non-joiner": r"[\u200c\u200d]",
    "other format character": r"[\p{Cf}--[\u200b-\u200d]]",
    "mark after a symbol or a punctuation mark": r"[^\p{Z}\p{C}\p{L}\p{N}\p{M}]\p{M}",
    "mark after a number with a separator": r"\p{N}[.,:]\p{N}+\p{M}",
    "mark after a Chinese character": r"\p{Han}\p{M}",
    "emoji": r"\p{Emoji_Modifier}|\p{Regional_Indicator}{2}|\u20e3|\ufe0f",
    "unassigned symbol": r"[\p{Cn}&&[\U0001f300-\U0001faff]]",
}
SENTENCE_KINDS = {
    "sentence mark of another script": r"[\p{Sentence_Break=STerm}--[!?。！？‼‽⁇⁈⁉⸮⸼⹓⹔]]",
    "double or rare Latin mark": "[‼‽⁇⁈⁉⸮⸼⹓⹔]",
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--before", type=pathlib.Path, help="checkout of the version before")
    parser.add_argument("--tokenizer", default="words", help="method of Tokenizer")
    parser.add_argument("--files", default="*", help="pattern of file names, such as 'valid*'")
    parser.add_argument("--write", type=pathlib.Path, help="write the tokens of one version only")
    options = parser.parse_args()
    paths = sorted(
        path
        for path in options.folder.glob(options.files)
        if path.suffixes[:1] == [".txt"] and path.is_file()
    )
    if not paths or not (options.before or options.write):
        parser.error("FOLDER must hold .txt or .txt.gz files, and --before must be given.")
    if options.write:
        write(paths, options.tokenizer, options.write)
        return
    with tempfile.TemporaryDirectory() as folder:
        files = pathlib.Path(folder, "before"), pathlib.Path(folder, "after")
        command = [sys.executable, __file__, str(options.folder), "--files", options.files]
        command += ["--tokenizer", options.tokenizer, "--write", str(files[0])]
        environment = {**os.environ, "PYTHONPATH": str(options.before.resolve())}
        version = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
        write(paths, options.tokenizer, files[1])
        print("before:", version.stdout.decode().strip())
        unexplained = compare(*files)
    sys.exit(unexplained > 0)


def write(paths, method, destination):
    """Writes one line of JSON per paragraph: its text, its sentences and its tokens."""
    print(pathlib.Path(elmo_keras.__file__).parent)
    tokenizer = elmo_keras.text.Tokenizer(method)
    with open(destination, "w", encoding="utf-8") as file:
        for path in paths:
            opened = gzip.open if path.suffix == ".gz" else open
            with opened(path, "rt", encoding="utf-8") as lines:
                lines = [line.strip() for line in lines]
            for start in range(0, len(lines), 1000):
                texts = lines[start : start + 1000]
                for text, tokens in zip(texts, tokenizer.split(texts)):
                    sentences = elmo_keras.text.split_sentences(text)
                    file.write(json.dumps([text, sentences, tokens]) + "\n")


def compare(before, after):
    """Prints the counts, and returns the number of unexplained lines."""
    total, kinds = collections.Counter(), collections.Counter()
    with open(before, encoding="utf-8") as old, open(after, encoding="utf-8") as new:
        for old_line, new_line in zip(old, new, strict=True):
            text, old_sentences, old_tokens = json.loads(old_line)
            _, new_sentences, new_tokens = json.loads(new_line)
            total["lines"] += 1
            total["characters"] += len(text)
            total["tokens before"] += len(old_tokens)
            total["tokens after"] += len(new_tokens)
            total["sentences before"] += len(old_sentences)
            total["sentences after"] += len(new_sentences)
            for name, reasons, parts in (
                ("tokens", KINDS, (old_tokens, new_tokens)),
                ("sentences", SENTENCE_KINDS, (old_sentences, new_sentences)),
            ):
                if parts[0] == parts[1]:
                    continue
                total[f"lines whose {name} differ"] += 1
                explanations = [
                    kind
                    for kind, pattern in reasons.items()
                    if any(regex.search(f"(?V1){pattern}", part) for part in changed(*parts, text))
                ]
                for kind in explanations or ["unexplained"]:
                    kinds[f"{name}: {kind}"] += 1
                if not explanations:
                    print("unexplained:", sorted(set(parts[0]) ^ set(parts[1]))[:10])
    for counts in (total, kinds):
        for name, count in counts.items():
            print(f"{count:12,} {name}")
    return sum(count for kind, count in kinds.items() if kind.endswith("unexplained"))


def changed(before, after, text):
    """Returns the parts that only one version has, or the whole text if only the order differs."""
    return set(before) ^ set(after) or {text}


if __name__ == "__main__":
    main()
