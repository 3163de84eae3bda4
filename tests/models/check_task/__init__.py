"""The check of every task model, from texts and label names to probabilities and label names.

A test module makes one `Task` and runs all of `CHECKS` on it:

    @pytest.fixture(scope="module")
    def task():
        return Task(ElmoTagger, TAGS)

    @pytest.mark.parametrize("check", CHECKS)
    def test_task(check, task, tmp_path):
        check(task, tmp_path)
"""

from tests.models.check_task.bad_input import (
    check_bad_datasets,
    check_bad_input,
    check_labels_are_classes,
    check_other_bad_input,
    check_tables_and_gaps,
)
from tests.models.check_task.data import (
    check_arrays_of_the_backend,
    check_evaluate,
    check_fit_forms,
    check_ids,
    check_long_documents,
    check_predict,
    check_predict_forms,
    check_tensor_of_nothing,
    check_validation,
)
from tests.models.check_task.saving import (
    check_clone,
    check_config,
    check_from_preset,
    check_from_preset_options,
    check_loss_scale_is_saved,
    check_quantized,
    check_refused_formats,
    check_save_is_whole,
    check_training_and_saving,
)
from tests.models.check_task.task import (
    LENGTHS,
    NUMBER,
    SENTENCES,
    TOKENS,
    WEIGHTS,
    Task,
    char_ids,
    needs_strings,
    padded,
    tensor_slices,
    toy_elmo,
)
from tests.models.check_task.training import (
    check_built,
    check_compile,
    check_frozen,
    check_memory,
    check_mixed_precision,
    check_traces,
)
from tests.models.check_task.weights import check_weights, check_weights_are_numbers

CHECKS = [
    check_tables_and_gaps,
    check_weights_are_numbers,
    check_labels_are_classes,
    check_compile,
    check_loss_scale_is_saved,
    check_clone,
    check_quantized,
    check_refused_formats,
    check_save_is_whole,
    check_from_preset_options,
    check_long_documents,
    check_memory,
    check_config,
    check_fit_forms,
    check_predict_forms,
    check_predict,
    check_evaluate,
    check_validation,
    check_weights,
    check_training_and_saving,
    check_frozen,
    check_mixed_precision,
    check_traces,
    check_bad_input,
    check_from_preset,
    check_built,
    check_bad_datasets,
    check_other_bad_input,
    check_arrays_of_the_backend,
    check_ids,
    check_tensor_of_nothing,
]

__all__ = [
    "CHECKS",
    "LENGTHS",
    "NUMBER",
    "SENTENCES",
    "TOKENS",
    "WEIGHTS",
    "Task",
    "char_ids",
    "needs_strings",
    "padded",
    "tensor_slices",
    "toy_elmo",
]
