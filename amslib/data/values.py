"""Texts, names and numbers as files hold them: what is none is refused, never guessed."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
NUMERIC = (float, int, np.floating, np.integer)
# what tables and programs write where there is no value, in lower case
MISSING = frozenset(
    ("", "-", "--", "?", "na", "n/a", "n.a", "n.a.", "#n/a", "<na>", "nan", "-nan", "null", "none")
    + ("nil", "<null>", "<none>", "\\n")
)


def read_text(file: Path) -> str:
    """The text of a file; a pipe, which never ends, or a device is none.

    Raises:
        OSError, ValueError: it is missing, no file, or not UTF-8.
    """
    if file.exists() and not file.is_file():
        raise OSError(f"{file} is not a regular file")
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as reason:
        raise ValueError(_not_text(reason)) from None


def parse_json(text: str | bytes):
    """Whatever a json text holds.

    Raises:
        ValueError: it is no json, not UTF-8, nested too deeply, or has a key twice in one object;
            the message is one short line.
    """
    try:
        return json.loads(text, object_pairs_hook=_once)
    except UnicodeDecodeError as reason:
        raise ValueError(_not_text(reason)) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _not_text(reason: UnicodeDecodeError) -> str:
    # the exception's own repr holds the whole file
    encoding = reason.encoding.upper().removesuffix("-SIG")
    return f"not {encoding}: byte 0x{reason.object[reason.start]:02x} at position {reason.start}"


def _once(pairs) -> dict:
    """An object whose keys all differ; json itself would keep the last of equal ones."""
    content = {}
    for key, value in pairs:
        if key in content:
            raise ValueError(f"{shown(key)} occurs twice in one object")
        content[key] = value
    return content


def shown(value, most: int = 120) -> str:
    """The value as a message shows it, so many characters at most; None is json's null."""
    text = "null" if value is None else repr(value)
    return text if len(text) <= most else f"{text[: most - 2]}.."


def few(names: Sequence[str]) -> str:
    """The first names, as many as a message shows.

    >>> few(["a", "b", "c", "d"])
    'a, b, c, ..'
    """
    return ", ".join(names[:3]) + (", .." if len(names) > 3 else "")


def finite(value) -> float:
    """A number, or a text that is one in decimal notation, such as ``"-1.5"`` or ``"1e-3"``.

    Raises:
        ValueError: it is neither, or not finite; true and false are no numbers.

    >>> finite("12.5")
    12.5
    """
    if isinstance(value, bytes):
        value = value.decode("latin1")
    number = math.nan
    if isinstance(value, str):
        number = float(value) if NUMBER.fullmatch(value.strip()) else math.nan
    elif isinstance(value, NUMERIC) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:  # an int beyond all floats
            number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{shown(value)} is no finite number")
    return number


def pair_of_times(value) -> tuple[float, float]:
    """Two numbers, in seconds.

    Raises:
        ValueError: it is no list of two finite numbers.
    """
    if not isinstance(value, list | tuple | np.ndarray) or len(value) != 2:
        raise ValueError(f"{shown(value)} is no list of two numbers")
    start, end = value
    return finite(start), finite(end)


def nfc(text: str) -> str:
    """The text in the one Unicode form that all names are compared in.

    >>> nfc("e\\u0301") == "\\u00e9"
    True
    """
    return unicodedata.normalize("NFC", text)


def tidy(text: str) -> str:
    """A name without spaces around it, one space between its words, in Unicode's NFC form.

    >>> tidy(" Long  Jump ")
    'Long Jump'
    """
    return " ".join(nfc(text).split())


def is_missing(text: str) -> bool:
    """Whether a text stands for a value that is not there.

    >>> is_missing("N/A"), is_missing("Nap")
    (True, False)
    """
    return tidy(text).lower() in MISSING


def class_name(value) -> str:
    """The name of a class, tidied.

    Raises:
        ValueError: it is no text, or one that stands for a missing value.
    """
    if not isinstance(value, str) or is_missing(value):
        raise ValueError(f"label {shown(value)} is no name of a class")
    return tidy(value)


def class_names(values) -> tuple[str, ...]:
    """A list of names of classes.

    Raises:
        ValueError: it is no list, or an entry is no name of a class.
    """
    if not isinstance(values, list | tuple):
        raise ValueError(f"{shown(values)} is no list of names")
    return tuple(class_name(value) for value in values)


def repeated(names: Iterable[str]) -> list[str]:
    """The names that occur more than once."""
    seen, again = set(), {}
    for name in names:
        again |= {name: None} if name in seen else {}
        seen.add(name)
    return list(again)
