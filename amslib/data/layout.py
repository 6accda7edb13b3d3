"""What scanning a folder gives, whatever its layout."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from .features import JointFile
from .findings import Finding
from .video import Dataset


class Scan(NamedTuple):
    """A data set as far as headers and annotations tell, and what is wrong so far.

    Args:
        dataset: the data set, its features unread.
        findings: what reading it found.
        annotations: the file or folder the annotations come from.
        joint: the one file that holds all features, where there is one; their shapes are unknown
            until it is read.
    """

    dataset: Dataset
    findings: list[Finding]
    annotations: Path
    joint: JointFile | None = None
