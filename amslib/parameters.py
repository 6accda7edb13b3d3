"""Guards the parameters of a notebook against misspelt names, wrong types and wrong ranges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from reprlib import Repr
from typing import get_args, get_origin

LONGEST = 300  # characters of another text in a message
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlist = _SHORT.maxtuple = 8


def brief(value) -> str:
    """The `repr` of a value for a message, which stays short whatever the value.

    >>> brief(0.5), brief(list(range(1000)))
    ('0.5', '[0, 1, 2, 3, 4, 5, 6, 7, ...]')
    """
    return _SHORT.repr(value)


def clip(text: object, longest: int = LONGEST) -> str:
    """Text for a message: of what is longer, most of the start and some of the end.

    >>> clip("a" * 999 + "!", 8)
    'aaaaaa .. (992 characters left out) .. a!'
    """
    text, end = str(text), longest // 4
    if len(text) <= longest:
        return text
    left_out = f".. ({len(text) - longest} characters left out) .."
    return f"{text[: longest - end]} {left_out} {text[-end:]}"


def check(namespace: Mapping, /, **declared: type | tuple) -> None:
    """Stop a notebook whose parameters are not what it declares.

    papermill writes overrides into a cell of their own and only logs a name the notebook does not
    know: ``-p etta 0.5`` would run to the end on the default of ``eta``. So the cell right after
    the ``parameters`` cell imports and calls this function::

        from amslib.parameters import check

        check(globals(), eta=(float, 0, 10), seed=(int, 0, None), dataset=str)

    Names are looked at in the order they came into being: whatever was first assigned between the
    first parameter and the import of ``check`` must be a parameter. Names of later cells come
    after, so that the cell can be run again at any time in an open notebook.

    Args:
        namespace: ``globals()`` of the notebook.
        **declared: each parameter's type, or ``(type, lowest, highest)`` with both ends allowed
            and None for an open end. An int will do for a float; a bool is not a number. Of
            ``list[float]`` each entry is looked at in this way, and there must be one.

    Raises:
        NameError: a name that is no parameter was set, or a parameter is missing.
        TypeError: a parameter is not of its type.
        ValueError: a parameter is out of its range.

    Example:
        >>> check({"eta": 0.75, "seed": 0}, eta=(float, 0, 10), seed=int)
        >>> check({"eta": 0.75, "etta": 0.5}, eta=float)
        Traceback (most recent call last):
        ...
        NameError: unknown parameter 'etta': did you mean 'eta'? The parameters are: eta
    """
    for name in _assigned(namespace, declared):
        if name not in declared:
            raise NameError(unknown(name, declared))
    for name, rule in declared.items():
        if name not in namespace:
            raise NameError(f"parameter '{name}' is not set: run the parameters cell first")
        kind, low, high = rule if isinstance(rule, tuple) else (rule, None, None)
        given = f"parameter '{name}' is {brief(namespace[name])}"
        _check_value(given, namespace[name], kind, low, high)


def _assigned(namespace: Mapping, declared: Mapping) -> list[str]:
    """Names from the first declared one up to `check` itself, without IPython's own."""
    names = list(namespace)
    start = next((i for i, name in enumerate(names) if name in declared), len(names))
    stop = next((i for i, name in enumerate(names) if namespace[name] is check), len(names))
    return [name for name in names[start:stop] if not name.startswith("_")]


def unknown(name: str, declared: Iterable[str], kind: str = "parameter") -> str:
    """The message for a name that is not one of the declared ones of its kind."""
    declared = list(declared)
    near = get_close_matches(name, declared, n=1)
    hint = f" did you mean '{near[0]}'?" if near else ""
    return f"unknown {kind} '{clip(name)}':{hint} The {kind}s are: {', '.join(declared)}"


def _check_value(given: str, value, kind: type, low, high) -> None:
    if get_origin(kind) is list:
        if not (isinstance(value, list) and value):
            raise TypeError(f"{given}: expected {kind} with at least one entry, as in [0.5, 1]")
        for entry in value:
            _check_value(f"{given}, with entry {brief(entry)}", entry, *get_args(kind), low, high)
        return
    accepted = (int, float) if kind is float else kind
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        expected = f"{getattr(kind, '__name__', kind)}{_spelling(kind, value)}"
        raise TypeError(f"{given}: expected {expected}")
    if low is not None and not value >= low:
        raise ValueError(f"{given}: expected at least {low}")
    if high is not None and not value <= high:
        raise ValueError(f"{given}: expected at most {high}")


def _spelling(kind: type, value) -> str:
    """papermill's -p passes any other spelling as a string."""
    if kind is bool and str(value).lower() in ("true", "false"):
        return f", which papermill's -p takes as {str(value).capitalize()}"
    return ""
