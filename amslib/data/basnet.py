"""BaS-Net's and CoLA's layout: gt.json, split_{train,test}.txt and a folder of features.

The features are ``features/{train,test}/{rgb,flow}/<video>.npy``, each of shape (T, D). The split
files say which videos are used, the json what they contain. One of rgb and flow may be absent as a
whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from ..files import write_whole
from .annotated import Annotations, read_lines
from .database import read_database
from .features import STREAMS, Features, contents, open_streams, stream_folders
from .findings import DataError, Finding, error, settle, warning
from .layout import Layout, Scan
from .plain import copy, prepare
from .video import SNIPPET_SECONDS, Dataset, Video, fingerprint

PARTS = ("train", "test")
SPLIT = ("gt.json", "split_train.txt", "split_test.txt")


def scan(folder: Path, *, snippet_seconds=SNIPPET_SECONDS) -> Scan:
    """The data set of a folder, from annotations and the headers of the feature files.

    Args:
        folder: holds the files above.
        snippet_seconds: seconds from one snippet to the next.

    Raises:
        DataError: a file is missing or cannot be read.
    """
    homes = {part: folder / "features" / part for part in PARTS}
    folders, findings = {}, []
    for part, home in homes.items():
        folders[part], loose = stream_folders(home) if home.is_dir() else ({}, [])
        findings += [*loose, *_unused(home, folders[part])]
    streams = [s for s in STREAMS if any(s in folders[part] for part in PARTS)]
    if not streams:
        message = "none of features/{train,test}/{rgb,flow} is there"
        mend = "Put the features of each video there as <video>.npy"
        raise DataError(error("streams", folder, message, mend))

    def open_video(part, video, mend):
        paths = {s: folders[part].get(s, homes[part] / s) / f"{video}.npy" for s in streams}
        return open_streams(paths, video, mend)

    found = scan_split(folder, snippet_seconds, open_video)
    return found._replace(findings=[*findings, *found.findings])


def _unused(home: Path, streams: Iterable[str]) -> list[Finding]:
    others = [name for name in streams if name not in STREAMS]
    message = f"folders beside rgb and flow: {', '.join(others)}"
    mend = "They are not used; rename one that is rgb or flow"
    return [warning("folder", home, message, mend)] if others else []


def scan_split(folder: Path, snippet_seconds: float, open_video: Callable) -> Scan:
    """The data set of gt.json and split files, wherever its features are.

    Args:
        folder: holds the three files.
        snippet_seconds: seconds from one snippet to the next.
        open_video: of a part, the name of a video and the mend of a missing file, gives the
            streams of the video and what is wrong with them.

    Raises:
        DataError: a file is missing or cannot be read.
    """
    annotations = read_database(folder / "gt.json")
    findings, warned, split = list(annotations.findings), set(), {}
    for part in PARTS:
        listed, found = _listed(folder, part, annotations)
        findings += found
        split[part] = []
        mend = f"Add the file, or take the video out of split_{part}.txt"
        for video in listed:
            files, found = open_video(part, video.id, mend)
            findings += found
            features = Features(video.id, files, warned)
            split[part].append(replace(video, features=features, snippet_seconds=snippet_seconds))
    return Scan(_dataset(folder.name, **split), findings, folder / "gt.json")


def annotated(folder: Path) -> Annotations:
    """What gt.json says of the videos that the split files name, in their subsets.

    Raises:
        DataError: a file is missing or cannot be read.
    """
    annotations = read_database(folder / "gt.json")
    videos, subsets, findings = [], [], list(annotations.findings)
    for part in PARTS:
        listed, found = _listed(folder, part, annotations)
        videos += listed
        subsets += [part] * len(listed)
        findings += found
    return Annotations(videos, subsets, annotations.classes, findings)


def _listed(folder, part, annotations: Annotations) -> tuple[list[Video], list[Finding]]:
    """The videos a split file names, in its order."""
    file = folder / f"split_{part}.txt"
    names = [line for line in read_lines(file) if line]
    by_id = {video.id: video for video in annotations.videos}
    known_bad = {finding.video for finding in annotations.findings}
    mend = f"Annotate it, or take it out of {file.name}"
    found = [
        error("unannotated", file, "not in gt.json", mend, name)
        for name in names
        if name not in by_id and name not in known_bad
    ]
    return [by_id[name] for name in names if name in by_id], found


def _dataset(name, train, test) -> Dataset:
    classes = tuple(sorted({label for v in (*train, *test) for label in v.labels}))
    mark = fingerprint(classes, train, test, contents((*train, *test)))
    return Dataset(name, classes, tuple(train), tuple(test), mark)


def write(dataset: Dataset, folder: Path, progress: bool = False) -> None:
    """Writes a data set in this layout, one video at a time, gt.json last.

    Args:
        dataset: what to write.
        folder: new or empty.
        progress: show a bar on standard error.

    Raises:
        DataError: features cannot be used, a video is there twice, its name cannot be the name of a
            file, or there are neither rgb nor flow features.
        FileExistsError: the folder is not empty.
        OSError: a file cannot be written, e.g. on a full disk.

    Warns:
        DataWarning: of what this layout cannot hold.
    """
    streams = [s for s in STREAMS if s in dataset.streams]
    if not streams:
        message = f"BaS-Net's layout holds streams rgb and flow, not {', '.join(dataset.streams)}"
        mend = "Put arrays that are one of these in features/rgb or features/flow, or convert to "
        mend += "the plain layout; evaluate --ground-truth takes the folder as it is"
        raise DataError(error("streams", dataset.name, message, mend))
    parts = {part: getattr(dataset, part) for part in PARTS}
    settle(_lost(dataset))
    homes = {p: {s: folder / "features" / p / s for s in streams} for p in PARTS}
    names = [v.id for part in PARTS for v in parts[part]]
    prepare(folder, names, [home for part in PARTS for home in homes[part].values()])
    for part, videos in parts.items():
        copy(videos, homes[part], progress)
        write_whole({folder / f"split_{part}.txt": "".join(f"{v.id}\n" for v in videos).encode()})
    database = {v.id: _entry(v, part) for part in PARTS for v in parts[part]}
    text = json.dumps({"database": database}, indent=1, allow_nan=False)
    write_whole({folder / "gt.json": f"{text}\n".encode()})


def _entry(video: Video, part: str) -> dict:
    rows = [{"segment": [str(s), str(e)], "label": label} for s, e, label in video.segments]
    duration = {} if video.duration is None else {"duration": video.duration}
    labels = {} if rows else {"labels": list(video.labels)}  # other readers pass it over
    return {"subset": part, "annotations": rows, **labels, **duration}


def _lost(dataset: Dataset) -> list[Finding]:
    """What this layout cannot hold, one finding each."""
    videos = (*dataset.train, *dataset.test)
    labels = [(set(v.labels), {s[2] for s in v.segments}) for v in videos]
    found = sorted({label for v in videos for label in v.labels})
    steps = sorted({v.snippet_seconds for v in videos})
    step = f"pass snippet_seconds={steps[0]!r} to load" if len(steps) == 1 else "they differ"
    lost = {
        "streams other than rgb and flow": set(dataset.streams) - set(STREAMS),
        "the order of the classes": list(dataset.classes) != found,
        f"seconds from one snippet to the next ({step})": steps not in ([], [SNIPPET_SECONDS]),
        "where the first snippet begins": any(v.offset_seconds for v in videos),
        "ambiguous intervals": any(v.ambiguous for v in videos),
        "labels of videos without segments, for readers other than amslib": any(
            given and not seen for given, seen in labels
        ),
        "labels other than the classes of the segments": any(
            seen and given != seen for given, seen in labels
        ),
    }
    mend = "Keep the original, or the plain layout, which holds all of it"
    return [
        warning(what, dataset.name, f"BaS-Net's layout does not hold {what}", mend)
        for what, is_lost in lost.items()
        if is_lost
    ]


LAYOUT = Layout("BaS-Net, CoLA", (*SPLIT, "features/"), scan)
