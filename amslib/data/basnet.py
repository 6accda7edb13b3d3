"""BaS-Net's and CoLA's layout: gt.json, split_{train,test}.txt and a folder of features.

The features are ``features/{train,test}/{rgb,flow}/<video>.npy``, each of shape (T, D). The split
files say which videos are used, the json what they contain. One of rgb and flow may be absent as a
whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from .annotated import Annotations, read_lines
from .database import read_database
from .features import STREAMS, Features, headers, open_streams
from .findings import DataError, Finding, error
from .layout import Layout, Scan
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
    homes = folder / "features"
    streams = [s for s in STREAMS if any((homes / p / s).is_dir() for p in PARTS)]
    if not streams:
        message = "none of features/{train,test}/{rgb,flow} is there"
        mend = "Put the features of each video there as <video>.npy"
        raise DataError(error("streams", folder, message, mend))

    def open_video(part, video, mend):
        paths = {s: homes / part / s / f"{video}.npy" for s in streams}
        return open_streams(paths, video, mend)

    return scan_split(folder, snippet_seconds, open_video)


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


def _listed(folder, part, annotations: Annotations) -> tuple[list[Video], list[Finding]]:
    """The videos a split file names, in its order."""
    file = folder / f"split_{part}.txt"
    names = read_lines(file)
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
    mark = fingerprint(classes, train, test, headers((*train, *test)))
    return Dataset(name, classes, tuple(train), tuple(test), mark)


LAYOUT = Layout("BaS-Net, CoLA", (*SPLIT, "features/"), scan)
