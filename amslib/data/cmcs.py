"""CMCS's layout: the organisers' text files of THUMOS14, and one npz for each video and stream.

The files lie in folders of any name: ``*/<Class>_{val,test}.txt`` with lines "video start end"
(``Ambiguous_{val,test}.txt`` likewise), and ``*/<video>-{rgb,flow}.npz`` with "feature", of shape
(A, T, D) for A crops, and "frame_cnt". The crops are averaged. ``meta.json`` may give
``{video: {"fps": .., "duration_s": ..}}``. Videos with ambiguous intervals alone are left out.

Row t sees the 16 frames from frame 4 t on, at the video's native frame rate. CMCS itself puts the
row at its first frame; here, as for ActionFormer's features, at the centre of what it sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from .actionformer import RATES, STRIDES, hint, timing_of
from .annotated import in_order, read_intervals, read_json
from .arrays import read_member, read_member_header
from .database import AMBIGUOUS
from .features import STREAMS, Features, contents
from .findings import DataError, Finding, error, warning
from .layout import Layout, Scan
from .paths import visible
from .rules import Fix
from .values import class_name, finite, nfc, shown
from .video import Dataset, Video, fingerprint

PARTS = {"train": "val", "test": "test"}
USUAL_FPS = 30.0  # of 399 of the 412 videos of THUMOS14


@dataclass(frozen=True)
class Crops:
    """One stream of one video, averaged over its crops; every `every`-th row is kept."""

    path: Path
    shape: tuple[int, int]
    dtype: np.dtype
    every: int
    taken = property(lambda self: (self.every,))

    def read(self) -> np.ndarray:
        """(T, D), read and averaged anew each time: members of an npz cannot be memory-mapped."""
        crops = read_member(self.path, "feature")[:, :: self.every]
        with np.errstate(over="ignore"):  # too large values are found with their row
            return crops[0] if len(crops) == 1 else crops.mean(0, np.float32).astype(self.dtype)


def scan(folder: Path, *, stride=4, window=16, every=4, fps=None) -> Scan:
    """The data set of a folder, from annotations and the headers of the feature files.

    Args:
        folder: holds the folders above.
        stride: frames from one row to the next.
        window: frames each row sees.
        every: keep one row in so many; the published 4 makes a step of 16 frames.
        fps: frames per second of all videos; default those of ``meta.json``, or 30.

    Raises:
        DataError: a file is missing or cannot be read.
    """
    if every != int(every):
        raise ValueError(f"every is {every!r}; it must be a whole number of rows")
    meta, findings, warned, videos = _meta(folder / "meta.json"), [], set(), {}
    homes = _homes(folder)
    for part, suffix in PARTS.items():
        videos[part] = []
        for name, rows in sorted(_annotations(folder, suffix).items()):
            parts, frames, found = _open(homes.get(name, {}), name, folder, int(every))
            findings += found
            if not (fps or meta.get(name, {}).get("fps")):
                mend = "Put its fps into meta.json, or pass fps=.."
                message = f"frame rate unknown, taken to be {USUAL_FPS:g}"
                findings.append(warning("fps", folder / "meta.json", message, mend, name))
            segments = tuple(row for row in rows if row[2] != AMBIGUOUS)
            video = Video(
                name,
                Features(name, parts, warned),
                labels=in_order((row[2] for row in segments), ()),
                segments=segments,
                ambiguous=tuple(row[:2] for row in rows if row[2] == AMBIGUOUS),
                metadata=meta.get(name, {}) | {"frames": frames},
            )
            videos[part].append(retimed(video, stride, window, every, fps))
    train, test = (tuple(videos[part]) for part in PARTS)
    classes = tuple(sorted({label for v in (*train, *test) for label in v.labels}))
    mark = fingerprint(classes, train, test, contents((*train, *test)))
    return Scan(Dataset(folder.name, classes, train, test, mark), findings, folder)


def retimed(video: Video, stride: float, window: float, every: float, fps: float | None) -> Video:
    """A video whose rows are `stride` times `every` frames apart, its frame rate as in `scan`."""
    about = video.metadata
    rate, frames = fps or about.get("fps") or USUAL_FPS, about["frames"]
    duration = about.get("duration_s") or (frames and frames / rate)
    return replace(video, duration=duration, **timing_of(stride * every, window, rate))


def fixes(videos: Sequence[Video], options: Mapping) -> list[Fix]:
    """Other frame rates, and other strides."""
    used = {"stride": 4, "window": 16, "every": 4, "fps": None} | dict(options)
    others = [{"fps": x} for x in RATES] + [{"stride": x} for x in STRIDES]
    return [Fix(hint(other), partial(retimed, **used | other)) for other in others]


def _annotations(folder: Path, suffix: str) -> dict[str, list[tuple[float, float, str]]]:
    """Rows (start_s, end_s, label) of each video with an instance of a class, class by class."""
    rows = {}
    for file in sorted(visible(folder, f"*/*_{suffix}.txt")):
        label = _label(file, suffix)
        for video, start, end in read_intervals(file):
            rows.setdefault(video, []).append((start, end, label))
    return {v: found for v, found in rows.items() if any(row[2] != AMBIGUOUS for row in found)}


def _label(file: Path, suffix: str) -> str:
    try:
        return class_name(file.name.removesuffix(f"_{suffix}.txt"))
    except ValueError as reason:
        raise DataError(error("class list", file, str(reason), "Rename the file")) from None


def _homes(folder: Path) -> dict[str, dict[str, list[Path]]]:
    """Files of each stream of each video."""
    homes = {}
    for stream in STREAMS:
        for path in sorted(visible(folder, f"*/*-{stream}.npz")):
            name = nfc(path.name.removesuffix(f"-{stream}.npz"))
            homes.setdefault(name, {}).setdefault(stream, []).append(path)
    return homes


def _open(files, video, folder, every) -> tuple[dict[str, Crops], float | None, list[Finding]]:
    """The streams of a video by their headers, its frames, and what is wrong."""
    parts, frames, found = {}, None, []
    for stream in STREAMS:
        paths = files.get(stream, [])
        if len(paths) != 1:
            message = f"{len(paths)} files {video}-{stream}.npz where one was expected"
            mend = "Keep one kind of features, and take videos without out of the text files"
            found.append(error("no features", folder, message, mend, video))
            continue
        try:
            parts[stream], frames = _crops(paths[0], stream, every)
        except DataError as reason:
            found += [
                Finding(f.level, f.problem, f.file, f.message, f.mend, video)
                for f in reason.findings
            ]
    return parts, frames, found


def _crops(path: Path, stream: str, every: int) -> tuple[Crops, float]:
    shape, dtype = read_member_header(path, "feature")
    if len(shape) != 3 or not shape[0] or dtype.kind != "f":
        message = f"{stream} is {dtype} of shape {shape} where floats (crops, T, D) are expected"
        raise DataError(error("array", path, message, "Extract the video again"))
    frames = read_member(path, "frame_cnt")
    if frames.size != 1 or frames.dtype.kind not in "iu" or frames.item() <= 0:
        message = f"frame_cnt is {frames!r} where a number was expected"
        raise DataError(error("frames", path, message, "Extract the video again"))
    kept = len(range(0, shape[1], every))
    return Crops(path, (kept, shape[2]), dtype, every), float(frames.item())


def _meta(file: Path) -> dict[str, dict[str, float]]:
    """Frame rate and duration of each video, where the file is there."""
    if not file.is_file():
        return {}
    content, meta = read_json(file), {}
    try:
        for video, about in content.items():
            known = {key: about.get(key) for key in ("fps", "duration_s")}
            about = {key: finite(x) for key, x in known.items() if x is not None}
            if min(about.values(), default=1) <= 0:
                raise ValueError(f"{video}: {about}")
            meta[nfc(video)] = about
    except (TypeError, ValueError, AttributeError) as reason:
        message = f'no json {{video: {{"fps": .., "duration_s": ..}}}} ({shown(reason, 300)})'
        raise DataError(error("json", file, message, "Correct it, or take it away")) from None
    return meta


LAYOUT = Layout(
    "CMCS",
    ("*/*_val.txt", "*/*_test.txt", "*/*-rgb.npz", "*/*-flow.npz"),
    scan,
    "stride, every, window or fps",
    fixes,
)
