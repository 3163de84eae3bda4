"""Text files that tests of corpora write, and read through a `Corpus`."""

import gzip

from elmo_keras.training import Corpus


def write(path, text, compressed=False):
    """Writes str or bytes, plain or as gzip, and returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(gzip.compress(data) if compressed else data)
    return path


def read(files, **options):
    """The sentences of a corpus whose tokens are separated by white space."""
    return list(Corpus(files, "whitespace", **options))
