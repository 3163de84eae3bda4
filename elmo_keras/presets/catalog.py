"""Models by name: those that come with the package, and AllenNLP's addresses."""

import pathlib

_ROOT = "https://s3-us-west-2.amazonaws.com/allennlp/models/elmo"


def _of_size(size):
    stem = f"{_ROOT}/{size}/elmo_{size}"
    return f"{stem}_options.json", f"{stem}_weights.hdf5"


# name -> (options, weights). No checksums were published; what the files hold is checked anyway.
PUBLISHED = {
    "small": _of_size("2x1024_128_2048cnn_1xhighway"),
    "medium": _of_size("2x2048_256_2048cnn_1xhighway"),
    "original": _of_size("2x4096_512_2048cnn_2xhighway"),
    "original_5.5b": _of_size("2x4096_512_2048cnn_2xhighway_5.5B"),
    "portuguese": (
        f"{_ROOT}/contributed/pt/elmo_pt_options.json",
        f"{_ROOT}/contributed/pt/elmo_pt_weights.hdf5",
    ),
    "pubmed": (
        f"{_ROOT}/contributed/pubmed/elmo_2x4096_512_2048cnn_2xhighway_options.json",
        f"{_ROOT}/contributed/pubmed/elmo_2x4096_512_2048cnn_2xhighway_weights_PubMed_only.hdf5",
    ),
}

# name -> directory. Each has a model card, README.md.
_BUNDLED = pathlib.Path(__file__).with_name("bundled")
BUNDLED = {name: _BUNDLED / name for name in ("elmo_mini_en", "elmo_mini_zh")}
