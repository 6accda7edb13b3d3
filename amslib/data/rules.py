"""What features and annotations must agree on; each rule returns findings and raises nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from .findings import Finding, error, warning
from .video import Video

# seconds from one snippet to the next, the most usual first
STEPS = [frames / fps for fps in (25, 30, 24) for frames in (16, 8, 4, 32, 64)]
STEPS += [0.5, 1, 0.25, 0.2, 0.1, 2, 4, 5]
BLOCK = 2**16  # values looked at together: they stay in the processor's cache
EXTREME = 1e6  # no network gives features like that
FEWEST = 10  # videos, to wonder that all segments lie in their first halves


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


def non_finite_rows(array: np.ndarray) -> np.ndarray:
    """Indices of the rows of real numbers (T, D) that are not finite in float32, the type that is
    computed in: of wider types, a value may be finite and yet too large.
    """
    step, found = max(1, BLOCK // max(1, array.shape[1])), []
    for start in range(0, len(array), step):
        with np.errstate(all="ignore"):
            block = np.asarray(array[start : start + step], np.float32)
            # one number that is finite if all are, unless they are huge; twice as fast as isfinite
            if not np.isfinite(np.dot(block.ravel(), block.ravel())):
                found.append(start + np.flatnonzero(~np.isfinite(block).all(axis=1)))
    return np.concatenate(found) if found else np.empty(0, int)


def value_findings(video: str, path, array: np.ndarray, stream: str) -> list[Finding]:
    """Rows that are not finite in float32 (an error), zero throughout or of extreme values
    (warnings); reads every value.
    """
    found, of = [], f"of {len(array)} rows of {stream}"
    wrong = non_finite_rows(array)
    if wrong.size:
        message, mend = f"row {wrong[0]} is not finite", "Extract the video again"
        if np.isfinite(array[wrong[0]]).all():
            message += f" in float32, to which its {array.dtype} values are converted"
            mend += ", or divide all features by one number"
        found.append(error("nan", path, f"{message} ({wrong.size} {of})", mend, video))
    zero = np.flatnonzero(_by_row(array, lambda rows: ~rows.any(axis=1)))
    if zero.size:
        message = f"row {zero[0]} is zero throughout ({zero.size} {of})"
        mend = "Cut the rows if they are padding, else extract the video again"
        found.append(warning("zero", path, message, mend, video))
    extreme = _by_row(array, lambda rows: (abs(rows) > EXTREME).any(axis=1))
    extreme[wrong] = False
    if extreme.any():
        row = np.flatnonzero(extreme)[0]
        message = f"row {row} has values beyond {EXTREME:g} ({extreme.sum()} {of})"
        mend = "Extract the video again, or divide all features by one number"
        found.append(warning("extreme", path, message, mend, video))
    return found


def _by_row(array: np.ndarray, judge: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """What a function of rows in float32 says of each row of (T, D), (T,)."""
    step = max(1, BLOCK // max(1, array.shape[1]))
    answers = np.zeros(len(array), bool)
    with np.errstate(over="ignore"):
        for first in range(0, len(array), step):
            rows = np.asarray(array[first : first + step], np.float32)
            answers[first : first + step] = judge(rows)
    return answers


def duration_findings(videos: Sequence[Video], fixes: Iterable[Fix] = ()) -> list[Finding]:
    """Videos whose snippets do not last as long as the video, and what would make most fit.

    Args:
        videos: of any duration, known or not.
        fixes: what may be done about the time axis, the most usual first.
    """
    known = [v for v in videos if v.duration and v.num_snippets]
    wrong = [v for v in known if not _fits(v)]
    if not wrong:
        return []
    mend, fitting = "Extract the video again, or correct its duration", len(known) - len(wrong)
    counts = [(sum(_fits(fix.retimed(v)) for v in known), fix.text) for fix in fixes]
    most = max((count for count, _ in counts), default=0)
    if most > fitting:
        near = most - len(known) // 20  # rather usual than best by a few videos
        count, text = next(c for c in counts if fitting < c[0] >= near)
        mend = f"{text}, which fits {count} of {len(known)} videos"
    return [_duration_finding(v, mend) for v in wrong]


class Fix(NamedTuple):
    """What may be done about the time axis of a data set.

    Args:
        text: the same in words.
        retimed: a video as it would be then.
    """

    text: str
    retimed: Callable[[Video], Video]


def step_fixes(videos: Sequence[Video], text: str = "Pass snippet_seconds={}") -> list[Fix]:
    """Other seconds from one snippet to the next: usual ones, and the median of what fits.

    Args:
        videos: of which some have a duration and snippets.
        text: has a place for the number.
    """
    rates = [v.duration / v.num_snippets for v in videos if v.duration and v.num_snippets]
    steps = [*STEPS, *([round(float(np.median(rates)), 3)] if rates else [])]
    numbers = [f"{step:.6g}" for step in steps if step > 0]
    return [Fix(text.format(x), partial(replace, snippet_seconds=float(x))) for x in numbers]


def _duration_finding(video, mend) -> Finding:
    count, step = video.num_snippets, video.snippet_seconds
    around = _covered(video) - count * step
    lasting = f"{count} snippets of {step:.6g} s"
    if around:
        lasting += f" and {around:.3g} s around them"
    lasting += f" make {_covered(video):.1f} s"
    message = f"{lasting} but the video lasts {video.duration:.1f} s"
    file = next(iter(parts_of(video).values())).path
    return warning("duration", file, message, mend, video.id)


def _fits(video) -> bool:
    # extractors drop the last, incomplete snippet; containers round the duration
    allowed = video.snippet_seconds + 0.01 * video.duration
    return abs(_covered(video) - video.duration) <= allowed


def _covered(video) -> float:
    """Seconds the snippets see; what lies before the first is taken to lie behind the last, too."""
    return video.num_snippets * video.snippet_seconds + 2 * max(0.0, video.offset_seconds)


def segment_findings(videos: Sequence[Video], file, timing: str = "") -> list[Finding]:
    """Segments that end more than a snippet past the end of their video, the worst first; others
    that start when it is over; and that none ends in the second half of its video, if there are
    many without a duration.

    Args:
        videos: with a duration or with features.
        file: where the segments are.
        timing: how the time axis of the features is corrected.
    """
    found, shares = [], []
    for video in videos:
        length = video.duration or _covered(video)
        if not (video.segments and length):
            continue
        last = max(s[1] for s in video.segments)
        past = [s for s in video.segments if s[1] > length + video.snippet_seconds]
        if past:
            message = f"{len(past)} segments end after the video ({last:g} s of {length:.1f} s)"
            other = "the duration" if video.duration else timing
            mend = f"They are kept as annotated; correct the times, or {other}, if wrong"
            found.append((length - last, warning("past the end", file, message, mend, video.id)))
        bound = video.duration or length + video.snippet_seconds
        late = [s for s in video.segments if s[0] >= bound and s not in past]
        if late:
            message = f"{len(late)} segments start when the video is over ({late[0]})"
            mend = "No detection can match them; correct the times"
            found.append((0.0, warning("starts past the end", file, message, mend, video.id)))
        if not video.duration:
            shares.append(last / length)
    findings = [finding for _, finding in sorted(found, key=lambda pair: pair[0])]
    if len(shares) >= FEWEST and max(shares) < 0.5:
        message = f"no segment ends after {max(shares):.0%} of its video, in {len(shares)} videos"
        mend = f"If the snippets are shorter than they are taken to be, correct {timing}"
        findings.append(warning("early", file, message, mend))
    return findings


def stream_findings(streams: Sequence[str], file) -> list[Finding]:
    """Streams that fusion may weigh otherwise than their user thinks."""
    others = [name for name in streams if name not in ("rgb", "flow")]
    alike = [name for name in streams if "rgb" in name.lower() or "flow" in name.lower()]
    if len(streams) < 2 or not others or not alike:
        return []
    message = (
        f"streams {', '.join(streams)}: fusion weighs rgb by beta and every other stream by 1, "
        f"so also {', '.join(others)}"
    )
    mend = "Rename the folder to rgb or flow if it is that"
    return [warning("streams", file, message, mend)]


def start_findings(videos: Sequence[Video], file) -> list[Finding]:
    """Segments that start before their video."""
    found = []
    for video in videos:
        early = [s for s in video.segments if s[0] < 0]
        if early:
            message = f"{len(early)} segments start before the video ({early[0]})"
            mend = "They are kept as annotated; correct the times if they are wrong"
            found.append(warning("before the start", file, message, mend, video.id))
    return found


def annotation_findings(train: Sequence[Video], test: Sequence[Video], file) -> list[Finding]:
    """Videos that last no time, and videos named twice."""
    found = []
    for video in (*train, *test):
        if video.duration is not None and not video.duration > 0:
            mend = "Give its length in seconds, or none"
            message = f"a duration of {video.duration} s"
            found.append(error("no duration", file, message, mend, video.id))
    for name, count in Counter(v.id for v in (*train, *test)).items():
        if count > 1:
            mend = "Keep it once, in training or in test"
            found.append(error("twice", file, f"named {count} times", mend, name))
    return found


def unsegmented(video: Video) -> list[str]:
    """Labels of a video of which it has neither a segment nor, perhaps, an ambiguous interval."""
    shown = {segment[2] for segment in video.segments}
    return [] if video.ambiguous else [label for label in video.labels if label not in shown]
