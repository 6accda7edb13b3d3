"""Data sets: generated, or read from disk; see `load`, `read_annotations`, `check`, `convert`."""

from __future__ import annotations

from .annotations import read_annotations
from .check import Report, check
from .convert import convert
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
    "convert",
    "load",
    "read_annotations",
]
