"""What a layout of files on disk is, and what scanning a folder gives, whatever its layout."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from .features import JointFile
from .findings import DataError, Finding, error
from .paths import visible
from .rules import Fix, step_fixes
from .video import Dataset, Video


class Scan(NamedTuple):
    """A data set as far as headers and annotations tell, and what is wrong so far.

    Args:
        dataset: the data set, its features unread.
        findings: what reading it found.
        annotations: the file or folder the annotations come from.
        joint: the one file that holds all features, where there is one; their shapes are unknown
            until it is read.
        segments: the file the segments come from, where it is another than `annotations`.
        layout: of the folder.
        options: what its features were read with.
    """

    dataset: Dataset
    findings: list[Finding]
    annotations: Path
    joint: JointFile | None = None
    segments: Path | None = None
    layout: Layout | None = None
    options: Mapping = {}

    @property
    def segments_file(self) -> Path:
        """The file the segments come from."""
        return self.segments or self.annotations

    @property
    def step_assumed(self) -> bool:
        """Whether nobody said how long a snippet lasts."""
        has_option = self.layout is not None and "snippet_seconds" in self.layout.options
        return has_option and "snippet_seconds" not in self.options

    def fixes(self, videos: Sequence[Video]) -> list[Fix]:
        """What may be done about the time axis of videos with sound features."""
        return self.layout.fixes(videos, self.options) if self.layout else []


def pass_step(videos: Sequence[Video], options: Mapping) -> list[Fix]:
    """Fixes of layouts that have the option snippet_seconds."""
    return step_fixes(videos)


class Layout(NamedTuple):
    """One way to lay out a data set in a folder.

    Args:
        name: who uses it.
        looks_for: patterns of files; a folder of this layout has a match of each.
        scan: reads the headers and annotations of a folder; its keyword-only arguments are the
            options of `load` for this layout.
        timing: what decides the time axis of the features.
        fixes: what may be done about it, of all videos and the options they were read with; the
            most usual first.
    """

    name: str
    looks_for: tuple[str, ...]
    scan: Callable[..., Scan]
    timing: str = "snippet_seconds"
    fixes: Callable[[Sequence[Video], Mapping], list[Fix]] = pass_step

    def missing(self, folder: Path) -> list[str]:
        """The patterns that nothing in the folder matches."""
        return [p for p in self.looks_for if next(visible(folder, p), None) is None]

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options `load` takes for this layout."""
        parameters = inspect.signature(self.scan).parameters.values()
        return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)


def only(folder: Path, *patterns: str) -> Path:
    """The one file that matches one of the patterns.

    Raises:
        DataError: there is none, or more than one.
    """
    files = sorted(set(visible(folder, *patterns)))
    if len(files) != 1:
        names = ", ".join(file.name for file in files[:5]) or "none"
        message = f"one of {' or '.join(patterns)} was expected, there are {len(files)} ({names})"
        raise DataError(error("which", folder, message, "Keep the one to be used"))
    return files[0]
