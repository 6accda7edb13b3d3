"""What features and annotations must agree on; each rule returns findings and raises nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .findings import Finding, error, warning
from .video import Video

# seconds from one snippet to the next, the most usual first
STEPS = [frames / fps for fps in (25, 30, 24) for frames in (16, 8, 4, 32, 64)]


@dataclass(frozen=True, eq=False)
class InMemory:
    """One stream of one video that is an array already."""

    array: np.ndarray
    path: str = "in memory"
    shape = property(lambda self: self.array.shape)
    dtype = property(lambda self: self.array.dtype)

    def read(self) -> np.ndarray:
        """(T, D)."""
        return self.array


def parts_of(video: Video) -> Mapping:
    """Per stream something with ``path``, ``shape``, ``dtype`` and ``read()``, on disk or not."""
    parts = getattr(video.features, "parts", None)
    return {s: InMemory(x) for s, x in video.features.items()} if parts is None else parts


def shape_findings(videos: Sequence[Video]) -> list[Finding]:
    """Streams that are no floats (T, D), or differ in length or from the usual width."""
    rows = [(v.id, stream, part) for v in videos for stream, part in parts_of(v).items()]
    found = [finding for row in rows for finding in _array_findings(*row)]
    wrong = {finding.video for finding in found}
    sound = [row for row in rows if row[0] not in wrong]
    widths = {stream: Counter() for _, stream, _ in sound}
    for _, stream, part in sound:
        widths[stream][part.shape[1]] += 1
    for video, stream, part in sound:
        ((usual, _),) = widths[stream].most_common(1)
        if part.shape[1] != usual:
            message = f"{stream} is {part.shape[1]} wide where most videos have {usual}"
            mend = "Extract every video with one network"
            found.append(error("width", part.path, message, mend, video))
    lengths = [_length_findings(v) for v in videos if v.id not in wrong]
    return found + [finding for one in lengths for finding in one]


def _array_findings(video, stream, part) -> list[Finding]:
    if len(part.shape) != 2 or part.dtype.kind != "f":
        message = f"{stream} is {part.dtype} of shape {part.shape} where floats (T, D) are expected"
        mend = "Save one row of numbers per snippet, without pickle"
        return [error("array", part.path, message, mend, video)]
    if 0 in part.shape:
        mend = "Extract its features, or take the video out of the data set"
        return [error("empty", part.path, f"{stream} has no snippet", mend, video)]
    return []


def _length_findings(video) -> list[Finding]:
    parts = parts_of(video)
    if len({part.shape[0] for part in parts.values()}) < 2:
        return []
    lengths = " and ".join(f"{part.shape[0]} of {stream}" for stream, part in parts.items())
    mend = "Cut both to the shorter if they differ by a snippet, else extract the video again"
    file = next(iter(parts.values())).path
    return [error("length", file, f"the streams differ in length: {lengths}", mend, video.id)]


def value_findings(video: str, path, array: np.ndarray) -> list[Finding]:
    """Rows that are not finite (an error) or zero throughout (a warning); reads every value."""
    found = []
    wrong = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if wrong.size:
        message = f"row {wrong[0]} is not finite ({wrong.size} of {len(array)} rows)"
        found.append(error("nan", path, message, "Extract the video again", video))
    zero = np.flatnonzero(~array.any(axis=1))
    if zero.size:
        message = f"row {zero[0]} is zero throughout ({zero.size} of {len(array)} rows)"
        mend = "Cut the rows if they are padding, else extract the video again"
        found.append(warning("zero", path, message, mend, video))
    return found


def duration_findings(videos: Sequence[Video]) -> list[Finding]:
    """Videos whose snippets do not last as long as the video, and the step that would fit."""
    known = [v for v in videos if v.duration and v.num_snippets]
    wrong = [v for v in known if not _fits(v, v.snippet_seconds)]
    if not wrong:
        return []
    step = _likely_step(wrong)
    fitting = sum(_fits(v, step) for v in known)
    mend = "Extract the video again, or correct its duration"
    if fitting > len(known) - len(wrong):
        mend = f"Pass snippet_seconds={step:.6g}, which fits {fitting} of {len(known)} videos"
    return [_duration_finding(v, mend) for v in wrong]


def _duration_finding(video, mend) -> Finding:
    count, step = video.num_snippets, video.snippet_seconds
    around = _covered(video, 0)
    lasting = f"{count} snippets of {step:.6g} s"
    if around:
        lasting += f" and {around:.3g} s around them"
    lasting += f" make {_covered(video, step):.1f} s"
    message = f"{lasting} but the video lasts {video.duration:.1f} s"
    file = next(iter(parts_of(video).values())).path
    return warning("duration", file, message, mend, video.id)


def _fits(video, step) -> bool:
    # extractors drop the last, incomplete snippet; containers round the duration
    return abs(_covered(video, step) - video.duration) <= step + 0.01 * video.duration


def _covered(video, step) -> float:
    """Seconds the snippets see; what lies before the first is taken to lie behind the last, too."""
    return video.num_snippets * step + 2 * max(0.0, video.offset_seconds)


def _likely_step(videos) -> float:
    """The usual step that fits most videos, or their median of seconds per snippet."""
    usual = max(STEPS, key=lambda step: sum(_fits(v, step) for v in videos))
    if sum(_fits(v, usual) for v in videos) > len(videos) / 2:
        return usual
    return round(float(np.median([v.duration / v.num_snippets for v in videos])), 3)


def segment_findings(videos: Sequence[Video], file) -> list[Finding]:
    """Segments that end more than a snippet past the end of their video, the worst first."""
    found = []
    for video in videos:
        length = video.duration or _covered(video, video.snippet_seconds)
        past = [s for s in video.segments if s[1] > length + video.snippet_seconds]
        if past and length:
            end = max(s[1] for s in past)
            message = f"{len(past)} segments end after the video ({end:g} s of {length:.1f} s)"
            mend = "They are kept as annotated; correct the times, or snippet_seconds, if wrong"
            finding = warning("past the end", file, message, mend, video.id)
            found.append((length - end, finding))
    return [finding for _, finding in sorted(found, key=lambda pair: pair[0])]


def annotation_findings(train: Sequence[Video], test: Sequence[Video], file) -> list[Finding]:
    """Training videos without a label, videos that last no time, and videos named twice."""
    found = []
    for video in (*train, *test):
        if video.duration is not None and not video.duration > 0:
            mend = "Give its length in seconds, or none"
            message = f"a duration of {video.duration} s"
            found.append(error("no duration", file, message, mend, video.id))
    for video in train:
        if not video.labels:
            mend = "Label it, or take it out of the training videos"
            message = "a training video without a label teaches only absence"
            found.append(warning("no label", file, message, mend, video.id))
    for name, count in Counter(v.id for v in (*train, *test)).items():
        if count > 1:
            mend = "Keep it once, in training or in test"
            found.append(error("twice", file, f"named {count} times", mend, name))
    return found


def unsegmented_findings(test: Sequence[Video], file) -> list[Finding]:
    """Test videos labelled with a class of which they have no segment, where others have theirs."""
    if not any(video.segments for video in test):
        return []
    found = []
    for video in test:
        names = unsegmented(video)
        if names:
            message = f"a test video labelled {', '.join(names)} without a segment of it"
            mend = "Every detection of it there counts as false; annotate it, or take the label out"
            found.append(warning("no segment", file, message, mend, video.id))
    return found


def unsegmented(video: Video) -> list[str]:
    """Labels of a video of which it has neither a segment nor, perhaps, an ambiguous interval."""
    shown = {segment[2] for segment in video.segments}
    return [] if video.ambiguous else [label for label in video.labels if label not in shown]
