"""W-TALC's layout: ``X-I3D-JOINTFeatures.npy`` beside a folder ``X-Annotations`` of arrays.

Video-level labels are the classes of a video's instances, also where ``labels_all.npy`` differs
(28 of 412 THUMOS14 videos); that file serves the videos that have no instance.
``extracted_fps.npy`` is wrong in the releases and is not read.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from .annotated import Annotations, class_list, in_order, instances, read_intervals, split
from .arrays import read_array, read_header
from .features import STREAMS, Features, JointFile, JointHalf, contents
from .findings import DataError, Finding, error, warning
from .layout import Layout, Scan, only
from .paths import visible
from .values import class_names, finite, nfc, shown
from .video import SNIPPET_SECONDS, Dataset, Video, fingerprint

FEATURES, ANNOTATIONS = "-I3D-JOINTFeatures.npy", "-Annotations"
REQUIRED = ("videoname", "subset", "labels", "segments")  # one entry per video
OPTIONAL = ("labels_all", "duration")


def scan(folder: Path, *, snippet_seconds=SNIPPET_SECONDS, stream_order=STREAMS) -> Scan:
    """The data set of one joint feature file; the features stay unread.

    Args:
        folder: holds the file and its folder of annotations.
        snippet_seconds: seconds from one snippet to the next.
        stream_order: stream of the first and of the second half of the columns.

    Raises:
        DataError: a file is missing or cannot be read.
    """
    file = only(folder, f"*{FEATURES}")
    name = file.name[: -len(FEATURES)]
    folder = file.with_name(name + ANNOTATIONS)
    annotations = read_annotation_folder(folder)
    header = read_header(file)
    ids = tuple(v.id for v in annotations.videos)
    if header.shape[:1] != (len(ids),):
        message = f"features of shape {header.shape} where videoname.npy names {len(ids)} videos"
        raise DataError(error("joint", file, message, "Take both from the same release"))
    joint, warned = JointFile(file, ids), set()
    videos = []
    for row, video in enumerate(annotations.videos):
        parts = {s: JointHalf(joint, row, half) for half, s in enumerate(stream_order)}
        features = Features(video.id, parts, warned)
        videos.append(replace(video, features=features, snippet_seconds=snippet_seconds))
    train, test, found = split(annotations._replace(videos=videos), folder)
    mark = fingerprint(annotations.classes, train, test, contents((*train, *test)))
    dataset = Dataset(name, annotations.classes, train, test, mark)
    return Scan(dataset, annotations.findings + found, folder, joint)


def read_annotation_folder(folder: Path) -> Annotations:
    """Every video of an annotation folder, in the order of its files; classes in classlist's.

    Raises:
        DataError: a file is missing, unsafe to read, or of another length than videoname.npy.
    """
    columns = _columns(folder)
    classes = _class_list(folder / "classlist.npy")
    ambiguous = _ambiguous(folder)
    videos, subsets, findings = [], [], []
    for values in zip(*columns.values(), strict=True):
        row = dict(zip(columns, values, strict=True))
        try:
            video, found = _video(row, classes, ambiguous, folder)
            subset = _text(row["subset"])
        except (TypeError, ValueError, IndexError) as reason:
            message = f"entries that cannot be read ({shown(reason, 300)})"
            mend = "Correct them, or take all files from the same release"
            name = row["videoname"]
            name = name.decode("utf8", "replace") if isinstance(name, bytes) else str(name)
            wrong = error("entry", folder, message, mend, name)
            raise DataError(wrong) from None
        videos.append(video)
        subsets.append(subset)
        findings += found
    return Annotations(videos, subsets, classes, findings)


def _class_list(file: Path) -> tuple[str, ...]:
    try:
        names = [_text(name) for name in np.ravel(read_array(file))]
    except (TypeError, UnicodeDecodeError) as reason:
        raise DataError(error("text", file, f"no names ({reason})", "Get the file again")) from None
    return class_list(names, file)


def _columns(folder):
    optional = [name for name in OPTIONAL if (folder / f"{name}.npy").exists()]
    columns = {name: read_array(folder / f"{name}.npy") for name in (*REQUIRED, *optional)}
    count = columns["videoname"].size
    for name, column in columns.items():
        if column.ndim == 0:
            message = f"one {column.dtype} where one entry per video was expected"
            raise DataError(error("columns", folder / f"{name}.npy", message, "Get it again"))
        if len(column) != count:
            message = f"{len(column)} entries where videoname.npy has {count}"
            mend = "Take all of them from the same release"
            raise DataError(error("columns", folder / f"{name}.npy", message, mend))
    return columns


def _video(row, classes, ambiguous, folder) -> tuple[Video, list[Finding]]:
    name = nfc(_text(row["videoname"]))
    names = _texts(row["labels"])
    segments, found = instances(name, folder / "segments.npy", _list(row["segments"]), names)
    labels_all = class_names(_texts(row.get("labels_all")))
    labels = in_order([label for *_, label in segments] or labels_all, classes)
    for label in labels:
        if label not in classes:
            message = f"class {label!r} is not in classlist.npy"
            mend = "Correct the label, or add the class to the list"
            found.append(error("class", folder / "labels.npy", message, mend, name))
    duration = finite(np.ravel(row["duration"])[0]) if "duration" in row else None
    metadata = {"labels_all": labels_all} if "labels_all" in row else {}
    apart = tuple(ambiguous.get(name, ()))
    return Video(name, {}, labels, segments, apart, duration, metadata=metadata), found


def _ambiguous(folder) -> dict[str, list[tuple[float, float]]]:
    """Lines ``video start end`` of the ``Ambiguous_*.txt`` files, by video."""
    intervals = {}
    for file in sorted(visible(folder, "Ambiguous_*.txt")):
        for video, start, end in read_intervals(file):
            intervals.setdefault(video, []).append((start, end))
    return intervals


def ambiguous_alone(folder: Path, dataset: Dataset) -> list[Finding]:
    """Videos of the ``Ambiguous_*.txt`` files that videoname.npy does not name."""
    ids = {video.id for video in (*dataset.train, *dataset.test)}
    message = "ambiguous segments of a video that videoname.npy does not name"
    mend = "It has nothing to find, and is left out; some protocols count it as a test video"
    return [
        warning("ambiguous alone", folder, message, mend, name)
        for name in _ambiguous(folder)
        if name not in ids
    ]


def _list(value) -> list:
    if value is not None and not isinstance(value, list | tuple | np.ndarray):
        raise TypeError(f"{shown(value)} where a list was expected")
    return [] if value is None else list(value)


def _texts(value) -> tuple[str, ...]:
    return tuple(_text(text) for text in _list(value))


def _text(value) -> str:
    if not isinstance(value, bytes | str):
        raise TypeError(f"{shown(value)} where a text was expected")
    return value.decode() if isinstance(value, bytes) else str(value)


LAYOUT = Layout("W-TALC", (f"*{FEATURES}", f"*{ANNOTATIONS}/"), scan)
