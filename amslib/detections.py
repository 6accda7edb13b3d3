"""Detections: the end of inference, the input of every evaluator, and how files hold them.

Two json schemas are read, plain or gzipped (a name that ends in .gz), times in seconds:

* one file for both sides, ``{"ground_truth": {video: {"annotations": [{"segment", "label"}],
  "ambiguous": [[s, e]], "duration"}}, "detections": {video: [{"segment", "label", "score"}]}}``,
  where "ambiguous" and "duration" may be missing;
* ActivityNet's two, ``{"version", "results": {video: [{"segment", "label", "score"}]},
  "external_data"}`` and ``{"database": {video: {"subset", "annotations", ..}}}``.

Names are read in Unicode's NFC form, those of classes with one space between words, and are else
taken as they stand. ActivityNet's files leave out the "v_" that its video files begin with, so
rename one side if yours do not; `evaluate` warns when no name fits.
"""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from .data.annotated import Annotations, split
from .data.arrays import HARMLESS, PACKED
from .data.database import AMBIGUOUS
from .data.findings import DataError, DataNotFoundError, error
from .data.values import class_name, finite, nfc, pair_of_times, parse_json, shown
from .data.video import Video
from .files import write_whole


class Detection(NamedTuple):
    """One proposal (s, e, c, p) of Sec. III-A: times in seconds, a class name, a score."""

    video: str
    label: str
    start: float
    end: float
    score: float


def read_detections(path: str | Path) -> list[Detection]:
    """Detections in file order (which decides between equal scores), starts after ends included.

    Args:
        path: a json file with "detections" or with ActivityNet's "results".

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not json or holds no detections, or one of them is incomplete, not finite
            or of no class; the message names file, video and position in the video's list.
    """
    file = Path(path)
    found = []
    for video, entries in _part(file, ("detections", "results")).items():
        rows = _rows(file, video, entries, "detection", ("score",))
        found += [Detection(nfc(video), *row) for row in rows]
    return found


def read_ground_truth(path: str | Path, subset: str | None = None) -> list[Video]:
    """Videos with their segments, in file order, without features; segments may be strings.

    Args:
        path: a json file with "ground_truth" or with ActivityNet's "database".
        subset: which subset of the database, upper or lower case. By default the part that is for
            testing: what is neither for training nor withheld, i.e. "validation" beside "training",
            but "test" beside "validation" (see `amslib.data.annotated.SPLITS`); everything if the
            file names no subset or only one.

    Returns:
        Videos with `id`, `labels`, `segments`, `ambiguous` (intervals of the label "Ambiguous"
        belong there too) and, if the file has it, `duration`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not json or holds no ground truth, an entry cannot be read, or there is no
            such subset; the message names file and video.
    """
    file = Path(path)
    entries = _part(file, ("ground_truth", "database"))
    videos = [_video(file, name, entry) for name, entry in entries.items()]
    subsets = [str(entry.get("subset", "")).lower() for entry in entries.values()]
    names = sorted(set(subsets))
    if subset is None and len(names) > 1:
        return list(split(Annotations(videos, subsets, (), []), file)[1])
    if subset is not None and subset.lower() not in names:
        message = f"subset {subset!r} where one of {names} was expected"
        raise DataError(error("subset", file, message, "Name one of them, or none"))
    return [
        v for v, s in zip(videos, subsets, strict=True) if subset is None or s == subset.lower()
    ]


def _video(file, name, entry) -> Video:
    try:
        withheld = {"annotations": []} if "subset" in entry else {}
        annotations, apart = (withheld | entry)["annotations"], entry.get("ambiguous", [])
        if not isinstance(annotations, list) or not isinstance(apart, list):
            raise TypeError
        annotations = annotations + [{"segment": pair, "label": AMBIGUOUS} for pair in apart]
        duration = entry.get("duration")
        duration = None if duration is None else finite(duration)
    except (KeyError, TypeError, ValueError, AttributeError):
        message = f"an entry that cannot be read: {shown(entry)}"
        mend = 'Give it "annotations": [..], and "duration" in seconds or not at all'
        raise DataError(error("entry", file, message, mend, name)) from None
    rows = _rows(file, name, annotations, "annotation")
    return Video(
        nfc(name),
        labels=tuple(sorted({label for label, *_ in rows} - {AMBIGUOUS})),
        segments=tuple((s, e, label) for label, s, e in rows if label != AMBIGUOUS),
        ambiguous=tuple((s, e) for label, s, e in rows if label == AMBIGUOUS),
        duration=duration,
    )


def _rows(file, video, entries, what, others=()) -> list[tuple]:
    """(label, start, end, *others) of every entry of one video."""
    if not isinstance(entries, list):
        message = f"{shown(entries)} where a list was expected"
        raise DataError(error("list", file, message, f"Write one entry per {what}", video))
    rows = []
    for i, entry in enumerate(entries):
        try:
            times, label = pair_of_times(entry["segment"]), class_name(entry["label"])
            rows.append((label, *times, *(finite(entry[key]) for key in others)))
        except (KeyError, TypeError, ValueError):
            fields = ['"segment": [start, end]', '"label": name', *(f'"{k}": x' for k in others)]
            message = f"{what} {i} (the first is 0) is {shown(entry)}"
            mend = f"Write {{{', '.join(fields)}}} with finite numbers and the name of a class"
            raise DataError(error(what, file, message, mend, video)) from None
    return rows


def write_detections(detections: Iterable[Detection], path: str | Path) -> None:
    """Write ActivityNet's results json, gzipped if the name ends in .gz.

    The order within a video is kept. Equal input makes equal files, byte for byte.

    Raises:
        ValueError: a time or score is not finite; nothing is written.
        OSError: the file cannot be written; an older one of this name stays.
    """
    file, results = Path(path), {}
    for row in detections:
        start, end, score = (float(x) for x in row[2:])
        if not all(map(math.isfinite, (start, end, score))):
            mend = "Correct it or leave it out"
            raise DataError(error("detection", file, f"{row} is not finite", mend, row.video))
        entry = {"segment": [start, end], "label": row.label, "score": score}
        results.setdefault(row.video, []).append(entry)
    content = {"version": "VERSION 1.3", "results": results, "external_data": {}}
    data = json.dumps(content).encode()
    write_whole({file: gzip.compress(data, mtime=0) if file.suffix == ".gz" else data})


def _part(file: Path, keys: tuple[str, str]) -> dict:
    """What a json file holds under one of the keys, by video."""
    content = _read(file)
    there = list(content) if isinstance(content, dict) else []
    key = next((key for key in keys if key in there), None)
    if key is None:
        message = f'neither "{keys[0]}" nor "{keys[1]}" in it, but {shown(there or content)}'
        raise DataError(error("schema", file, message, "Give a file of one of these forms"))
    if not isinstance(content[key], dict):
        message = f'"{key}" is {shown(content[key])} where {{video: ..}} was expected'
        raise DataError(error("schema", file, message, "Name the video of each list"))
    return content[key]


def _read(file: Path):
    if not file.is_file():
        raise DataNotFoundError(
            error("not found", file, "no such file", "Give the path of a json file")
        )
    try:
        text = _unpacked(file) if file.suffix == ".gz" else file.read_bytes()
        return parse_json(text)
    except (OSError, EOFError, zlib.error, ValueError) as reason:
        message = f"cannot be read as json, plain or (named .gz) gzipped: {reason}"
        mend = "Give another file, or write it anew"
        raise DataError(error("json", file, message, mend)) from None


def _unpacked(file: Path) -> bytes:
    most = max(HARMLESS, PACKED * file.stat().st_size)
    with gzip.open(file) as stream:
        text = stream.read(most + 1)
    if len(text) > most:
        raise ValueError(f"over {most} bytes in {file.stat().st_size}, which is no text")
    return text
