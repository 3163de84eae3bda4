"""A teacher of the small run: one random vector for each word, none for every fifth."""

import numpy as np

from elmo_keras import training


def vector(word):
    return np.random.default_rng(int(word[1:])).normal(size=6) * [3, 1, 1, 1, 1, 0.1]


def has_target(word):
    return int(word[1:]) % 5 > 0


class SmallTeacher(training.Teacher):
    """Counts the sentences that it is asked for; stops with an error after `limit` calls."""

    def __init__(self, limit=None, scale=1.0):
        self.limit, self.scale, self.calls = limit, scale, 0

    def targets(self, sentences):
        if self.calls == self.limit:
            raise RuntimeError("The teacher has stopped.")
        self.calls += 1
        words = [word for tokens in sentences for word in tokens]
        vectors = np.array([vector(word) for word in words]).reshape(-1, 6)
        return training.TokenTargets(
            vectors * self.scale, np.array([has_target(word) for word in words], bool)
        )


def write_shards(corpus, folder, **options):
    options = {"components": 4} | options
    return training.write_teacher_shards(SmallTeacher(), corpus, folder, **options)
