"""Object arrays without the powers of a pickle.

numpy stores an object array as a pickle, and loading a pickle can run any program. The few
constructors such a file needs are replaced here by classes that build arrays, numbers and strings
from the file's own bytes; whatever else the file asks for is refused before anything is called.
"""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

PLAIN = re.compile(r"b1|[iu][1248]|f[248]|c8|c16|[SU][1-9]\d*")
DEPTH = 5  # an array of lists of pairs is 3 deep
SHARED = 100  # entries for each byte at most; a list that is in many places is written once


class RefusedError(Exception):
    """The pickle is malformed, or asks for something an array does not need."""


def read_pickle(file: BinaryIO) -> np.ndarray:
    """The object array pickled at the file's position (any protocol, Python 2 or 3, numpy 1 or 2).

    Its entries are arrays, numbers, strings, bytes, and lists or tuples of these. Python 2's
    strings come back as bytes.

    Raises:
        RefusedError: the pickle holds or asks for anything else; nothing of it has been run.
    """
    start = file.tell()
    try:
        array = _ArrayUnpickler(file, fix_imports=False, encoding="bytes").load()
        array = _plain(array, iter(range(SHARED * (file.tell() - start))))
    except RefusedError:
        raise
    except Exception as reason:  # a malformed pickle may raise anything
        raise RefusedError(f"its pickle is malformed ({reason!r})") from None
    if not isinstance(array, np.ndarray):
        raise RefusedError(f"it holds a {type(array).__name__} where an array is expected")
    return array


# The classes below stand in for numpy's. Each has `__setstate__`, so that pickle's BUILD, applied
# to the class itself, ends there instead of setting attributes on it.


class _Dtype:
    """`numpy.dtype(code)`; the real one believes a pickled state and can be led out of bounds."""

    __slots__ = ("code", "order")

    def __init__(self, code, *_):
        self.code, self.order = _text(code), "="

    def __setstate__(self, state):
        _, order, *structure = state
        if any(part is not None for part in structure[:3]):
            raise RefusedError("it holds a structured array")
        self.order = _text(order)
        if self.order not in ("<", ">", "=", "|"):
            raise RefusedError(f"it holds an array of byte order {self.order!r}")

    def plain(self) -> np.dtype:
        if not PLAIN.fullmatch(self.code):
            raise RefusedError(f"it holds an array of dtype {self.code!r}")
        return np.dtype({"|": "="}.get(self.order, self.order) + self.code)


class _Array:
    """`numpy.core.multiarray._reconstruct(ndarray, (0,), b"b")`, an array to be filled."""

    __slots__ = ("value",)

    def __init__(self, *_):
        self.value = None

    def __setstate__(self, state):
        shape, dtype, fortran, values = state[-4:]
        if dtype.code.startswith("O"):
            self.value = _objects(shape, list(values))
        else:
            self.value = _from_bytes(dtype.plain(), shape, values, "F" if fortran else "C")


class _Scalar:
    """`numpy.core.multiarray.scalar(dtype, bytes)`."""

    def __new__(cls, dtype, values):
        return _from_bytes(dtype.plain(), (), values, "C")[()]

    def __setstate__(self, state):
        raise RefusedError("it changes a constructor")


class _Encode:
    """`_codecs.encode(text, "latin1")` or `bytes()`, how Python 3 writes bytes for Python 2."""

    def __new__(cls, text="", *_):
        return str.encode(text, "latin1")

    def __setstate__(self, state):
        raise RefusedError("it changes a constructor")


STAND_INS = {
    ("numpy", "ndarray"): "ndarray",  # only ever named, never called
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _Encode,
    ("__builtin__", "bytes"): _Encode,
    **{
        (f"numpy.{core}.multiarray", name): stand_in
        for core in ("core", "_core")  # numpy 1 and 2
        for name, stand_in in (("_reconstruct", _Array), ("scalar", _Scalar))
    },
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        try:
            return STAND_INS[module, name]
        except KeyError:
            raise RefusedError(f"it asks for {module}.{name}") from None


def _text(value) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else value


def _from_bytes(dtype, shape, values, order):
    if not isinstance(values, bytes) or len(values) != math.prod(shape) * dtype.itemsize:
        raise RefusedError(f"an array of shape {shape} does not match its bytes")
    if not values:
        return np.empty(shape, dtype)
    return np.frombuffer(values, dtype).reshape(shape, order=order)


def _objects(shape, values):
    if len(values) != math.prod(shape):
        raise RefusedError(f"an array of shape {shape} does not match its {len(values)} entries")
    array = np.empty(len(values), object)
    for k, value in enumerate(values):
        array[k] = value
    return array.reshape(shape)


def _plain(value, budget: Iterator, depth=0):
    """The value with arrays in place of their stand-ins, refused if it holds anything else.

    Args:
        value: what the pickle holds.
        budget: ends after so many entries.
        depth: of the value.
    """
    if depth > DEPTH:
        raise RefusedError(f"it is nested more than {DEPTH} deep")
    if next(budget, None) is None:
        raise RefusedError("it unfolds to many times what it holds")
    if isinstance(value, _Array) and isinstance(value.value, np.ndarray):
        array = value.value
        if array.dtype != object:
            return array
        return _objects(array.shape, [_plain(x, budget, depth + 1) for x in array.flat])
    if type(value) in (list, tuple):
        return type(value)(_plain(x, budget, depth + 1) for x in value)
    if value is None or isinstance(value, str | bytes | int | float | np.generic):
        return value
    raise RefusedError(f"it holds a {type(value).__name__}")
