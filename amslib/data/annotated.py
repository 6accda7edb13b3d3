"""What every annotation format shares: instances, and which videos are for training.

THUMOS14 trains on "validation" and tests on "test", ActivityNet trains on "training" and tests on
"validation", so "validation" alone says nothing: the first pair of `SPLITS` whose two names both
occur decides.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from .findings import DataError, Finding, error
from .video import Video

SPLITS = (
    ("train", "test"),
    ("training", "validation"),
    ("validation", "test"),
    ("train", "validation"),
    ("training", "test"),
    ("train", "val"),
    ("training", "testing"),
)
Segment = tuple[float, float, str]


class Annotations(NamedTuple):
    """All videos of an annotation, the subset of each, the classes, and what is wrong.

    Args:
        videos: every video, without features.
        subsets: the subset of each, lower case.
        classes: names of the classes, in the order of the class axis.
        findings: what contradicts itself.
    """

    videos: list[Video]
    subsets: list[str]
    classes: tuple[str, ...]
    findings: list[Finding]


def read_text(file: Path) -> str:
    """The text of a file; a pipe, which never ends, or a device is none.

    Raises:
        OSError, ValueError: it is missing, no file, or not UTF-8.
    """
    if file.exists() and not file.is_file():
        raise OSError(f"{file} is not a regular file")
    return file.read_text(encoding="utf-8-sig")


def read_json(file: Path):
    """Whatever a json file holds.

    Raises:
        DataError: it cannot be read or is not json.
    """
    try:
        return json.loads(read_text(file))
    except (OSError, ValueError, RecursionError) as reason:
        message = f"no json file ({reason!r})"
        raise DataError(error("json", file, message, "Get the file again")) from None


def read_lines(file: Path) -> list[str]:
    """The lines of a text file, stripped.

    Raises:
        DataError: it is missing, or no text.
    """
    try:
        return [line.strip() for line in read_text(file).splitlines()]
    except (OSError, ValueError) as reason:
        message = f"no text file ({reason!r})"
        raise DataError(error("text", file, message, "Get the file again")) from None


def read_intervals(file: Path) -> list[tuple[str, float, float]]:
    """Lines ``video start end`` of a text file, times in seconds.

    Raises:
        DataError: a line is of another form, or there is no such file.
    """
    rows = []
    for number, line in enumerate(read_lines(file), 1):
        if not line:
            continue
        try:
            video, start, end = line.split()
            rows.append((video, finite(start), finite(end)))
        except ValueError:
            message = f"line {number} is {line!r} where 'video start end' was expected"
            raise DataError(error("line", file, message, "Correct the line")) from None
    return rows


def finite(value) -> float:
    """A number, or text that is one.

    Raises:
        ValueError: it is neither, or not finite.
    """
    try:
        number = float(value)
    except (TypeError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no finite number")
    return number


def names_of(values) -> tuple[str, ...]:
    """A list of names.

    Raises:
        ValueError: it is no list, or an entry is no text.
    """
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise ValueError(f"{values!r} is no list of names")
    return tuple(values)


def split(annotations: Annotations, file) -> tuple[tuple[Video, ...], tuple[Video, ...]]:
    """Training and test videos.

    Raises:
        DataError: no pair of `SPLITS` occurs.
    """
    names = set(annotations.subsets)
    pair = next((pair for pair in SPLITS if names.issuperset(pair)), None)
    if pair is None:
        pairs = ", ".join("/".join(pair) for pair in SPLITS)
        message = f"subsets {sorted(names)} where one of the pairs {pairs} was expected"
        raise DataError(error("subsets", file, message, "Rename the subsets"))
    members = list(zip(annotations.subsets, annotations.videos, strict=True))
    train, test = (tuple(v for subset, v in members if subset == name) for name in pair)
    return train, test


def instances(
    video: str, file, times: Sequence, names: Sequence[str]
) -> tuple[tuple[Segment, ...], list[Finding]]:
    """Segments ``(start_s, end_s, label)`` of one video, those that are no pair of times left out.

    Args:
        video: name of the video.
        file: where the segments stand.
        times: pairs of numbers, or of strings that are numbers, in seconds.
        names: class of each.
    """
    if len(times) != len(names):
        message = f"{len(times)} segments but {len(names)} labels"
        return (), [error("instances", file, message, "Give each segment one label", video)]
    segments, found = [], []
    for pair, name in zip(times, names, strict=True):
        try:
            start, end = (finite(t) for t in pair)
            segments.append((start, end, name))
        except (TypeError, ValueError):
            message = f"segment {pair!r} of {name} is no pair of times"
            found.append(error("segment", file, message, "Give start and end in seconds", video))
    return tuple(segments), found


def in_order(names: Iterable[str], classes: Sequence[str]) -> tuple[str, ...]:
    """Each name once, in the order of the classes, unknown ones last."""
    rank = {name: k for k, name in enumerate(classes)}
    return tuple(sorted(set(names), key=lambda name: (rank.get(name, len(rank)), name)))
