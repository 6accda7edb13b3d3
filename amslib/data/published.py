"""How many videos and instances the known data sets have, by what is published of them."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from .findings import Finding, warning
from .labels import plain
from .video import Dataset


class Published(NamedTuple):
    """A data set of the field.

    Args:
        name: as papers call it.
        parts: for "train" and "test", who has how many (videos, instances).
    """

    name: str
    parts: dict[str, dict[tuple[int, int], str]]


# by the names of the classes, see `mark`
KNOWN = {
    "cf10089eb73cb39d": Published(
        "THUMOS14",
        {
            "train": {(200, 3007): "everyone's training videos"},
            "test": {
                (210, 3311): "the test videos of STPN, BaS-Net, CoLA and their kin",
                (212, 3358): "the test videos of W-TALC, CO2-Net, ActionFormer",
                (213, 3358): "the test videos of the paper, one without an instance",
            },
        },
    ),
    "d3733a8dcb3c40dd": Published(
        "ActivityNet1.2",
        {
            "train": {(4819, 7151): "the training videos of the official json"},
            "test": {(2383, 3582): "the validation videos of the official json"},
        },
    ),
}


def mark(classes) -> str:
    """16 hex digits over the names of the classes, however they are written and ordered."""
    names = "\n".join(sorted(map(plain, classes)))
    return hashlib.sha256(names.encode()).hexdigest()[:16]


def compare(dataset: Dataset, file) -> tuple[list[str], list[Finding]]:
    """What a known data set's counts agree with, and where they agree with nothing published.

    Returns:
        Sentences, and findings; nothing of data that is not known.
    """
    known = KNOWN.get(mark(dataset.classes))
    agreed, found = [], []
    for part in known.parts if known else ():
        videos = getattr(dataset, part)
        counts = len(videos), sum(len(v.segments) for v in videos)
        told = known.parts[part].get(counts)
        if told:
            agreed.append(f"{known.name}, {part}: {_said(counts)}, {told}")
        else:
            nearest = min(known.parts[part], key=lambda c: _distance(c, counts))
            message = (
                f"{part} has {_said(counts)}; published of {known.name} are "
                f"{' or '.join(map(_said, known.parts[part]))}"
            )
            who = known.parts[part][nearest]
            mend = f"Nearest are {who}; scores compare only on the same videos"
            found.append(warning("counts", file, message, mend))
    return agreed, found


def _said(counts: tuple[int, int]) -> str:
    return "{} videos with {} instances".format(*counts)


def _distance(one, other) -> int:
    return abs(one[0] - other[0]) * 100 + abs(one[1] - other[1])
