"""The catalogue of models by name."""

import pytest

from elmo_keras.presets import catalog


def test_names():
    assert set(catalog.BUNDLED) == {"elmo_mini_en", "elmo_mini_zh"}
    assert set(catalog.PUBLISHED) == {
        "small",
        "medium",
        "original",
        "original_5.5b",
        "portuguese",
        "pubmed",
    }


@pytest.mark.parametrize("name", catalog.PUBLISHED)
def test_published_addresses(name):
    options, weights = catalog.PUBLISHED[name].address
    assert options.startswith("https://") and options.endswith("options.json")
    assert weights.startswith("https://") and weights.endswith(".hdf5")
