"""Hashes of whole files, so that no change of features goes unseen."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .findings import DataError, error

THREADS = min(8, os.cpu_count() or 1)
SETTLED = 2 * 10**9  # ns; a younger file may change again without a later time
_known: dict[tuple, str] = {}  # by all that the system says of a file


def digests(paths: Collection[Path]) -> dict[Path, str]:
    """SHA-256 of every byte of each file, read by several threads.

    A file is read again in the same process only if its size, inode or one of its times has
    changed, or if it had been written less than two seconds before it was read.

    Raises:
        DataError: a file cannot be read.
    """
    with ThreadPoolExecutor(THREADS) as threads:
        return dict(zip(paths, threads.map(_digest, paths), strict=True))


def _digest(path: Path) -> str:
    try:
        key = _state(path)
        if key in _known:
            return _known[key]
        begun = time.time_ns()
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if _state(path) == key and begun - max(key[-2:]) > SETTLED:
            _known[key] = digest
    except OSError as reason:
        raise DataError(error("unreadable", path, str(reason), "Get the file again")) from None
    return digest


def _state(path: Path) -> tuple:
    about = os.stat(path)
    where = str(path.absolute()), about.st_dev, about.st_ino
    return *where, about.st_size, about.st_mtime_ns, about.st_ctime_ns
