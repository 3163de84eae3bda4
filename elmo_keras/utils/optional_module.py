"""Modules that are imported when they are first used."""

import importlib


class OptionalModule:
    """A module that is imported at its first attribute access, not before.

    `import elmo_keras` stays cheap, and works where the module is not installed; whoever then
    needs it reads in the error what it is needed for and how to get it.

    Args:
        name: str. The module, for example `"tensorflow"`.
        purpose: str. What needs it and what to do without it, one sentence.
    """

    def __init__(self, name, purpose):
        self._name = name
        self._purpose = purpose

    def __getattr__(self, attribute):
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
