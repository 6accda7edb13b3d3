"""BaS-Net's and CoLA's layout: gt.json, split_{train,test}.txt and a folder of features.

The features are ``features/{train,test}/{rgb,flow}/<video>.npy``, each of shape (T, D). The split
files say which videos are used, the json what they contain. One of rgb and flow may be absent as a
whole.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from .annotated import Annotations
from .database import read_database
from .features import FeatureFile, Features
from .findings import DataError, Finding, error
from .layout import Scan
from .video import Dataset, Video, fingerprint

STREAMS = ("rgb", "flow")
PARTS = ("train", "test")
NAMES = ("gt.json", "split_train.txt", "split_test.txt", "features")


def scan(folder: Path, snippet_seconds: float) -> Scan:
    """The data set of a folder, from annotations and the headers of the feature files.

    Raises:
        DataError: a file is missing or cannot be read.
    """
    streams = [s for s in STREAMS if any((folder / "features" / p / s).is_dir() for p in PARTS)]
    if not streams:
        message = "none of features/{train,test}/{rgb,flow} is there"
        mend = "Put the features of each video there as <video>.npy"
        raise DataError(error("streams", folder, message, mend))
    annotations = read_database(folder / "gt.json")
    findings, warned, split = list(annotations.findings), set(), {}
    for part in PARTS:
        listed, found = _listed(folder, part, annotations)
        findings += found
        split[part] = []
        for video in listed:
            files, found = _open(folder / "features" / part, streams, video.id)
            findings += found
            features = Features(video.id, files, warned)
            split[part].append(replace(video, features=features, snippet_seconds=snippet_seconds))
    return Scan(_dataset(folder.name, **split), findings, folder / "gt.json")


def _listed(folder, part, annotations: Annotations) -> tuple[list[Video], list[Finding]]:
    """The videos a split file names, in its order."""
    file = folder / f"split_{part}.txt"
    names = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    by_id = {video.id: video for video in annotations.videos}
    known_bad = {finding.video for finding in annotations.findings}
    mend = f"Annotate it, or take it out of {file.name}"
    found = [
        error("unannotated", file, "not in gt.json", mend, name)
        for name in names
        if name not in by_id and name not in known_bad
    ]
    return [by_id[name] for name in names if name in by_id], found


def _open(folder, streams, video) -> tuple[dict[str, FeatureFile], list[Finding]]:
    """The feature file of each stream, by its header."""
    files, found = {}, []
    for stream in streams:
        path = folder / stream / f"{video}.npy"
        if not path.is_file():
            mend = f"Add the file, or take the video out of split_{folder.name}.txt"
            found.append(error("no features", path, f"no {stream} features", mend, video))
            continue
        try:
            files[stream] = FeatureFile.open(path)
        except DataError as reason:
            found += [replace(finding, video=video) for finding in reason.findings]
    return files, found


def _dataset(name, train, test) -> Dataset:
    classes = tuple(sorted({label for v in (*train, *test) for label in v.labels}))
    headers = [
        (stream, part.shape, str(part.dtype), part.size)
        for video in (*train, *test)
        for stream, part in video.features.parts.items()
    ]
    mark = fingerprint(classes, train, test, headers)
    return Dataset(name, classes, tuple(train), tuple(test), mark)
