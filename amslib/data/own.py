"""Your own files: labels.csv, segments.csv if there are any, and a folder of arrays.

``labels.csv`` has the columns video, subset ("train" or "test"), labels (several are separated by
";", none is fine for a test video) and, if known, duration in seconds. ``segments.csv`` has the
columns video, start, end, label, in seconds; training never reads it. The features are
``features/<stream>/<video>.npy`` with streams of any name, or ``features/<video>.npy``, one stream
called "features"; all of shape (T, D).
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from .annotated import Annotations, finite, in_order, read_text
from .features import Features, headers, open_streams
from .findings import DataError, Finding, error
from .layout import Layout, Scan
from .video import SNIPPET_SECONDS, Dataset, Video, fingerprint

PARTS = ("train", "test")
ONE = "features"  # the name of a stream that has none


def scan(folder: Path, *, snippet_seconds=SNIPPET_SECONDS) -> Scan:
    """The data set of a folder, from the two tables and the headers of the feature files.

    Args:
        folder: holds the files above.
        snippet_seconds: seconds from one snippet to the next.

    Raises:
        DataError: a file is missing or cannot be read.
    """
    file, home = folder / "labels.csv", folder / "features"
    streams = {p.name: p for p in sorted(home.iterdir()) if p.is_dir()} or {ONE: home}
    segments, findings = _segments(folder / "segments.csv")
    rows, found = _labels(file)
    findings += found
    for video in sorted(segments.keys() - rows.keys()):
        message = "segments of a video that labels.csv does not name"
        findings.append(error("unlisted", folder / "segments.csv", message, "Name it", video))
    videos, warned = {part: [] for part in PARTS}, set()
    for video, (part, labels, duration) in rows.items():
        paths = {stream: path / f"{video}.npy" for stream, path in streams.items()}
        parts, missing = open_streams(paths, video, "Add it, or take the video out of labels.csv")
        findings += missing
        shown = tuple(segments.get(video, ()))
        labels = in_order((*labels, *(label for _, _, label in shown)), ())
        features = Features(video, parts, warned)
        about = dict(labels=labels, segments=shown, duration=duration)
        videos[part].append(Video(video, features, snippet_seconds=snippet_seconds, **about))
    train, test = (tuple(videos[part]) for part in PARTS)
    findings += _transposed((*train, *test))
    classes = tuple(sorted({label for v in (*train, *test) for label in v.labels}))
    mark = fingerprint(classes, train, test, headers((*train, *test)))
    return Scan(Dataset(folder.name, classes, train, test, mark), findings, file)


def annotated(folder: Path) -> Annotations:
    """What the two tables say, without the features.

    Raises:
        DataError: a table is missing or cannot be read.
    """
    segments, findings = _segments(folder / "segments.csv")
    rows, found = _labels(folder / "labels.csv")
    findings += found
    for video in sorted(segments.keys() - rows.keys()):
        message = "segments of a video that labels.csv does not name"
        findings.append(error("unlisted", folder / "segments.csv", message, "Name it", video))
    videos = [
        Video(name, labels=labels, segments=tuple(segments.get(name, ())), duration=duration)
        for name, (_, labels, duration) in rows.items()
    ]
    classes = {label for v in videos for label in (*v.labels, *(s[2] for s in v.segments))}
    subsets = [part for part, _, _ in rows.values()]
    return Annotations(videos, subsets, tuple(sorted(classes)), findings)


def _labels(file: Path) -> tuple[dict[str, tuple], list[Finding]]:
    """Subset, labels and duration of each video, in the order of the file."""
    rows, findings = {}, []
    for number, row in _table(file, ("video", "subset", "labels"), ("duration",)):
        video, part = row["video"], row["subset"]
        labels = tuple(name.strip() for name in row["labels"].split(";") if name.strip())
        try:
            duration = finite(row["duration"]) if row.get("duration") else None
        except (TypeError, ValueError):
            findings.append(_wrong(file, number, row, "duration is no number", video))
            continue
        if part not in PARTS:
            findings.append(_wrong(file, number, row, "subset is neither train nor test", video))
        elif not video or video in rows:
            message = "video is named twice" if video else "video has no name"
            findings.append(_wrong(file, number, row, message, video))
        else:
            rows[video] = part, labels, duration
    return rows, findings


def _segments(file: Path) -> tuple[dict[str, list[tuple]], list[Finding]]:
    """The segments of each video; none where there is no file."""
    segments, findings = {}, []
    if not file.exists():
        return segments, findings
    for number, row in _table(file, ("video", "start", "end", "label")):
        try:
            segment = finite(row["start"]), finite(row["end"]), row["label"]
            if not row["label"]:
                raise ValueError
        except (TypeError, ValueError):
            message = "start and end are no numbers of seconds, or there is no label"
            findings.append(_wrong(file, number, row, message, row["video"]))
            continue
        segments.setdefault(row["video"], []).append(segment)
    return segments, findings


def _wrong(file, number, row, message, video) -> Finding:
    shown = ",".join(row.values())
    return error("row", file, f"line {number} ({shown}): {message}", "Correct the line", video)


def _table(file: Path, required: tuple[str, ...], optional: tuple[str, ...] = ()):
    """Line numbers and rows of a csv file, without spaces around the entries.

    Raises:
        DataError: there is no such file, its header is another, or a row has too many or few
            entries.
    """
    try:
        lines = csv.reader(io.StringIO(read_text(file)), strict=True)
        header = [name.strip() for name in next(lines, [])]
        rows = [(lines.line_num, [x.strip() for x in row]) for row in lines if any(row)]
    except (OSError, ValueError, csv.Error) as reason:
        raise DataError(error("csv", file, f"no csv file ({reason})", "Save it as UTF-8")) from None
    allowed = set(required) | set(optional)
    if not set(required) <= set(header) <= allowed or len(set(header)) < len(header):
        message = f"the first line is {','.join(header)!r} where {','.join(required)} was expected"
        mend = f"Write that line, entries separated by commas ({', '.join(optional)} may follow)"
        raise DataError(error("header", file, message, mend if optional else mend.split(" (")[0]))
    for number, row in rows:
        if len(row) != len(header):
            message = f"line {number} has {len(row)} entries where {len(header)} were expected"
            mend = 'Give each column one entry; put "quotes" around one that has a comma'
            raise DataError(error("row", file, message, mend))
        yield number, dict(zip(header, row, strict=True))


def _transposed(videos) -> list[Finding]:
    """Arrays that look like (D, T): the first axis is the same throughout, the second is not."""
    shapes = [part.shape for v in videos for part in v.features.parts.values()]
    if len(shapes) < 3 or any(len(shape) != 2 for shape in shapes):
        return []
    rows, columns = (np.unique([shape[axis] for shape in shapes]) for axis in (0, 1))
    if len(rows) > 1 or len(columns) < 3:
        return []
    path = next(part.path for v in videos for part in v.features.parts.values())
    message = f"every array has {rows[0]} rows and another number of columns: (D, T)"
    return [error("transposed", path, message, "Save each as (T, D), a row for each snippet")]


LAYOUT = Layout("Your own files", ("labels.csv", "features"), scan)
