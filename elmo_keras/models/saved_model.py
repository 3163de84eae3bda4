"""The base of all models of the package, which saves complete files of finite weights."""

import os
from typing import Any

import keras

from elmo_keras.models import saving


class SavedModel(keras.Model):
    """Base of all models of the package.

    Saving replaces a file only when the new one is complete. It raises an error if a weight is NaN
    or infinite.
    """

    @property
    def starts_at_ids(self) -> bool:
        """Whether the graph starts at ids instead of tokens."""
        return keras.backend.standardize_dtype(self.inputs[0].dtype) != "string"

    def save(
        self,
        filepath: str | os.PathLike,
        overwrite: bool = True,
        zipped: bool | None = None,
        **kwargs: Any,
    ) -> None:
        """Saves the model as `.keras`; an existing file stays until the new one is complete.

        Args:
            filepath: path that ends in `.keras`.
            overwrite: bool. Whether an existing file may be replaced. Defaults to `True`.
            zipped: as in `keras.Model.save`.
            **kwargs: Further arguments of `keras.Model.save`.

        Raises:
            ValueError: for another format, an existing file with `overwrite=False`, or a weight
                that is not finite.
            OSError: if the file cannot be written. An existing file is then unchanged.
        """
        saving.save(self, super().save, filepath, overwrite, zipped, **kwargs)

    def save_weights(self, filepath: str | os.PathLike, *args: Any, **kwargs: Any) -> None:
        saving.check_model(self)  # before an older file is opened
        super().save_weights(filepath, *args, **kwargs)

    def save_own_variables(self, store: Any) -> None:
        saving.check_model(self)  # Keras calls this for every file of the model.
        super().save_own_variables(store)
