"""The base of models that preprocess the data of Keras' training methods."""

from collections.abc import Mapping
from typing import Any

import keras

from elmo_keras.encoders.text_encoder import TextEncoder
from elmo_keras.models.preprocessing import fit_data
from elmo_keras.models.preprocessing.preprocessor import Preprocessor
from elmo_keras.models.saved_model import SavedModel


class PreprocessedModel(SavedModel):
    """Base of models whose `fit`, `evaluate` and `..._on_batch` accept text and label names.

    A subclass sets `backbone` and `labels`, and then `preprocessor`.
    """

    labels_per_token = False
    labels: list[str]
    backbone: TextEncoder

    @property
    def compiles_shapes(self) -> bool:
        """Whether each new shape of a batch is compiled."""
        return bool(self.jit_compile) or keras.backend.backend() == "jax"

    @property
    def preprocessor(self) -> Preprocessor | None:
        """The preprocessor of text and labels; `None` if it is switched off."""
        return self._preprocessor

    @preprocessor.setter
    def preprocessor(self, value: Preprocessor | str | None) -> None:
        if isinstance(value, str) and value == "auto":
            value = Preprocessor()
        if value is not None and not isinstance(value, Preprocessor):
            raise ValueError(
                "`preprocessor` must be a Preprocessor, 'auto' or None. Received: "
                f"preprocessor={value!r}. Subclass elmo_keras.models.Preprocessor."
            )
        if value is not None:
            value.bind(self.backbone, self.labels, self.labels_per_token, self.starts_at_ids)
        self._preprocessor = value

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = 32,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[Any, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
    ) -> keras.callbacks.History:
        """Trains the model, as `keras.Model.fit` does. See the class for the data."""
        options: dict[str, Any] = {
            "epochs": epochs,
            "verbose": verbose,
            "callbacks": callbacks,
            "initial_epoch": initial_epoch,
            "steps_per_epoch": steps_per_epoch,
            "validation_steps": validation_steps,
            "validation_freq": validation_freq,
        }
        if self.preprocessor is None:
            return super().fit(
                x,
                y,
                batch_size=batch_size,
                validation_split=validation_split,
                validation_data=validation_data,
                shuffle=shuffle,
                class_weight=class_weight,
                sample_weight=sample_weight,
                validation_batch_size=validation_batch_size,
                **options,
            )
        data, validation_data = fit_data.training_batches(
            self.preprocessor,
            (x, y, sample_weight, class_weight),
            batch_size or 32,
            shuffle,
            self.compiles_shapes,
            validation_data,
            validation_split,
            validation_batch_size,
        )
        # `shuffle=False`, because `data` has shuffled batches already.
        return super().fit(data, validation_data=validation_data, shuffle=False, **options)

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = 32,
        verbose: str | int = "auto",
        sample_weight: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Computes the loss and the metrics, as `keras.Model.evaluate` does."""
        # `fit` calls `evaluate` with this argument, on validation data that are preprocessed.
        if "_use_cached_eval_dataset" in kwargs or self.preprocessor is None:
            return super().evaluate(x, y, batch_size, verbose, sample_weight, **kwargs)
        fit_data.check_labels_given(x, y)
        data = x, y, sample_weight, None
        batches = fit_data.labelled_batches(
            self.preprocessor, data, batch_size or 32, False, self.compiles_shapes
        )
        return super().evaluate(batches, verbose=verbose, **kwargs)

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[Any, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Trains the model on one batch, as `keras.Model.train_on_batch` does."""
        if self.preprocessor is None:
            return super().train_on_batch(x, y, sample_weight, class_weight, return_dict)
        batch = self.preprocessor.one_batch(x, y, sample_weight, class_weight)
        return super().train_on_batch(*batch, return_dict=return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Computes loss and metrics of one batch, as `keras.Model.test_on_batch` does."""
        if self.preprocessor is None:
            return super().test_on_batch(x, y, sample_weight, return_dict)
        batch = self.preprocessor.one_batch(x, y, sample_weight)
        return super().test_on_batch(*batch, return_dict=return_dict)
