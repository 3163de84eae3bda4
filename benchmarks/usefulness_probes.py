"""Linear probes of the usefulness benchmark: logistic regression on frozen features.

The regularization is chosen on the development set. No test set is used for a choice.
"""

import warnings

import numpy as np
import usefulness_features as features_of
import usefulness_tasks as tasks

STRENGTHS = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0]  # of standardized vectors, scikit-learn's C
TOKEN_STRENGTHS = [1e-4, 1e-3, 1e-2, 1e-1]
SPARSE_STRENGTHS = [0.1, 1.0, 10.0, 100.0]  # of n-grams
MAX_TOKENS = 60_000  # training tokens of a tagger

_CACHE = {}  # the features of the present task


def run(name, features, budget, seed, args):
    """Fits a probe, and returns its scores as percentages: `{"test": ..., "dev": ...}`.

    Args:
        name: str. The task.
        features: str. The features, or `"tfidf"`.
        budget: int or `"all"`. Number of training examples.
        seed: int. Seed of the sample of training examples.
        args: the arguments of the program.
    """
    splits = tasks.load(name)
    chosen = tasks.sample(len(splits.train.sentences), budget, seed)
    if tasks.TASKS[name].kind == tasks.TOKENS:
        chosen = shorten(splits.train.sentences, chosen, seed)
    if features == "tfidf":
        train, dev, test = grams(name, splits, chosen)
        strengths = SPARSE_STRENGTHS
    else:
        train, dev, test = standardize(*cached(name, features, splits, chosen, args))
        strengths = TOKEN_STRENGTHS if tasks.TASKS[name].kind == tasks.TOKENS else STRENGTHS
    labels = flat([splits.train.labels[index] for index in chosen])

    def evaluate(part, predicted):
        return tasks.score(name, part.labels, like(part.labels, predicted))

    best = None
    for strength, model in models(train, labels, strengths):
        dev_score = evaluate(splits.dev, model.predict(dev))
        if best is None or dev_score > best["dev"]:
            test_score = evaluate(splits.test, model.predict(test))
            best = {"test": test_score, "dev": dev_score, "strength": strength}
    return {key: float(value) for key, value in best.items()}


def shorten(sentences, chosen, seed):
    """Keeps as many of the chosen sentences, in random order, as have `MAX_TOKENS` tokens."""
    order = np.random.RandomState(seed).permutation(chosen)
    totals = np.cumsum([len(sentences[index]) for index in order])
    return [int(index) for index in order[: max(1, int((totals <= MAX_TOKENS).sum()))]]


def models(train, labels, strengths):
    """Yields a logistic regression for each strength, the most regularized one first."""
    linear = features_of.optional("sklearn.linear_model", "scikit-learn")
    convergence = features_of.optional("sklearn.exceptions", "scikit-learn").ConvergenceWarning
    # The tolerance is one of the gradient, whose largest number is small for sparse features.
    tolerance = 1e-6 if features_of.optional("scipy.sparse", "scipy").issparse(train) else 1e-3
    model = linear.LogisticRegression(warm_start=True, max_iter=200, tol=tolerance)
    for strength in strengths:
        model.set_params(C=strength)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", convergence)  # The next strength goes on from here.
            model.fit(train, labels)
        yield strength, model


def flat(labels):
    """Returns the labels of all tokens, or the labels of sentences as they are."""
    return labels if isinstance(labels[0], str) else [x for row in labels for x in row]


def like(labels, predicted):
    """Returns predictions in the form of `labels`: a list, or a list for each sentence."""
    predicted = [str(label) for label in predicted]
    if isinstance(labels[0], str):
        return predicted
    rest = iter(predicted)
    return [[next(rest) for _ in row] for row in labels]


# === Vectors ===


def cached(name, features, splits, chosen, args):
    """Returns the arrays of the chosen training examples, of dev and of test.

    The features of a task are computed once in a process, except those of taggers' training
    sentences that were not chosen so far.
    """
    task = tasks.TASKS[name]
    preset = features_of.preset_of(task.language, args.preset)
    key = (name, features, preset if "preset" in features else None)
    if key not in _CACHE:
        _CACHE.clear()
        rows = [row for part in splits for example in part.sentences for row in rows_of(example)]
        model = features_of.create(features, task.language, rows, args)
        _CACHE[key] = {"model": model, "train": {}}
    entry = _CACHE[key]
    missing = [index for index in chosen if index not in entry["train"]]
    examples = [splits.train.sentences[index] for index in missing]
    entry["train"].update(zip(missing, arrays(task, entry["model"], examples), strict=True))
    for part in ("dev", "test"):
        if part not in entry:
            found = arrays(task, entry["model"], getattr(splits, part).sentences)
            entry[part] = np.concatenate([array.astype("float32") for array in found])
    train = np.concatenate([entry["train"][index] for index in chosen]).astype("float32")
    return train, entry["dev"], entry["test"]


def rows_of(example):
    """Returns the token lists of an example: one, or two of a pair."""
    return example.sentences if hasattr(example, "sentences") else [example]


def arrays(task, model, examples):
    """Yields an array `(examples or tokens, features)` for each example."""
    rows = [row for example in examples for row in rows_of(example)]
    blocks = model.blocks(rows)
    for example in examples:
        if task.kind == tasks.PAIRS:
            yield pair_features(next(blocks), next(blocks), example.positions)[None]
        elif task.kind == tasks.SENTENCES:
            yield pool(next(blocks))[None]
        else:
            # float16 halves the memory of the cache.
            yield np.concatenate(next(blocks), axis=-1).astype("float16")


def pool(blocks):
    """Returns the means and the maxima over the tokens of all layers."""
    if not len(blocks[0]):
        blocks = [np.zeros((1, block.shape[1]), "float32") for block in blocks]
    means = [block.mean(axis=0) for block in blocks]
    return np.concatenate([*means, *(block.max(axis=0) for block in blocks)])


def pair_features(first, second, positions):
    """Returns cosine, absolute difference and product of the two vectors of a word, by layer."""
    parts = []
    for one, other in zip(first, second, strict=True):
        one, other = one[positions[0]], other[positions[1]]
        norm = max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-9)
        parts += [[one @ other / norm], np.abs(one - other), one * other]
    return np.concatenate(parts).astype("float32")


def standardize(train, *others):
    """Scales features to mean 0 and variance 1 on the training examples."""
    mean, scale = train.mean(axis=0), train.std(axis=0)
    scale[scale < 1e-6] = 1.0
    return [(array - mean) / scale for array in (train, *others)]


# === N-grams ===


def grams(name, splits, chosen):
    """Returns the sparse tf-idf matrices of the training examples, of dev and of test.

    Sentences have their n-grams. A token has the words and the word pairs (in Chinese, characters)
    in a window of three tokens, each with its place. A pair of sentences has the n-grams in both
    and the difference.
    """
    task = tasks.TASKS[name]
    extraction = features_of.optional("sklearn.feature_extraction.text", "scikit-learn")
    analyzer = features_of.word_grams if task.language == "en" else features_of.character_grams
    vectorizer = extraction.TfidfVectorizer(
        analyzer=list if task.kind == tasks.TOKENS else analyzer, dtype=np.float32
    )

    def examples(part):
        if task.kind == tasks.TOKENS:
            return [grams for row in part for grams in window_grams(row)]
        return [row for example in part for row in rows_of(example)]

    def combine(matrix):
        if task.kind != tasks.PAIRS:
            return matrix
        sparse = features_of.optional("scipy.sparse", "scipy")
        one, other = matrix[::2], matrix[1::2]
        return sparse.hstack([one.multiply(other), abs(one - other)]).tocsr()

    train = [splits.train.sentences[index] for index in chosen]
    yield combine(vectorizer.fit_transform(examples(train)))
    for part in splits[1:]:
        yield combine(vectorizer.transform(examples(part.sentences)))


def window_grams(row):
    """Returns, for each token, the words and word pairs around it, each with its place."""
    words = ["", *(token.lower() for token in row), ""]
    grams = []
    for index, token in enumerate(row, 1):
        before, word, after = words[index - 1 : index + 2]
        grams.append(
            [f"0 {word}", f"= {token}", f"< {before}", f"> {after}"]
            + [f"<0 {before} {word}", f"0> {word} {after}"]
        )
    return grams
