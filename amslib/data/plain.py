"""The project's own layout: ``dataset.json`` and one plain array per video and stream.

``features/<stream>/<video>.npy`` has shape (T, D) and is memory-mapped when it is asked for; there
is no pickle anywhere. The json tells the rest::

    {"format": 1, "name": .., "classes": [..], "videos": {video: {"subset": "train" or "test",
     "labels": [..], "segments": [[start_s, end_s, label], ..], "ambiguous": [[start_s, end_s], ..],
     "duration": .., "snippet_seconds": .., "offset_seconds": ..}}}

What is unknown or empty is absent; labels default to the classes of the segments.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..files import check_writable, write_whole
from .annotated import Annotations, finite, in_order, instances, names_of, read_json
from .features import Features, headers, is_file_name, open_streams
from .findings import DataError, Finding, error
from .layout import Layout, Scan
from .video import SNIPPET_SECONDS, Dataset, Video, fingerprint

FORMAT = 1
PARTS = ("train", "test")


def scan(folder: Path) -> Scan:
    """The data set of a folder, from dataset.json and the headers of the feature files.

    Raises:
        DataError: a file is missing or cannot be read.
    """
    file = folder / "dataset.json"
    name, classes, entries = _read(file)
    streams = sorted(p.name for p in (folder / "features").iterdir() if p.is_dir())
    if not streams:
        mend = "Put the features of each video in features/<stream>/<video>.npy"
        raise DataError(error("streams", folder / "features", "no folder of a stream", mend))
    videos, findings, warned = {part: [] for part in PARTS}, [], set()
    for video, entry in entries.items():
        try:
            about, found = _video(video, entry, classes, file)
            part = videos[entry["subset"]]
        except (KeyError, TypeError, ValueError, AttributeError) as reason:
            findings.append(_unreadable(file, video, reason))
            continue
        paths = {s: folder / "features" / s / f"{video}.npy" for s in streams}
        parts, missing = open_streams(paths, video, "Add it, or take the video out of dataset.json")
        part.append(Video(video, Features(video, parts, warned), **about))
        findings += found + missing
    train, test = (tuple(videos[part]) for part in PARTS)
    mark = fingerprint(classes, train, test, headers((*train, *test)))
    return Scan(Dataset(name, classes, train, test, mark), findings, file)


def annotated(file: Path) -> Annotations:
    """What dataset.json says, without the features.

    Raises:
        DataError: it cannot be read.
    """
    _, classes, entries = _read(file)
    videos, subsets, findings = [], [], []
    for name, entry in entries.items():
        try:
            about, found = _video(name, entry, classes, file)
        except (KeyError, TypeError, ValueError, AttributeError) as reason:
            findings.append(_unreadable(file, name, reason))
            continue
        videos.append(Video(name, **about))
        subsets.append(entry["subset"])
        findings += found
    return Annotations(videos, subsets, classes, findings)


def _unreadable(file, video, reason) -> Finding:
    message = f"an entry that cannot be read ({reason!r})"
    mend = 'Give it "subset": "train" or "test", and "labels" or "segments"'
    return error("entry", file, message, mend, video)


def write(dataset: Dataset, folder: Path, progress: bool = False) -> None:
    """Writes a data set in this layout, one video at a time, dataset.json last.

    Args:
        dataset: what to write; all but `Video.metadata` is kept, features bit for bit.
        folder: new or empty.
        progress: show a bar on standard error.

    Raises:
        DataError: features cannot be used, a video is there twice, or its name cannot be that of
            a file.
        FileExistsError: the folder is not empty.
        OSError: a file cannot be written, e.g. on a full disk.
    """
    videos = {v.id: _entry(v, part) for part in PARTS for v in getattr(dataset, part)}
    about = {"format": FORMAT, "name": dataset.name, "classes": list(dataset.classes)}
    text = json.dumps(about | {"videos": videos}, indent=1, allow_nan=False)
    for stream in dataset.streams:
        if not is_file_name(stream):
            message = f"a stream {stream!r}, which cannot be the name of a folder"
            raise DataError(error("name", folder, message, "Name the stream otherwise"))
    homes = {s: folder / "features" / s for s in dataset.streams}
    prepare(folder, [v.id for part in PARTS for v in getattr(dataset, part)], homes.values())
    copy((*dataset.train, *dataset.test), homes, progress)
    write_whole({folder / "dataset.json": f"{text}\n".encode()})


def prepare(folder: Path, names: Iterable[str], homes: Iterable[Path]) -> None:
    """Makes the folders of features, once it is clear that all videos can be written.

    Raises:
        DataError, OSError: see `write`.
    """
    for name, count in Counter(names).items():
        if count > 1:
            mend = "Keep it once, in training or in test"
            raise DataError(error("twice", folder, f"named {count} times", mend, name))
        if not is_file_name(name):
            message = "a name that cannot be that of a file"
            raise DataError(error("name", folder, message, "Name the video otherwise", name))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder}: not an empty folder; give a new one")
    check_writable(folder)
    for home in homes:
        home.mkdir(parents=True)


def copy(videos: Sequence[Video], homes: Mapping[str, Path], progress: bool) -> None:
    """Writes each stream of each video to its home, ``<video>.npy``, one array at a time."""
    for video in tqdm(videos, disable=not progress, unit="video"):
        for stream, home in homes.items():
            content = io.BytesIO()
            np.save(content, video.features[stream], allow_pickle=False)
            write_whole({home / f"{video.id}.npy": content.getbuffer()})


def _entry(video: Video, part: str) -> dict:
    known = {
        "segments": [list(s) for s in video.segments],
        "ambiguous": [list(s) for s in video.ambiguous],
        "duration": video.duration,
    }
    return {
        "subset": part,
        "labels": list(video.labels),
        **{k: v for k, v in known.items() if v not in ([], None)},
        "snippet_seconds": video.snippet_seconds,
        "offset_seconds": video.offset_seconds,
    }


def _read(file: Path) -> tuple[str, tuple[str, ...], dict]:
    content = read_json(file)
    try:
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']!r} where {FORMAT} is known")
        entries = dict(content["videos"].items())
        return str(content["name"]), names_of(content["classes"]), entries
    except (KeyError, TypeError, ValueError, AttributeError) as reason:
        message = f'no json {{"format": 1, "name", "classes", "videos"}} ({reason!r})'
        raise DataError(error("json", file, message, "Write it again with convert")) from None


def _video(name, entry, classes, file) -> tuple[dict, list[Finding]]:
    if entry["subset"] not in PARTS or not is_file_name(name):
        raise ValueError(f"subset {entry['subset']!r} of a video named {name!r}")
    rows = [(start, end, label) for start, end, label in entry.get("segments", [])]
    times, labels = [row[:2] for row in rows], names_of([row[2] for row in rows])
    segments, found = instances(name, file, times, labels)
    labels = names_of(entry["labels"]) if "labels" in entry else in_order(labels, classes)
    for label in sorted({*labels, *(s[2] for s in segments)} - set(classes)):
        mend = 'Correct it, or add the class to "classes"'
        found.append(error("class", file, f"class {label!r} is not in the list", mend, name))
    ambiguous = tuple((finite(start), finite(end)) for start, end in entry.get("ambiguous", []))
    step = finite(entry.get("snippet_seconds", SNIPPET_SECONDS))
    duration = finite(entry["duration"]) if "duration" in entry else None
    if step <= 0:
        raise ValueError(f"snippet_seconds {step}")
    return {
        "labels": labels,
        "segments": segments,
        "ambiguous": ambiguous,
        "duration": duration,
        "snippet_seconds": step,
        "offset_seconds": finite(entry.get("offset_seconds", 0)),
    }, found


LAYOUT = Layout("amslib", ("dataset.json", "features/*/"), scan)
