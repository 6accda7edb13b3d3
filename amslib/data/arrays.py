"""Arrays on disk: those of `.npy` files memory-mapped, no pickle run."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from .findings import DataError, error
from .pickles import RefusedError, read_pickle

PACKED = 100  # of features or text at most, the bytes of content for one in a packed file
HARMLESS = 2**28  # bytes that may be packed more tightly: zeros are


class Header(NamedTuple):
    """What the first bytes of a `.npy` file say."""

    shape: tuple[int, ...]
    dtype: np.dtype


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
    return Header(shape, dtype)


def read_array(path: Path) -> np.ndarray:
    """The array of a `.npy` file: memory-mapped, or read whole when it is an object array.

    Raises:
        DataError: the file cannot be read, or is a pickle that asks for more than arrays, numbers
            and strings. Nothing it asks for has been run.
    """
    if not read_header(path).dtype.hasobject:
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as reason:
            raise DataError(_unreadable(path, reason)) from None
    with open(path, "rb") as file:
        shape, _, _ = _parse_header(file)
        try:
            array = read_pickle(file)
            if array.shape != shape:
                raise RefusedError(f"it holds {array.shape} where {shape} is announced")
        except RefusedError as reason:
            raise DataError(_unsafe(path, reason)) from None
    return array


def read_member_header(path: Path, name: str) -> Header:
    """Shape and dtype of an array of a `.npz` file, its values unread.

    Raises:
        DataError: there is no such array, or it is one of objects, shorter than announced, or
            would fill the memory from next to nothing.
    """
    try:
        if not path.is_file():  # a pipe would wait for ever
            raise ValueError("no file")
        with zipfile.ZipFile(path) as file, file.open(f"{name}.npy") as member:
            shape, _, dtype = _parse_header(member)
            about = file.getinfo(f"{name}.npy")
            start, size = member.tell(), about.file_size
        if dtype.hasobject or min(shape, default=0) < 0:
            raise ValueError(f"shape {shape} of {dtype}")
        if size != start + math.prod(shape) * dtype.itemsize:
            raise ValueError(f"{size} bytes for shape {shape} of {dtype}")
        if size > max(HARMLESS, PACKED * about.compress_size):
            raise ValueError(f"{size} bytes of array in {about.compress_size}, not of features")
    except Exception as reason:  # a malformed file may raise anything
        raise DataError(_no_member(path, name, reason)) from None
    return Header(shape, dtype)


def read_member(path: Path, name: str) -> np.ndarray:
    """An array of a `.npz` file, read whole; an array of objects is refused.

    Raises:
        DataError: see `read_member_header`.
    """
    read_member_header(path, name)
    try:
        with zipfile.ZipFile(path) as file, file.open(f"{name}.npy") as member:
            return np.lib.format.read_array(member, allow_pickle=False)
    except Exception as reason:
        raise DataError(_no_member(path, name, reason)) from None


def _no_member(path, name, reason):
    message = f"no plain array {name!r} in it ({reason!r})"
    return error("unreadable", path, message, "Get the file again, or save it with numpy.savez")


def _parse_header(file: BinaryIO):
    first = np.lib.format.read_magic(file) == (1, 0)
    read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
    shape, order, dtype = read(file)
    if not dtype.itemsize:  # any number of entries would fit into no bytes at all
        raise ValueError(f"entries of no bytes, {dtype}")
    return shape, order, dtype


def _unreadable(path, reason):
    mend = "Write it again with numpy.save"
    return error("unreadable", path, f"not a whole .npy file ({reason})", mend)


def _unsafe(path, reason):
    mend = "Do not open it in another way; get the file from where it is trusted, or save it again"
    return error("unsafe", path, f"not an object array that can be trusted: {reason}", mend)
