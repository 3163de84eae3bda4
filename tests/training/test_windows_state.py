"""Windows: a restored state gives the same batches, and so does the same seed."""

import json

import numpy as np
import pytest

from tests.training.small_windows import check_equal, make_files, make_windows, take, words_of

pytestmark = pytest.mark.usefixtures("small_blocks")


@pytest.fixture
def files(tmp_path):
    return make_files(tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"shuffle": False},
        {"batch_size": 11, "window": 2, "fresh_starts": 0.2},
        {"batch_size": 1, "window": 1, "dropout": 0.0},
        {"num_negatives": 1000, "pad_words": True, "seed": 5},
    ],
    ids=["plain", "in order", "many rows", "word by word", "full softmax"],
)
def test_a_restored_state_gives_the_same_batches(tmp_path, files, options):
    """The states lie in the middle of blocks and of sentences."""
    windows = make_windows(tmp_path, **options)
    number = 200 if windows.tokens == 1 else 60
    states, batches = [], []
    for _ in range(number):
        states.append((windows.state(), json.dumps(windows.state())))
        batches.append(next(windows))
    assert windows.passes >= (1 if windows.tokens == 1 else 3)
    places = {json.dumps(json.loads(text)["place"]) for _, text in states}
    assert len(places) > 20
    rng = np.random.default_rng(0)
    used = make_windows(tmp_path, **options)
    for start in [0, 1, *rng.permutation(number - 8)[:25].tolist()]:
        plain, text = states[start]
        for state, other in (
            (plain, make_windows(tmp_path, **options)),
            (json.loads(text), make_windows(tmp_path, **options)),
            (json.loads(text), used),  # after other batches
        ):
            other.restore(state)
            assert json.dumps(other.state()) == text
            for batch in batches[start : start + 8]:
                check_equal(next(other), batch)
            assert json.dumps(other.state()) == states[start + 8][1]
    # Reading on has not changed a state that was returned before.
    assert all(json.dumps(plain) == text for plain, text in states)


def test_a_restored_run_to_the_end(tmp_path, files):
    windows = make_windows(tmp_path)
    state = [windows.state() for _ in range(13) if next(windows)][-1]
    rest = take(windows, 150)
    again = make_windows(tmp_path)
    again.restore(json.loads(json.dumps(state)))
    for one, other in zip(take(again, 150), rest, strict=True):
        check_equal(one, other)
    assert again.passes == windows.passes > 8


def test_another_number_of_rows_is_refused(tmp_path, files):
    windows = make_windows(tmp_path)
    before = json.dumps(windows.state())
    with pytest.raises(
        ValueError, match="as many streams as the windows, 3. Received: a state of 4 streams."
    ):
        windows.restore(make_windows(tmp_path, batch_size=4).state())
    assert json.dumps(windows.state()) == before


def test_randomness_depends_on_the_seed_and_the_batch_number_alone(tmp_path, files):
    make_files(tmp_path / "other", sizes=(20,), seed=7)
    batches = take(make_windows(tmp_path, fresh_starts=0.5), 12)
    # Another corpus, and windows that start at a later batch.
    others = take(make_windows(tmp_path / "other", fresh_starts=0.5), 12)
    late = make_windows(tmp_path / "other", fresh_starts=0.5)
    late.restore(late.state() | {"number": 6})
    for a, b in [*zip(batches, others), *zip(batches[6:], late)]:
        for name in ("negatives", "negatives_log_expected", "dropout_mask", "carry"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert not np.array_equal(words_of(batches[0]), words_of(others[0]))
    # The same seed gives the same batches, another seed or number gives others.
    for a, b in zip(batches, make_windows(tmp_path, fresh_starts=0.5)):
        check_equal(a, b)
    seeded = take(make_windows(tmp_path, fresh_starts=0.5, seed=1), 12)
    assert len({batch.dropout_mask.tobytes() for batch in [*batches, *seeded]}) == 24
    assert len({batch.negatives.tobytes() for batch in [*batches, *seeded]}) > 20
