"""Files as they are named on disks: what the system put there, and names in another spelling."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from itertools import product
from pathlib import Path

SYSTEM = ("__MACOSX", "__pycache__", "@eaDir")  # folders nobody made on purpose


def is_hidden(name: str) -> bool:
    """Whether a file or folder is not the user's: ``._x.npy``, ``.ipynb_checkpoints``, .."""
    return name.startswith(".") or name in SYSTEM


def visible(folder: Path, *patterns: str) -> Iterator[Path]:
    """What matches a pattern and is not hidden; the suffix of arrays may be in capitals."""
    for pattern in patterns:
        for path in folder.glob(pattern.replace(".npy", ".[nN][pP][yY]")):
            if not any(map(is_hidden, path.relative_to(folder).parts)):
                yield path


def existing(path: Path) -> Path:
    """The path of an array as it is on disk: the suffix may be in capitals, and accents composed
    or not, as archives from a Mac have them. The path itself where there is no such file.
    """
    if path.is_file():
        return path
    for form, suffix in product(("NFC", "NFD"), (".npy", ".NPY")):
        other = path.with_name(unicodedata.normalize(form, path.name[: -len(suffix)]) + suffix)
        if os.path.isfile(other):  # False of a name that is too long, too
            return other
    return path
