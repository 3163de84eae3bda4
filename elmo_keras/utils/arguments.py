"""Checks of keyword arguments, which tell a misspelt name from a damaged file."""

import difflib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any


def arguments_of(cls: type) -> set[str]:
    """Returns the names of a class's keyword arguments, including those it passes to its bases.

    Args:
        cls: class of a layer or a model.

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
            break  # Keras accepts only the arguments that its constructors name.
    return names


def check_arguments(options: Mapping[str, Any], known: Iterable[str], owner: str) -> None:
    """Checks that all options are known.

    Args:
        options: values of the options by name.
        known: names of the known options.
        owner: name of the method that takes the options, for errors.

    Raises:
        ValueError: names the unknown options, the known ones, and a similar one.

    Example:

    >>> from elmo_keras.utils.arguments import check_arguments
    >>> check_arguments({"dropuot": 0.5}, ["dropout", "name"], "ElmoLayer")
    Traceback (most recent call last):
    ...
    ValueError: The options of ElmoLayer must be among dropout, name. Received: dropuot=0.5. ...
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
    """Checks the keyword arguments that a model's constructor does not name.

    Only `name` and `trainable` are allowed. Without the check they would reach Keras, whose
    functional models accept any keyword argument silently.

    Args:
        cls: class of the model.
        kwargs: the `**kwargs` of its constructor.

    Raises:
        ValueError: names the unknown arguments, the known ones, and a similar one.
    """
    own = inspect.signature(vars(cls).get("__init__", cls)).parameters
    known = {name for name in own if name not in ("self", "kwargs")}
    check_arguments(kwargs, known | {"name", "trainable"}, cls.__name__)
