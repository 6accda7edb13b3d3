"""Detections: the end of inference and the input of every evaluator."""

from __future__ import annotations

from typing import NamedTuple


class Detection(NamedTuple):
    """One proposal (s, e, c, p) of Sec. III-A: times in seconds, a class name, a score."""

    video: str
    label: str
    start: float
    end: float
    score: float
