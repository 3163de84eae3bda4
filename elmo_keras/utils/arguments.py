"""Which keyword arguments a class takes, to tell a misspelt one from a damaged file."""

import difflib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any


def arguments_of(cls: type) -> set[str]:
    """The names of the keyword arguments of a class, those that it passes on to its bases too.

    Args:
        cls: a class of layers or models.

    Example:

    >>> import elmo_keras
    >>> from elmo_keras.utils.arguments import arguments_of
    >>> sorted(arguments_of(elmo_keras.ElmoLayer) & {"dropout", "name", "dropuot"})
    ['dropout', 'name']
    """
    names = set()
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]
        names |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        if not any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters):
            break
        if base.__module__.partition(".")[0] == "keras":
            break  # It takes no more than it names.
    return names


def check_arguments(options: Mapping[str, Any], known: Iterable[str], owner: str) -> None:
    """Raises a ValueError for options that are not among the known ones.

    Args:
        options: arguments by name.
        known: the names that there are.
        owner: the method that takes them, in the error.

    Raises:
        ValueError: that names the unknown options, the known ones, and one that looks alike.
    """
    known = sorted(known)
    unknown = sorted(options.keys() - set(known))
    if not unknown:
        return
    close = difflib.get_close_matches(unknown[0], known, n=1)
    raise ValueError(
        f"The options of {owner} must be among {', '.join(known)}. Received: "
        + ", ".join(f"{name}={options[name]!r}" for name in unknown)
        + (f". Did you mean {close[0]}?" if close else ". Leave it out, or check its name.")
    )


def check_model_arguments(cls: type, kwargs: Mapping[str, Any]) -> None:
    """Raises a ValueError for keyword arguments that a class of models would pass on to Keras.

    Keras accepts any keyword of a Functional model without a word.

    Args:
        cls: class of the model.
        kwargs: its `**kwargs`, those that its constructor does not name.

    Raises:
        ValueError: names the unknown arguments, the known ones, and a similar one.
    """
    own = inspect.signature(vars(cls).get("__init__", cls)).parameters
    known = {name for name in own if name not in ("self", "kwargs")}
    check_arguments(kwargs, known | {"name", "trainable"}, cls.__name__)
