"""What is worth a look but happens in released data: `check` tells it, `load` does not."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from .findings import Finding, warning
from .paths import visible
from .rules import parts_of
from .values import few, nfc
from .video import Dataset, Video

CLOSE = 1e-3  # seconds; instances that differ by less are one, annotated twice


def annotation_oddities(dataset: Dataset, file, segments_file) -> list[Finding]:
    """Findings that need no features.

    Args:
        dataset: its videos.
        file: where the labels stand.
        segments_file: where the segments stand.
    """
    videos = (*dataset.train, *dataset.test)
    found = [finding for video in videos for finding in _of_video(video, segments_file)]
    return [*found, *_untaught(dataset, file), *_twofold(videos, segments_file)]


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


def _untaught(dataset: Dataset, file) -> list[Finding]:
    taught = {label for video in dataset.train for label in video.labels}
    untaught = [name for name in dataset.classes if name not in taught]
    message = f"classes without a training video: {', '.join(untaught)}"
    return [warning("untaught", file, message, "Expect no detection of them")] if untaught else []


def _twofold(videos: Sequence[Video], file) -> list[Finding]:
    mend = "Both are kept, as most codes do; a detection of one never scores for the other"
    return [
        warning("twofold", file, f"every segment of {inner} is annotated as {outer}, too", mend)
        for inner, outer in _always_together(videos)
    ]


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
    for folder in sorted({path.parent for path in paths if path.suffix.lower() == ".npy"}):
        extra = sorted(path.name for path in visible(folder, "*.npy") if path not in known)
        extra = [name for name in extra if nfc(name[: -len(".npy")]) not in names]
        if extra and len(known) > 1:
            message = f"{len(extra)} arrays of no training or test video ({few(extra)})"
            mend = "They are not used; if they should be, annotate the videos and list their subset"
            found.append(warning("unlisted", folder, message, mend))
    return found
