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
    names = set(dataset.classes).union(*map(_classes_of, videos))
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
    groups = "; ".join(", ".join(same) for same in alike.values() if len(same) > 1)
    message = f"classes that differ in case, spaces or signs only: {groups}"
    return [warning("alike", file, message, "Give each class one name")] if groups else []


def _several_in_one(names: set[str], file) -> list[Finding]:
    several = ", ".join(repr(name) for name in sorted(names) if _holds_others(name, names - {name}))
    message = f"names of classes that look like several labels in one: {several}"
    mend = "Give a video each of its labels as one of its own, or rename the class"
    return [warning("several in one", file, message, mend)] if several else []


def _holds_others(name: str, others: Iterable[str]) -> bool:
    """Whether every word of a name but "and" is a class, or a part between separators is one; "|"
    and ";" are in no name. Parts between commas may as well be parts of another name.
    """
    whole = {plain(other) for other in others}
    words = [plain(part) for part in re.split(r"[\W_]+", name) if part.lower() not in ("", "and")]
    parts = {plain(part) for part in re.split(r"[|;,/&+]", name)} - {""}
    if len(words) > 1 and whole.issuperset(words):
        return True
    if "," in name:
        whole |= {plain(part) for other in others for part in other.split(",") if "," in other}
    return len(parts) > 1 and ("|" in name or ";" in name or not whole.isdisjoint(parts))


def _unlabelled(train: Sequence[Video], file) -> list[Finding]:
    message = (
        "a training video without a label: the classification loss ignores it by default, and the "
        "localization loss learns that it contains no class"
    )
    mend = "Label it, or take it out of the training videos"
    return [warning("no label", file, message, mend, v.id) for v in train if not v.labels]


def _unknown_classes(video: Video, known: set[str], file) -> list[Finding]:
    unknown = _classes_of(video) - known
    if not unknown:
        return []
    message = f"its segments show {_list(unknown)}, which is none of the {len(known)} classes"
    mend = "Correct the name, or label the videos with it; no detection can be of this class"
    return [warning("segment class", file, message, mend, video.id)]


def _contradictions(dataset: Dataset, file) -> list[Finding]:
    """Videos whose segments show other classes than their labels.

    Segments of training videos may be incomplete, since nothing but diagnostics uses them.
    """
    found, known = [], set(dataset.classes)
    for video in dataset.train:
        if not known.intersection(_classes_of(video)) <= set(video.labels):
            mend = "Training uses the labels alone; correct whichever is wrong"
            found.append(_contradiction(video, file, mend))
    scored = any(video.segments for video in dataset.test)
    for video in dataset.test:
        if scored and set(video.labels) != known.intersection(_classes_of(video)):
            mend = "Scores use the segments alone; correct whichever is wrong"
            if not video.segments:
                mend = "Detections in it count as false; annotate it, or take it out of the test"
            found.append(_contradiction(video, file, mend))
    return found


def _contradiction(video: Video, file, mend: str) -> Finding:
    shown = _list(_classes_of(video))
    message = f"labelled {_list(video.labels)} but its segments show {shown}"
    if not video.segments:
        message = f"a test video labelled {_list(video.labels)} without a segment of it"
    problem = "segments differ" if video.segments else "not annotated"
    return warning(problem, file, message, mend, video.id)


def _classes_of(video: Video) -> set[str]:
    return {label for *_, label in video.segments}


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
