"""What the labels of a data set must agree on: with each other, and with the segments."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from .findings import Finding, warning
from .video import Dataset, Video


def label_findings(dataset: Dataset, file, segments_file) -> list[Finding]:
    """Names that are several or one, training videos without a label, segments that show another.

    Args:
        dataset: its videos, features unread.
        file: where the labels stand.
        segments_file: where the segments stand.
    """
    videos = (*dataset.train, *dataset.test)
    names = {*dataset.classes, *(label for v in videos for *_, label in v.segments)}
    found = [*_alike(names, file), *_several_in_one(names, file), *_unlabelled(dataset.train, file)]
    known = set(dataset.classes)
    found += [f for video in videos for f in _unknown_classes(video, known, segments_file)]
    return found + _contradictions(dataset, file)


def plain(name: str) -> str:
    """A class name in lower case, letters and digits only.

    >>> plain("Cliff_Diving")
    'cliffdiving'
    """
    return re.sub(r"[\W_]", "", name.casefold())


def _alike(names: Iterable[str], file) -> list[Finding]:
    alike = defaultdict(list)
    for name in sorted(names):
        alike[plain(name) or name].append(name)
    mend = "Give each class one name"
    return [
        warning(
            "alike", file, f"classes that differ in case, spaces or signs only: {_list(same)}", mend
        )
        for same in alike.values()
        if len(same) > 1
    ]


def _several_in_one(names: Iterable[str], file) -> list[Finding]:
    """Names that hold others: of which every word is a class, or a part between separators is."""
    words = {name: [plain(part) for part in re.split(r"[\W_]+", name) if part] for name in names}
    parts = {name: [plain(part) for part in re.split(r"[|;,/&+]", name)] for name in names}
    whole = {plain(name) for name in names}
    found = []
    for name in sorted(names):
        listed = {part for other in names - {name} if "," in other for part in parts[other]}
        several = len(words[name]) > 1 and whole.issuperset(words[name])
        several |= len(parts[name]) > 1 and not whole.isdisjoint(parts[name])
        several |= "," in name and not listed.isdisjoint(parts[name])
        if several or re.search(r"\w\s*[|;]\s*\w", name):
            message = f"class {name!r} looks like several labels in one"
            mend = "Give the video each of them as a label of its own, or rename the class"
            found.append(warning("several in one", file, message, mend))
    return found


def _unlabelled(train: Sequence[Video], file) -> list[Finding]:
    message = (
        "a training video without a label: the classification loss ignores it by default, and the "
        "localization loss learns that it contains no class"
    )
    mend = "Label it, or take it out of the training videos"
    return [warning("no label", file, message, mend, v.id) for v in train if not v.labels]


def _unknown_classes(video: Video, known: set[str], file) -> list[Finding]:
    unknown = {label for *_, label in video.segments} - known
    if not unknown:
        return []
    message = f"its segments show {_list(unknown)}, which no video is labelled with"
    mend = "Correct the name, or label the videos; no detection can be of this class"
    return [warning("segment class", file, message, mend, video.id)]


def _contradictions(dataset: Dataset, file) -> list[Finding]:
    """Videos whose segments show other classes than their labels, as far as they have segments."""
    found = []
    for videos, use in (
        (dataset.train, "Training uses the labels alone"),
        (dataset.test, "Scores use the segments alone"),
    ):
        for video in videos:
            labels = set(video.labels)
            shown = {label for *_, label in video.segments} & set(dataset.classes)
            if video.segments and shown != labels and (labels or video in dataset.train):
                message = f"labelled {_list(labels)} but its segments show {_list(shown)}"
                mend = f"{use}; correct whichever is wrong"
                found.append(warning("segments differ", file, message, mend, video.id))
    if not any(video.segments for video in dataset.test):
        return found
    for video in dataset.test:
        if video.labels and not video.segments:
            message = f"a test video labelled {_list(video.labels)} without a segment of it"
            mend = "Every detection in it counts as false; annotate it, or take it out of the test"
            found.append(warning("not annotated", file, message, mend, video.id))
    return found


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
