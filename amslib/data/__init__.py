"""Data sets: generated, or read from disk; see `load`, `read_annotations` and `check`."""

from __future__ import annotations

from .annotations import read_annotations
from .check import Report, check
from .findings import DataError, DataNotFoundError, DataWarning, Finding
from .folder import load
from .video import Dataset, Video

__all__ = [
    "DataError",
    "DataNotFoundError",
    "DataWarning",
    "Dataset",
    "Finding",
    "Report",
    "Video",
    "check",
    "load",
    "read_annotations",
]
