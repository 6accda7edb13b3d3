"""What is worth a look but happens in released data: `check` tells it, `load` does not."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from .findings import Finding, warning
from .rules import parts_of
from .video import Dataset, Video

CLOSE = 1e-3  # seconds; instances that differ by less are one, annotated twice


def annotation_oddities(dataset: Dataset, file) -> list[Finding]:
    """Findings that need no features."""
    videos = (*dataset.train, *dataset.test)
    found = [finding for video in videos for finding in _of_video(video, file)]
    return [*found, *_of_test_part(dataset, file), *_of_classes(dataset, videos, file)]


def _of_test_part(dataset: Dataset, file) -> list[Finding]:
    annotated = any(v.segments for v in dataset.train)
    if not annotated or not dataset.test or any(v.segments for v in dataset.test):
        return []
    message = f"none of the {len(dataset.test)} test videos has a segment, training videos have"
    mend = "If they are withheld, evaluate on another subset (evaluate --subset val)"
    return [warning("no test segments", file, message, mend)]


def _of_video(video: Video, file) -> list[Finding]:
    found = []
    empty = [s for s in video.segments if s[0] >= s[1]]
    if empty:
        message = f"{len(empty)} segments end where they start, or before ({empty[0]})"
        mend = "They are kept as annotated and no detection can match them; correct the times"
        found.append(warning("degenerate", file, message, mend, video.id))
    repeats = _repeats(video.segments)
    if repeats:
        message = f"{len(repeats)} segments repeat another of their class ({repeats[0]})"
        mend = "They are kept and each counts in the score; some protocols drop them"
        found.append(warning("repeated", file, message, mend, video.id))
    shown = {label for _, _, label in video.segments}
    listed = set(video.metadata.get("labels_all", shown))
    if shown and listed != shown:
        message = f"listed as {_names(listed) or 'nothing'} but its segments show {_names(shown)}"
        mend = "The classes of the segments are its labels here; other codes use the list"
        found.append(warning("labels", file, message, mend, video.id))
    if video.ambiguous and not video.segments:
        message = "only ambiguous segments"
        mend = "It has nothing to find; some protocols leave it out"
        found.append(warning("ambiguous alone", file, message, mend, video.id))
    return found


def _names(labels) -> str:
    return ", ".join(sorted(labels))


def _repeats(segments: Sequence) -> list[tuple]:
    """Segments that agree with an earlier one of their class at both ends."""
    earlier, repeats = [], []
    for start, end, label in segments:
        same = (k == label and abs(s - start) <= CLOSE >= abs(e - end) for s, e, k in earlier)
        if any(same):
            repeats.append((start, end, label))
        earlier.append((start, end, label))
    return repeats


def _of_classes(dataset: Dataset, videos: Sequence[Video], file) -> list[Finding]:
    found = []
    taught = {label for video in dataset.train for label in video.labels}
    untaught = [name for name in dataset.classes if name not in taught]
    if untaught:
        message = f"classes without a training video: {', '.join(untaught)}"
        found.append(warning("untaught", file, message, "Expect no detection of them"))
    alike = defaultdict(list)
    for name in dataset.classes:
        alike[plain(name)].append(name)
    for names in (names for names in alike.values() if len(names) > 1):
        message = f"classes that differ in case, spaces or signs only: {', '.join(names)}"
        found.append(warning("alike", file, message, "Give each class one name"))
    for inner, outer in _always_together(videos):
        message = f"every segment of {inner} is annotated as {outer}, too"
        mend = "Both are kept, as most codes do; a detection of one never scores for the other"
        found.append(warning("twofold", file, message, mend))
    return found


def plain(name: str) -> str:
    """A class name in lower case, letters and digits only.

    >>> plain("Cliff_Diving")
    'cliffdiving'
    """
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _always_together(videos: Sequence[Video]) -> list[tuple[str, str]]:
    """Pairs of classes of which all segments of the first are segments of the second."""
    totals, together = Counter(), Counter()
    for video in videos:
        at = defaultdict(set)
        for start, end, label in video.segments:
            at[start, end].add(label)
        for labels in at.values():
            totals.update(labels)
            together.update((a, b) for a in labels for b in labels if a != b)
    return sorted(pair for pair, count in together.items() if count == totals[pair[0]])


def unlisted_files(videos: Sequence[Video]) -> list[Finding]:
    """Arrays beside those of the training and test videos that belong to none of them; one that
    could not be opened bears the name of its video.
    """
    names = {video.id for video in videos}
    paths = [Path(part.path) for v in videos for part in parts_of(v).values()]
    known, found = set(paths), []
    for folder in sorted({path.parent for path in paths if path.suffix == ".npy"}):
        extra = sorted(path.name for path in folder.glob("*.npy") if path not in known)
        extra = [name for name in extra if name.removesuffix(".npy") not in names]
        if extra and len(known) > 1:
            shown = ", ".join(extra[:3]) + (", .." if len(extra) > 3 else "")
            message = f"{len(extra)} arrays of no training or test video ({shown})"
            mend = "They are not used; if they should be, annotate the videos and list their subset"
            found.append(warning("unlisted", folder, message, mend))
    return found
