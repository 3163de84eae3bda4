"""Models by name: models in the package, and models that are downloaded."""

import pathlib
from typing import NamedTuple

_ALLENNLP = "https://s3-us-west-2.amazonaws.com/allennlp/models/elmo"


class Published(NamedTuple):
    """A model that is downloaded when its name is used.

    Attributes:
        address: the address of an archive, or a pair (options, weights).
        sha256: the checksum of the archive, or a pair; `None` if the publisher gives no checksum.
    """

    address: str | tuple[str, str]
    sha256: str | tuple[str | None, str | None] | None = None


def _allennlp(stem: str) -> Published:
    # AllenNLP published no checksums. The loader still checks all names, shapes and values.
    return Published((f"{_ALLENNLP}/{stem}_options.json", f"{_ALLENNLP}/{stem}_weights.hdf5"))


_SIZES = {
    "small": "2x1024_128_2048cnn_1xhighway",
    "medium": "2x2048_256_2048cnn_1xhighway",
    "original": "2x4096_512_2048cnn_2xhighway",
    "original_5.5b": "2x4096_512_2048cnn_2xhighway_5.5B",
}
_PUBMED = f"{_ALLENNLP}/contributed/pubmed/elmo_2x4096_512_2048cnn_2xhighway"

PUBLISHED = {
    **{name: _allennlp(f"{size}/elmo_{size}") for name, size in _SIZES.items()},
    "portuguese": _allennlp("contributed/pt/elmo_pt"),
    "pubmed": Published((f"{_PUBMED}_options.json", f"{_PUBMED}_weights_PubMed_only.hdf5")),
}

# Directories by name. Each has a model card, README.md.
_BUNDLED = pathlib.Path(__file__).with_name("bundled")
BUNDLED = {name: _BUNDLED / name for name in ("elmo_mini_en", "elmo_mini_zh")}
