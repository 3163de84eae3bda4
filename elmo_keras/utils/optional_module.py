"""Modules that are imported at their first use."""

import importlib
from typing import Any


class OptionalModule:
    """A module that is imported at its first attribute access.

    `import elmo_keras` is therefore fast and does not need the module. If the module is missing
    at its first use, the error says what needs it and how to install it.

    Args:
        name: str. Name of the module, for example `"tensorflow"`.
        purpose: str. Text of the error: what needs the module, and what to do without it.

    Raises:
        ImportError: at an attribute access, if the module cannot be imported.

    Example:

    >>> from elmo_keras.utils.optional_module import OptionalModule
    >>> numbers = OptionalModule("fractions", "Exact arithmetic needs it.")
    >>> numbers.Fraction(1, 2) + numbers.Fraction(1, 3)
    Fraction(5, 6)
    """

    def __init__(self, name: str, purpose: str) -> None:
        self._name = name
        self._purpose = purpose

    def __getattr__(self, attribute: str) -> Any:
        try:
            module = importlib.import_module(self._name)
        except ImportError as error:
            raise ImportError(
                f"`{self._name}` could not be imported ({error}). {self._purpose}"
            ) from error
        return getattr(module, attribute)


tensorflow = OptionalModule(
    "tensorflow",
    "Strings, tf.data and SavedModels need it: `pip install tensorflow`. Without it, feed "
    "character ids of shape (batch, time, max_characters).",
)
tensorflow_text = OptionalModule(
    "tensorflow_text",
    "Tokenizer('unicode_script') needs it: `pip install tensorflow-text` (wheels for Linux and "
    "macOS), or use Tokenizer('words').",
)
regex = OptionalModule(
    "regex",
    "`split_sentences` needs it for text that is not ASCII: `pip install regex`.",
)
