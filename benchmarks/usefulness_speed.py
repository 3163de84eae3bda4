"""Words per second and megabytes of the features of the usefulness benchmark.

The process is bound to two cores, and the features take turns over the same sentences.
"""

import os
import statistics
import time

THREADS = 2
ROUNDS = 5
SENTENCES = 2_000  # of the training set of SST-2


def measure(args):
    """Returns a line for each of the features.

    Args:
        args: the arguments of the program.
    """
    cores = sorted(os.sched_getaffinity(0))[:THREADS]
    os.sched_setaffinity(0, cores)
    # Read when TensorFlow starts.
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(len(cores))
    os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    import usefulness_features as features_of
    import usefulness_tasks as tasks

    rows = tasks.load("sst2").train.sentences[:SENTENCES]
    words = sum(map(len, rows))
    preset = features_of.preset_of("en", args.preset)
    create = {
        "preset": lambda: features_of.Preset(preset),
        "preset in bfloat16": lambda: features_of.Preset(preset, "bfloat16"),
        "tfidf": lambda: Grams(rows),
        "glove": lambda: features_of.Glove(rows, args.glove),
        "minilm": lambda: features_of.MiniLM(args.minilm, len(cores)),
    }
    models = {
        name: function()
        for name, function in create.items()
        if name.partition(" ")[0] in args.features
    }
    seconds = {name: [] for name in models}
    for number in range(ROUNDS + 1):
        for name, model in models.items():
            start = time.perf_counter()
            for _ in model.blocks(rows):
                pass
            if number:  # The first round compiles.
                seconds[name].append(time.perf_counter() - start)
    lines = []
    for name, model in models.items():
        rates = [words / value for value in seconds[name]]
        line = {
            "speed": name,
            "words_per_second": round(statistics.median(rates)),
            "range": [round(min(rates)), round(max(rates))],
            "megabytes": round(model.megabytes, 1),
            "threads": len(cores),
            "words": words,
            "load": round(os.getloadavg()[0], 1),
        }
        if name.startswith("preset"):
            line |= {"preset": os.path.basename(preset), "digest": features_of.digest(preset)}
        print(f"{name}: {line['words_per_second']:,} words/s, {line['megabytes']} MB", flush=True)
        lines.append(line)
    return lines


class Grams:
    """The tf-idf vectors of sentences, without a file of vectors."""

    megabytes = 0.0

    def __init__(self, rows):
        import usefulness_features as features_of

        extraction = features_of.optional("sklearn.feature_extraction.text", "scikit-learn")
        self.vectorizer = extraction.TfidfVectorizer(analyzer=features_of.word_grams).fit(rows)

    def blocks(self, rows):
        return self.vectorizer.transform(rows)
