"""What every annotation format shares: instances, and which videos are for training.

THUMOS14 trains on "validation" and tests on "test", ActivityNet trains on "training" and tests on
"validation", so "validation" alone says nothing: the first pair of `SPLITS` whose two names both
occur decides, of subsets with annotations if there is one ("val" and "testing" are read as
"validation" and "test").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from .findings import DataError, Finding, error, warning
from .values import (
    class_name,
    class_names,
    finite,
    nfc,
    pair_of_times,
    parse_json,
    read_text,
    repeated,
    shown,
    tidy,
)
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
ALIASES = {"val": "validation", "valid": "validation", "testing": "test"}
Segment = tuple[float, float, str]


class Annotations(NamedTuple):
    """All videos of an annotation, the subset of each, the classes, and what is wrong.

    Args:
        videos: every video, without features.
        subsets: the subset of each, as `subset_names` takes them.
        classes: names of the classes, in the order of the class axis.
        findings: what contradicts itself.
    """

    videos: list[Video]
    subsets: list[str]
    classes: tuple[str, ...]
    findings: list[Finding]


def read_json(file: Path):
    """Whatever a json file holds.

    Raises:
        DataError: it cannot be read, is not json, or has a key twice in one object.
    """
    try:
        return parse_json(read_text(file))
    except (OSError, ValueError) as reason:
        message = f"no json file ({reason})"
        raise DataError(error("json", file, message, "Correct it, or get it again")) from None


def read_lines(file: Path) -> list[str]:
    """The lines of a text file, stripped, in Unicode's NFC form.

    Raises:
        DataError: it is missing, or no text.
    """
    try:
        return [nfc(line.strip()) for line in read_text(file).splitlines()]
    except (OSError, ValueError) as reason:
        message = f"no text file ({reason})"
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
            message = f"line {number} is {shown(line)} where 'video start end' was expected"
            raise DataError(error("line", file, message, "Correct the line")) from None
    return rows


class Split(NamedTuple):
    """Training and test videos, and what is to be said of the subsets that are neither."""

    train: tuple[Video, ...]
    test: tuple[Video, ...]
    findings: list[Finding]


def split(annotations: Annotations, file) -> Split:
    """Training and test videos; a subset without any annotation is neither if it can be.

    Raises:
        DataError: no pair of `SPLITS` occurs; or what is wrong with entries, which may be why.
    """
    names = subset_names(annotations.subsets)
    annotated = Counter(n for n, v in zip(names, annotations.videos, strict=True) if v.labels)
    pair = _pair(annotated) or _pair(names)
    if pair is None:
        errors = [finding for finding in annotations.findings if finding.level == "error"]
        pairs = ", ".join("/".join(pair) for pair in SPLITS)
        there = shown(sorted(set(annotations.subsets)))
        message = f"subsets {there} where one of the pairs {pairs} was expected"
        raise DataError(*errors or [error("subsets", file, message, "Rename the subsets")])
    found = _left_out(names, annotated, pair, file)
    videos = list(zip(names, annotations.videos, strict=True))
    train, test = (tuple(v for name, v in videos if name == part) for part in pair)
    return Split(train, test, found)


def _left_out(names, annotated, pair, file) -> list[Finding]:
    found = []
    others = ", ".join(f"{name!r} ({annotated[name]})" for name in annotated if name not in pair)
    if others:
        message = f"annotated videos of other subsets than {' and '.join(pair)}: {others}"
        mend = "They are left out; rename the subsets to use them"
        found.append(warning("left out", file, message, mend))
    usual = _pair(names)
    if usual != pair:
        (without,) = set(usual) - set(pair)
        message = (
            f"no video of subset {without!r} is annotated, so {pair[0]!r} is for training and "
        )
        message += f"{pair[1]!r} for testing"
        mend = f"Take the annotated subset out of the file to use {without!r} without segments"
        found.append(warning("withheld", file, message, mend))
    return found


def _pair(names: Collection[str]) -> tuple[str, str] | None:
    return next((pair for pair in SPLITS if set(names).issuperset(pair)), None)


def subset_names(names: Iterable[str]) -> list[str]:
    """Subsets as `SPLITS` spells them; "train" and "training" are one where both occur.

    >>> subset_names(["Train", "val", "testing"])
    ['train', 'validation', 'test']
    """
    names = [ALIASES.get(name, name) for name in (tidy(name).lower() for name in names)]
    return ["train" if name == "training" and "train" in names else name for name in names]


def instances(
    video: str, file, times: Sequence, names: Sequence
) -> tuple[tuple[Segment, ...], list[Finding]]:
    """Segments ``(start_s, end_s, label)`` of one video; those that are none are left out.

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
            label = class_name(name)
        except ValueError as reason:
            mend = "Name the class, or leave the segment out"
            found.append(error("label", file, f"{reason} (segment {shown(pair)})", mend, video))
            continue
        try:
            segments.append((*pair_of_times(pair), label))
        except ValueError:
            message = f"segment {shown(pair)} of {label} is no pair of times"
            found.append(error("segment", file, message, "Give start and end in seconds", video))
    return tuple(segments), found


def class_list(names: Iterable, file) -> tuple[str, ...]:
    """The classes that a file lists.

    Raises:
        DataError: an entry is no name of a class, or a name is listed twice.
    """
    try:
        classes = class_names(list(names))
    except ValueError as reason:
        wrong = error("class list", file, str(reason), "Correct the list of classes")
        raise DataError(wrong) from None
    twice = ", ".join(repeated(classes))
    if twice:
        message = f"classes listed more than once: {twice}"
        raise DataError(error("class list", file, message, "List each class once"))
    return classes


def in_order(names: Iterable[str], classes: Sequence[str]) -> tuple[str, ...]:
    """Each name once, in the order of the classes, unknown ones last."""
    rank = {name: k for k, name in enumerate(classes)}
    return tuple(sorted(set(names), key=lambda name: (rank.get(name, len(rank)), name)))
