"""Features on disk, opened when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from .arrays import read_array, read_header
from .contents import digests
from .findings import DataError, Finding, error, settle, warning
from .paths import existing, is_hidden, visible
from .rules import value_findings
from .values import few
from .video import Video

STREAMS = ("rgb", "flow")


@dataclass(frozen=True)
class FeatureFile:
    """One stream of one video in its own `.npy` file of shape (T, D)."""

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    taken = ()  # all there is

    @classmethod
    def open(cls, path: Path) -> FeatureFile:
        """Reads the header alone.

        Raises:
            DataError: the file is missing, is no `.npy` file or ends too early.
        """
        return cls(path, *read_header(path))

    def read(self) -> np.ndarray:
        """(T, D), memory-mapped."""
        return read_array(self.path)


@dataclass(frozen=True)
class FileHalf:
    """One stream of one video whose `.npy` file of shape (T, 2 D) holds both; half 0 is first."""

    file: FeatureFile
    half: int
    path = property(lambda self: self.file.path)
    dtype = property(lambda self: self.file.dtype)
    taken = property(lambda self: (self.half,))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.file.shape[0], self.file.shape[1] // 2

    def read(self) -> np.ndarray:
        """(T, D), memory-mapped."""
        return half_of(self.file.read(), self.half)


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
    """One stream of one video of a joint file; half 0 is the first."""

    joint: JointFile
    row: int
    half: int
    taken = property(lambda self: (self.row, self.half))

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
        return half_of(self.joint.rows[self.row], self.half)


class Features(Mapping):
    """The streams of one video; each is opened when asked for, its values checked the first time.

    Args:
        video: name of the video.
        parts: per stream a `FeatureFile`, or what has its ``path``, ``shape``, ``dtype``, ``read``
            and ``taken``, which says what is read of the file.
        warned: problems the data set has already warned of.
    """

    def __init__(self, video: str, parts: Mapping, warned: set[str]):
        self.video, self.parts, self._warned = video, dict(parts), warned
        self._checked: set[str] = set()

    def __getitem__(self, stream: str) -> np.ndarray:
        part = self.parts[stream]
        array = part.read()
        if stream not in self._checked:
            found = value_findings(self.video, part.path, array, stream)
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


def is_file_name(name: str) -> bool:
    """Whether ``<name>.npy`` can be a file of a folder: not a path, and no more than 255 bytes."""
    try:
        size = len(f"{name}.npy".encode())
    except UnicodeEncodeError:  # half a character
        return False
    wrong = any(sign in "/\\\x7f" or sign < " " for sign in name)
    return name not in ("", ".", "..") and not wrong and size <= 255


def open_streams(
    paths: Mapping[str, Path], video: str, mend: str
) -> tuple[dict[str, FeatureFile], list[Finding]]:
    """The feature file of each stream by its header, and what is wrong with those left out.

    Args:
        paths: file of each stream.
        video: name of the video.
        mend: what to do about a file that is not there.
    """
    files, found = {}, []
    if not is_file_name(video):  # it could lead out of the folder
        message = f"{video!r} cannot be the name of a file"
        return files, [error("name", next(iter(paths.values())), message, "Rename it", video)]
    for stream, path in paths.items():
        try:
            path = existing(path)
            if not path.is_file():
                message = "no features" if stream == "features" else f"no {stream} features"
                raise DataError(error("no features", path, message, mend, video))
            files[stream] = FeatureFile.open(path)
        except DataError as reason:
            found += [replace(finding, video=video) for finding in reason.findings]
        except OSError as reason:  # the name is too long, the disk is gone, ..
            found.append(error("unreadable", path, str(reason), mend, video))
    return files, found


def open_halves(
    path: Path, order: Sequence[str], video: str, mend: str
) -> tuple[dict[str, FileHalf], list[Finding]]:
    """The streams of one file of shape (T, 2 D), by the order of its halves; see `open_streams`."""
    files, found = open_streams({"both": path}, video, mend)
    if not files:
        return {}, [replace(f, message=f.message.replace("no both", "no")) for f in found]
    file = files["both"]
    if len(file.shape) != 2 or file.shape[1] % 2 or file.dtype.kind != "f":
        message = f"{file.dtype} of shape {file.shape} where floats (T, rgb and flow) are expected"
        mend = "Save one row per snippet, both streams side by side, without pickle"
        return {}, [error("array", path, message, mend, video)]
    return {stream: FileHalf(file, half) for half, stream in enumerate(order)}, []


def half_of(array: np.ndarray, half: int) -> np.ndarray:
    """(T, D), the first (0) or second (1) half of the columns of (T, 2 D)."""
    width = array.shape[1] // 2
    return array[:, half * width : (half + 1) * width]


def contents(videos: Sequence[Video]) -> list[tuple]:
    """What decides the features of videos on disk, for the fingerprint of a data set: of each
    stream the hash of its whole file, and what is read of it.
    """
    parts = [(v.id, stream, p) for v in videos for stream, p in v.features.parts.items()]
    hashes = digests({part.path for _, _, part in parts})
    return [(video, stream, part.taken, hashes[part.path]) for video, stream, part in parts]


def stream_folders(home: Path) -> tuple[dict[str, Path], list[Finding]]:
    """The folder of each stream, rgb and flow however they are capitalised, and what is beside.

    Args:
        home: holds a folder for each stream.

    Raises:
        DataError: two folders are of one stream.
    """
    streams = {}
    for path in sorted(p for p in home.iterdir() if p.is_dir() and not is_hidden(p.name)):
        name = path.name.lower() if path.name.lower() in STREAMS else path.name
        if name in streams:
            message = f"folders {streams[name].name} and {path.name} are of one stream, {name}"
            raise DataError(error("streams", home, message, "Keep the one to be used"))
        streams[name] = path
    loose = sorted(path.name for path in visible(home, "*.npy") if path.is_file())
    if not streams or not loose:
        return streams, []
    folders = f"the folders of the streams {', '.join(streams)}"
    message = f"{len(loose)} arrays beside {folders} ({few(loose)})"
    mend = "They are not used; move them into the folder of their stream, or the folders away"
    return streams, [warning("loose", home, message, mend)]


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
    try:
        row = np.asarray(value)
        # videos of one length make numpy store one object array of numbers
        with np.errstate(over="ignore"):  # too large values are found with their row
            return row.astype(np.float32) if row.dtype == object and row.ndim == 2 else row
    except (TypeError, ValueError, OverflowError):
        return np.empty(())
