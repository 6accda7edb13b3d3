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
from .annotated import Annotations, class_list, in_order, instances, read_json
from .features import Features, contents, is_file_name, open_streams, stream_folders
from .findings import DataError, Finding, error
from .layout import Layout, Scan
from .rules import Fix, step_fixes
from .values import class_names, finite, nfc, pair_of_times, shown
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
    streams, loose = stream_folders(folder / "features")
    if not streams:
        mend = "Put the features of each video in features/<stream>/<video>.npy"
        raise DataError(error("streams", folder / "features", "no folder of a stream", mend))
    videos, findings, warned = {part: [] for part in PARTS}, loose, set()
    for video, entry in entries:
        try:
            about, found = _video(video, entry, classes, file)
            part = videos[entry["subset"]]
        except (KeyError, TypeError, ValueError, AttributeError) as reason:
            findings.append(_unreadable(file, video, reason))
            continue
        paths = {stream: path / f"{video}.npy" for stream, path in streams.items()}
        parts, missing = open_streams(paths, video, "Add it, or take the video out of dataset.json")
        part.append(Video(video, Features(video, parts, warned), **about))
        findings += found + missing
    train, test = (tuple(videos[part]) for part in PARTS)
    mark = fingerprint(classes, train, test, contents((*train, *test)))
    return Scan(Dataset(name, classes, train, test, mark), findings, file)


def fixes(videos: Sequence[Video], options: Mapping) -> list[Fix]:
    """Other seconds from one snippet to the next, which stand in the json."""
    return step_fixes(videos, "Set snippet_seconds of the videos in dataset.json to {}")


def annotated(file: Path) -> Annotations:
    """What dataset.json says, without the features.

    Raises:
        DataError: it cannot be read.
    """
    _, classes, entries = _read(file)
    videos, subsets, findings = [], [], []
    for name, entry in entries:
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
    message = f"an entry that cannot be read ({shown(reason, 300)})"
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


def _read(file: Path) -> tuple[str, tuple[str, ...], list[tuple[str, dict]]]:
    content = read_json(file)
    try:
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']!r} where {FORMAT} is known")
        entries = [(nfc(video), entry) for video, entry in content["videos"].items()]
        name, classes = content["name"], content["classes"]
        if not isinstance(name, str) or not isinstance(classes, list):
            raise ValueError(f"name {shown(name)}, classes {shown(classes)}")
    except (KeyError, TypeError, ValueError, AttributeError) as reason:
        message = f'no json {{"format": 1, "name", "classes", "videos"}} ({shown(reason, 300)})'
        raise DataError(error("json", file, message, "Write it again with convert")) from None
    return name, class_list(classes, file), entries


def _video(name, entry, classes, file) -> tuple[dict, list[Finding]]:
    if entry["subset"] not in PARTS or not is_file_name(name):
        raise ValueError(f"subset {shown(entry['subset'])} of a video named {shown(name)}")
    rows = entry.get("segments", [])
    if not isinstance(rows, list) or not all(isinstance(x, list) and len(x) == 3 for x in rows):
        raise ValueError(f"segments {shown(rows)} where [[start, end, label], ..] was expected")
    segments, found = instances(name, file, [x[:2] for x in rows], [x[2] for x in rows])
    labels = in_order((s[2] for s in segments), classes)
    labels = class_names(entry["labels"]) if "labels" in entry else labels
    for label in sorted(set(labels) - set(classes)):
        mend = 'Correct it, or add the class to "classes"'
        found.append(error("class", file, f"class {label!r} is not in the list", mend, name))
    ambiguous = tuple(pair_of_times(pair) for pair in entry.get("ambiguous", []))
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


LAYOUT = Layout(
    "amslib", ("dataset.json", "features/*/"), scan, "snippet_seconds in dataset.json", fixes
)
