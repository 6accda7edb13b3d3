"""Features on disk, opened when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .arrays import read_array, read_header
from .findings import DataError, error, settle
from .rules import value_findings


@dataclass(frozen=True)
class FeatureFile:
    """One stream of one video in its own `.npy` file of shape (T, D)."""

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    size: int

    @classmethod
    def open(cls, path: Path) -> FeatureFile:
        """Reads the header alone.

        Raises:
            DataError: the file is missing, is no `.npy` file or ends too early.
        """
        return cls(path, *read_header(path))

    def read(self) -> np.ndarray:
        """(T, D), memory-mapped."""
        return np.load(self.path, mmap_mode="r", allow_pickle=False)


@dataclass(eq=False)
class JointFile:
    """W-TALC's object array of one (T_i, 2 D) array per video, read whole when first needed.

    Args:
        path: the file.
        ids: name of the video of each row.
        on_read: called once the rows are there, since nothing is known of them before.
    """

    path: Path
    ids: tuple[str, ...]
    on_read: Callable[[], None] | None = None
    _rows: list[np.ndarray] | None = field(default=None, init=False, repr=False)

    @property
    def rows(self) -> list[np.ndarray]:
        """One array of shape (T_i, 2 D) per video.

        Raises:
            DataError: the file cannot be trusted, or not have one array of even width per video.
        """
        if self._rows is None:
            self._rows = _joint_rows(self.path, self.ids)
            try:
                if self.on_read:
                    self.on_read()
            except Exception:
                self._rows = None  # the next access must fail too
                raise
        return self._rows

    def __getstate__(self):
        return {**self.__dict__, "_rows": None}


@dataclass(frozen=True, eq=False)
class JointHalf:
    """One stream of one video of a joint file: half 0 is rgb, half 1 is flow."""

    joint: JointFile
    row: int
    half: int

    @property
    def path(self) -> Path:
        return self.joint.path

    @property
    def shape(self) -> tuple[int, ...]:
        return self.read().shape

    @property
    def dtype(self) -> np.dtype:
        return self.read().dtype

    def read(self) -> np.ndarray:
        """(T, D), a view of the joint array."""
        row = self.joint.rows[self.row]
        width = row.shape[1] // 2
        return row[:, self.half * width : (self.half + 1) * width]


class Features(Mapping):
    """The streams of one video; each is opened when asked for, its values checked the first time.

    Args:
        video: name of the video.
        parts: a `FeatureFile` or `JointHalf` per stream.
        warned: problems the data set has already warned of.
    """

    def __init__(self, video: str, parts: Mapping, warned: set[str]):
        self.video, self.parts, self._warned = video, dict(parts), warned
        self._checked: set[str] = set()

    def __getitem__(self, stream: str) -> np.ndarray:
        part = self.parts[stream]
        array = part.read()
        if stream not in self._checked:
            found = value_findings(self.video, part.path, array)
            settle(f for f in found if f.problem not in self._warned)
            self._warned.update(f.problem for f in found)
            self._checked.add(stream)
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self.parts)

    def __len__(self) -> int:
        return len(self.parts)

    def __repr__(self) -> str:
        return f"Features({', '.join(self.parts)} of {self.video!r}, on disk)"

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape (T, D) of each stream, its values unread."""
        return {stream: part.shape for stream, part in self.parts.items()}


def _joint_rows(path: Path, ids) -> list[np.ndarray]:
    rows = [_row(x) for x in read_array(path)]
    if len(rows) != len(ids):
        message = f"{len(rows)} arrays where videoname.npy names {len(ids)} videos"
        raise DataError(error("joint", path, message, "Take both from the same release"))
    bad = [(v, x.shape) for v, x in zip(ids, rows, strict=True) if x.ndim != 2 or x.shape[1] % 2]
    mend = "Give every video its array, rgb before flow"
    found = [
        error("joint row", path, f"shape {shape} where (T, rgb and flow) was expected", mend, v)
        for v, shape in bad
    ]
    if found:
        raise DataError(*found)
    return rows


def _row(value) -> np.ndarray:
    row = np.asarray(value)
    # videos of one length make numpy store one object array of numbers
    return row.astype(np.float32) if row.dtype == object and row.ndim == 2 else row
