"""Detections: the end of inference, the input of every evaluator, and how files hold them.

Two json schemas are read, plain or gzipped (a name that ends in .gz), times in seconds:

* one file for both sides, ``{"ground_truth": {video: {"annotations": [{"segment", "label"}],
  "ambiguous": [[s, e]], "duration"}}, "detections": {video: [{"segment", "label", "score"}]}}``,
  where "ambiguous" and "duration" may be missing;
* ActivityNet's two, ``{"version", "results": {video: [{"segment", "label", "score"}]},
  "external_data"}`` and ``{"database": {video: {"subset", "annotations", ..}}}``.

Names are read in Unicode's NFC form, those of classes with one space between words, and are else
taken as they stand. ActivityNet's files leave out the "v_" that its video files begin with, so
rename one side if yours do not; `evaluate` warns of names that only one side has.
"""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from .data.annotated import SPLITS, Annotations, split
from .data.arrays import HARMLESS, PACKED
from .data.database import AMBIGUOUS
from .data.findings import DataError, DataNotFoundError, error
from .data.truth import read_annotated
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
    for video, entries in _part(file, _read(file), ("detections", "results")).items():
        rows = _rows(file, video, entries, "detection", ("score",))
        found += [Detection(nfc(video), *row) for row in rows]
    return found


def read_ground_truth(path: str | Path, subset: str | None = None) -> list[Video]:
    """Videos with their segments, in file order, without features; segments may be strings.

    Args:
        path: a json file with "ground_truth" or with ActivityNet's "database"; or a folder that
            `load` takes, whose features are not read and may be absent, its ``segments.csv`` with
            ``labels.csv`` beside it, or its ``dataset.json``.
        subset: which subset of the database, upper or lower case. By default the part that is for
            testing: what is neither for training nor withheld, i.e. "validation" beside "training",
            but "test" beside "validation" (see `amslib.data.annotated.SPLITS`); everything if the
            file names no subset or only one.

    Returns:
        Videos with `id`, `labels`, `segments`, `ambiguous` (intervals of the label "Ambiguous"
        belong there too) and, if the file has it, `duration`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no ground truth, an entry cannot be read, there is no such subset, or
            its annotations are withheld; the message names file, video or subset.
    """
    file = Path(path).expanduser()
    content = {} if (other := file.is_dir() or file.suffix == ".csv") else _read(file)
    if other or (isinstance(content, dict) and {"format", "videos"} <= content.keys()):
        annotations = read_annotated(file)
        errors = [finding for finding in annotations.findings if finding.level == "error"]
        if errors:
            raise DataError(*errors)
        return _chosen(file, annotations.videos, annotations.subsets, subset)
    entries = _part(file, content, ("ground_truth", "database"))
    subsets = [_subset(entry) for entry in entries.values()]
    annotated = {s for s, e in zip(subsets, entries.values(), strict=True) if _annotations(e)}
    videos = [
        _video(file, name, entry, bool(annotated) and s != "" and s not in annotated)
        for s, (name, entry) in zip(subsets, entries.items(), strict=True)
    ]
    return _chosen(file, videos, subsets, subset)


def _subset(entry) -> str:
    return str(entry.get("subset", "")).lower() if isinstance(entry, dict) else ""


def _annotations(entry) -> list:
    return entry.get("annotations") if isinstance(entry, dict) else []


def _chosen(file, videos: list[Video], subsets: list[str], subset: str | None) -> list[Video]:
    """The videos of a subset, by default of the one that is for testing."""
    names, by_default = sorted(set(subsets)), subset is None
    if by_default and len(names) > 1:
        split(Annotations(videos, subsets, (), []), file)  # raises where nothing is for testing
        subset = next(test for pair in SPLITS for test in pair[1:] if set(pair) <= set(names))
    if by_default and subset is None:
        return videos
    if names == [""]:
        message, mend = f"subset {subset!r}, but the file names no subset", "Leave the subset out"
        raise DataError(error("subset", file, message, mend))
    if subset.lower() not in names:
        message = f"subset {subset!r} where one of {names} was expected"
        raise DataError(error("subset", file, message, "Name one of them, or none"))
    chosen = [v for v, s in zip(videos, subsets, strict=True) if s == subset.lower()]
    others = {s for v, s in zip(videos, subsets, strict=True) if v.segments}
    if others and not any(v.segments for v in chosen):
        which = f"subset {subset!r}{', the default,' if by_default else ''}"
        message = f"none of the {len(chosen)} videos of {which} has a segment; of {names}, "
        message += f"{' and '.join(sorted(others))} {'has' if len(others) == 1 else 'have'} some"
        best = next((s for s in ("val", "validation") if s in others), min(others))
        mend = f"Choose another, e.g. --subset {best} on the command line"
        raise DataError(error("subset", file, message, mend))
    return chosen


def _video(file, name, entry, withheld: bool) -> Video:
    try:
        annotations = entry.get("annotations", []) if withheld else entry["annotations"]
        apart = entry.get("ambiguous", [])
        if not isinstance(annotations, list) or not isinstance(apart, list):
            raise TypeError
        annotations = annotations + [{"segment": pair, "label": AMBIGUOUS} for pair in apart]
        duration = finite(entry["duration"]) if "duration" in entry else None
        if duration is not None and duration <= 0 or not isinstance(entry.get("subset", ""), str):
            raise ValueError
    except (KeyError, TypeError, ValueError, AttributeError):
        message = f"an entry that cannot be read: {shown(entry)}"
        mend = 'Give it "annotations": [..]; "subset", a text, and "duration", in seconds (> 0), '
        mend += "may be left out"
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
            # some annotations of the field write times as strings, detections never do
            if others and any(isinstance(x, str) for x in (*entry["segment"], entry["score"])):
                raise TypeError
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


def _part(file: Path, content, keys: tuple[str, str]) -> dict:
    """What the content of a json file has under one of the keys, by video."""
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
            error("not found", file, "no such file", "Give the path of one that is there")
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
