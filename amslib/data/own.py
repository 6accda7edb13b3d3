"""Your own files: labels.csv, segments.csv if there are any, and a folder of arrays.

``labels.csv`` has the columns video, subset ("train" or "test"), labels (several are separated by
";", none is fine for a test video) and, if known, duration in seconds; it alone says what the
classes are and what training sees. ``segments.csv`` has the columns video, start, end, label, in
seconds; a test video without labels has those of its segments. Entries are separated by commas,
semicolons or tabs. The features are ``features/<stream>/<video>.npy`` with streams of any name (rgb
and flow in capitals or not), or ``features/<video>.npy``, one stream called "features"; all of
shape (T, D).
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from .annotated import Annotations, in_order, subset_names
from .features import Features, contents, open_streams, stream_folders
from .findings import DataError, Finding, error, warning
from .layout import Layout, Scan
from .values import class_name, finite, is_missing, nfc, read_text, shown, tidy
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
    file, table, home = (folder / name for name in ("labels.csv", "segments.csv", "features"))
    streams, findings = stream_folders(home)
    streams = streams or {ONE: home}
    segments, found = _segments(table)
    findings += found
    rows, found = _labels(file)
    findings += found
    classes = tuple(sorted({name for _, labels, _ in rows.values() for name in labels}))
    for video in sorted(segments.keys() - rows.keys()):
        message = "segments of a video that labels.csv does not name"
        findings.append(error("unlisted", table, message, "Name it", video))
    videos, warned = {part: [] for part in PARTS}, set()
    for video, (part, labels, duration) in rows.items():
        paths = {stream: path / f"{video}.npy" for stream, path in streams.items()}
        parts, missing = open_streams(paths, video, "Add it, or take the video out of labels.csv")
        findings += missing
        rows_of_video = tuple(segments.get(video, ()))
        if part == "test" and not labels:
            labels = {label for _, _, label in rows_of_video} & set(classes)
        features = Features(video, parts, warned)
        about = dict(labels=in_order(labels, ()), segments=rows_of_video, duration=duration)
        videos[part].append(Video(video, features, snippet_seconds=snippet_seconds, **about))
    train, test = (tuple(videos[part]) for part in PARTS)
    findings += _transposed((*train, *test))
    mark = fingerprint(classes, train, test, contents((*train, *test)))
    dataset = Dataset(folder.name, classes, train, test, mark)
    return Scan(dataset, findings, file, segments=table if table.exists() else None)


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
    table = list(_table(file, ("video", "subset", "labels"), ("duration",)))
    parts = _parts([row["subset"] for _, row in table])
    for (number, row), part in zip(table, parts, strict=True):
        video, names = row["video"], [tidy(name) for name in row["labels"].split(";")]
        absent = [name for name in names if name and is_missing(name)]
        if absent:
            message = f"line {number}: {shown(absent[0])} is read as no label"
            mend = "Leave the entry empty, or name a class"
            findings.append(warning("missing", file, message, mend, video))
        try:
            duration = finite(row["duration"]) if row.get("duration") else None
        except ValueError:
            message = "duration is no number of seconds; leave it empty if it is unknown"
            findings.append(_wrong(file, number, row, message, video))
            continue
        if part is None:
            findings.append(_wrong(file, number, row, "subset is neither train nor test", video))
        elif not video or video in rows:
            message = "video is named twice" if video else "video has no name"
            findings.append(_wrong(file, number, row, message, video))
        else:
            labels = tuple(name for name in names if not is_missing(name))
            rows[video] = part, labels, duration
    return rows, findings


def _parts(subsets: list[str]) -> list[str | None]:
    """ "train" or "test" of each subset; "validation" is what the other one is not."""
    names = ["train" if name == "training" else name for name in subset_names(subsets)]
    others = set(names) & set(PARTS)
    validation = set(PARTS) - others if len(others) == 1 else {None}
    part = {"train": "train", "test": "test", "validation": validation.pop()}
    return [part.get(name) for name in names]


def _segments(file: Path) -> tuple[dict[str, list[tuple]], list[Finding]]:
    """The segments of each video; none where there is no file."""
    segments, findings = {}, []
    if not file.exists():
        return segments, findings
    for number, row in _table(file, ("video", "start", "end", "label")):
        try:
            times = [_seconds(row, name) for name in ("start", "end")]
            segments.setdefault(row["video"], []).append((*times, class_name(row["label"])))
        except ValueError as reason:
            findings.append(_wrong(file, number, row, str(reason), row["video"]))
    return segments, findings


def _seconds(row, name) -> float:
    try:
        return finite(row[name])
    except ValueError:
        raise ValueError(f"{name} is no number of seconds, such as 12.5") from None


def _wrong(file, number, row, message, video) -> Finding:
    line = shown(",".join(row.values()))[1:-1]
    return error("row", file, f"line {number} ({line}): {message}", "Correct the line", video)


def _table(file: Path, required: tuple[str, ...], optional: tuple[str, ...] = ()):
    """Line numbers and rows of a csv file, without spaces around the entries.

    Raises:
        DataError: there is no such file, its header is another, or a row has too many or few
            entries.
    """
    try:
        text = read_text(file)
        separator = max(",;\t", key=text.partition("\n")[0].count)  # "," of equals
        lines = csv.reader(io.StringIO(text), delimiter=separator, strict=True)
        table = [(lines.line_num, [nfc(x.strip()) for x in row]) for row in lines]
    except (OSError, ValueError, csv.Error) as reason:
        raise DataError(error("csv", file, f"no csv file ({reason})", "Save it as UTF-8")) from None
    (_, first), *rows = table or [(0, [])]
    header = [name.lower() for name in _without_end(first, 0)]
    allowed = set(required) | set(optional)
    if not set(required) <= set(header) <= allowed or len(set(header)) < len(header):
        line = shown(separator.join(first))
        message = f"the first line is {line} where {','.join(required)} was expected"
        mend = f"Write that line, entries separated by commas ({', '.join(optional)} may follow)"
        raise DataError(error("header", file, message, mend if optional else mend.split(" (")[0]))
    for number, row in ((number, _without_end(row, len(header))) for number, row in rows):
        if not any(row):
            continue
        if len(row) != len(header):
            message = f"line {number} has {len(row)} entries where {len(header)} were expected"
            mend = (
                f'Give each column one entry; put "quotes" around one that has {_name(separator)}'
            )
            raise DataError(error("row", file, message, mend))
        yield number, dict(zip(header, row, strict=True))


def _without_end(row: list[str], length: int) -> list[str]:
    """The row without the empty columns that a spreadsheet leaves behind the last one."""
    while len(row) > length and not row[-1]:
        row = row[:-1]
    return row


def _name(separator: str) -> str:
    return {",": "a comma", ";": "a semicolon", "\t": "a tab"}[separator]


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
