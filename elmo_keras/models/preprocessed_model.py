"""The base of models that preprocess the data of Keras' training methods."""

import functools
from collections.abc import Mapping
from typing import Any

import keras

from elmo_keras.encoders.text_encoder import TextEncoder
from elmo_keras.models import fine_tuning
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
        epochs: int | str = "auto",
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
        frozen_epochs: int | str = "auto",
    ) -> keras.callbacks.History:
        """Trains the model, as `keras.Model.fit` does, or fine-tunes it in two phases.

        With `epochs="auto"`, the default, training has two phases. The first one trains the head
        and the mix of the backbone's layers; the other weights of the backbone are frozen. The
        second one trains everything. Each has 2 to 20 epochs: the fewer batches, the more epochs.
        With validation data, each phase ends with the weights of the best epoch so far: of the
        highest accuracy or, if the model has no metric `accuracy`, of the lowest loss.

        With a number of epochs, everything is trained, and the last weights are kept, as in Keras.
        Then `frozen_epochs` is the number of epochs of the first phase, which come first.

        The optimizer of the first phase is a new one like the compiled one. Its learning rate is 10
        times as high, unless it is a schedule. The compiled optimizer trains in the second phase.
        Callbacks see one training. A callback that stops it stops both phases. To resume a
        training, pass the same `epochs` and `frozen_epochs`, and `initial_epoch`; the optimizer of
        the first phase then starts again.

        Args:
            x: the texts, see the class.
            y: the labels, see the class.
            batch_size: int. Defaults to `32`.
            epochs: int, the number of passes over the data in both phases; or `"auto"`, the
                default.
            verbose: as in `keras.Model.fit`.
            callbacks: list of Keras callbacks.
            validation_split: float. Share of the data, its last part, to validate on.
            validation_data: `(x, y)`, `(x, y, sample_weight)` or a `tf.data.Dataset`.
            shuffle: bool. Whether each epoch has another order. Defaults to `True`.
            class_weight: dict of label names or indices to weights.
            sample_weight: one weight for each sentence.
            initial_epoch: int. The epoch to start at. Defaults to `0`.
            steps_per_epoch: int. Batches of an epoch. Defaults to `None`: all of the data.
            validation_steps: int. Batches to validate on. Defaults to `None`, all of them.
            validation_batch_size: int. Defaults to `None`, for `batch_size`.
            validation_freq: int. Epochs from one validation to the next. Defaults to `1`.
            frozen_epochs: int, the number of epochs of the first phase; or `"auto"`, the default:
                `0` if `epochs` is a number.

        Returns:
            The `History` of both phases.

        Raises:
            ValueError: for data or labels that do not fit the model, and if `frozen_epochs` is
                larger than `epochs`.

        Example:

        ```python
        model = elmo_keras.ElmoTextClassifier.from_preset("elmo_mini_en", ["negative", "positive"])
        model.fit(texts, labels, validation_data=(dev_texts, dev_labels))  # both phases
        model.fit(texts, labels, epochs=5, frozen_epochs=3)  # 3 epochs of the head, 2 of all
        model.fit(texts, labels, epochs=5)  # 5 epochs of all
        ```

        References:
            - [Howard and Ruder, 2018](https://arxiv.org/abs/1801.06146), gradual unfreezing
        """
        if self.preprocessor is None:
            data, batching = (
                x,
                {
                    "y": y,
                    "batch_size": batch_size,
                    "validation_split": validation_split,
                    "validation_batch_size": validation_batch_size,
                    "shuffle": shuffle,
                    "class_weight": class_weight,
                    "sample_weight": sample_weight,
                },
            )
        else:
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
            batching = {"shuffle": False}  # `data` has shuffled batches already.
        num_batches = fine_tuning.count_batches(data, batch_size, steps_per_epoch)
        is_auto = isinstance(epochs, str)
        frozen_epochs, epochs = fine_tuning.plan_epochs(epochs, frozen_epochs, num_batches)
        keras_fit = functools.partial(
            super().fit, data, validation_data=validation_data, **batching
        )
        options = {
            "epochs": epochs,
            "verbose": verbose,
            "callbacks": callbacks,
            "initial_epoch": initial_epoch,
            "steps_per_epoch": steps_per_epoch,
            "validation_steps": validation_steps,
            "validation_freq": validation_freq,
        }
        if not is_auto and not frozen_epochs:
            return keras_fit(**options)
        return fine_tuning.fit(self, keras_fit, frozen_epochs, num_batches, options, is_auto)

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
