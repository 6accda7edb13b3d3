"""`.npy` files: plain arrays memory-mapped, object arrays read without running their pickle."""

from __future__ import annotations

import math
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from .findings import DataError, error
from .pickles import RefusedError, read_pickle


class Header(NamedTuple):
    """What the first bytes of a `.npy` file say, and how many bytes the file has."""

    shape: tuple[int, ...]
    dtype: np.dtype
    size: int


def read_header(path: Path) -> Header:
    """Shape and dtype of a `.npy` file, its values unread.

    Raises:
        DataError: the file is missing, is not a `.npy` file or ends too early.
    """
    if not path.is_file():
        raise DataError(error("missing", path, "no such file", "Put it there"))
    try:
        with open(path, "rb") as file:
            shape, _, dtype = _parse_header(file)
            start, size = file.tell(), path.stat().st_size
    except Exception as reason:  # a malformed header may raise anything
        raise DataError(_unreadable(path, reason)) from None
    expected = start + math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or (not dtype.hasobject and size < expected):
        raise DataError(_unreadable(path, f"{size} bytes for shape {shape} of {dtype}"))
    return Header(shape, dtype, size)


def read_array(path: Path) -> np.ndarray:
    """The array of a `.npy` file: memory-mapped, or read whole when it is an object array.

    Raises:
        DataError: the file cannot be read, or is a pickle that asks for more than arrays, numbers
            and strings. Nothing it asks for has been run.
    """
    if not read_header(path).dtype.hasobject:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    with open(path, "rb") as file:
        shape, _, _ = _parse_header(file)
        try:
            array = read_pickle(file)
            if array.shape != shape:
                raise RefusedError(f"it holds {array.shape} where {shape} is announced")
        except RefusedError as reason:
            raise DataError(_unsafe(path, reason)) from None
    return array


def _parse_header(file: BinaryIO):
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    return np.lib.format.read_array_header_2_0(file)


def _unreadable(path, reason):
    mend = "Write it again with numpy.save"
    return error("unreadable", path, f"not a whole .npy file ({reason})", mend)


def _unsafe(path, reason):
    mend = "Do not open it in another way; get the file from where it is trusted, or save it again"
    return error("unsafe", path, f"not an object array that can be trusted: {reason}", mend)
