"""Teachers: functions, ELMo models and transformers; targets that cannot be learned are refused."""

import numpy as np
import pytest

from elmo_keras import training
from elmo_keras.training.teacher import check_targets
from tests import small_models

SENTENCES = [["The", "cat", "sat"], ["Yes"]]


def test_a_function_is_a_teacher():
    def lengths(sentences):
        return [[[len(token), 1] for token in tokens] for tokens in sentences]

    vectors, has_target = training.CallableTeacher(lengths).targets(SENTENCES)
    np.testing.assert_array_equal(vectors, [[3, 1], [3, 1], [3, 1], [3, 1]])
    assert has_target.all()


@pytest.mark.parametrize(
    "function",
    [
        lambda sentences: [np.zeros((2, 4)) for _ in sentences],
        lambda sentences: [np.zeros(len(tokens)) for tokens in sentences],
        lambda sentences: [np.zeros((3, 4))],
    ],
    ids=["rows", "rank", "sentences"],
)
def test_a_function_of_wrong_shapes_is_refused(function):
    with pytest.raises(ValueError, match=r"one array \(tokens, dim\) for each sentence. Received"):
        training.CallableTeacher(function).targets(SENTENCES)


def test_a_teacher_must_be_a_function():
    with pytest.raises(ValueError, match="must be a function of token lists"):
        training.CallableTeacher("all-MiniLM-L6-v2")


def test_an_elmo_layer_is_a_teacher():
    elmo = small_models.elmo(output="all", tokenizer="whitespace")
    expected = np.concatenate(list(elmo.embed(SENTENCES)))
    vectors, has_target = training.ElmoTeacher(elmo).targets(SENTENCES)
    np.testing.assert_allclose(vectors, expected.reshape(4, -1), rtol=1e-6)
    assert has_target.all() and vectors.dtype == np.float32
    vectors, _ = training.ElmoTeacher(elmo, layers=[2]).targets(SENTENCES)
    np.testing.assert_allclose(vectors, expected[:, 2], rtol=1e-6)


def test_an_elmo_teacher_needs_a_layer_and_its_layers():
    with pytest.raises(ValueError, match="must be an ElmoLayer"):
        training.ElmoTeacher("elmo_mini_en")
    for layers in ([3], []):
        with pytest.raises(ValueError, match="numbers from 0 to 2. Received"):
            training.ElmoTeacher(small_models.elmo(), layers)


def test_targets_must_be_finite():
    vectors = np.ones((4, 2))
    vectors[3, 0] = np.nan
    with pytest.raises(ValueError, match="finite. Received: NaN .* 1 tokens.*'Yes'"):
        check_targets(training.TokenTargets(vectors, np.ones(4, bool)), SENTENCES)


def test_a_token_without_a_target_may_be_nan():
    vectors = np.ones((4, 2))
    vectors[3] = np.nan
    has_target = np.array([True, True, True, False])
    checked = check_targets(training.TokenTargets(vectors, has_target), SENTENCES)
    np.testing.assert_array_equal(checked.vectors, [[1, 1], [1, 1], [1, 1], [0, 0]])


@pytest.mark.parametrize("shapes", [((3, 2), (4,)), ((4,), (4,)), ((4, 2), (3,))])
def test_targets_must_fit_the_sentences(shapes):
    targets = training.TokenTargets(np.ones(shapes[0]), np.ones(shapes[1], bool))
    with pytest.raises(ValueError, match="for 4 tokens"):
        check_targets(targets, SENTENCES)


def test_a_teacher_must_define_its_method():
    class Silent(training.Teacher):
        pass

    with pytest.raises(TypeError, match="abstract"):
        Silent()
