"""What two sides of an evaluation do not share: videos and labels that only one of them names."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Sequence
from operator import itemgetter

from .data.findings import DataWarning
from .data.rules import unsegmented
from .data.values import few
from .data.video import Video
from .detections import Detection
from .protocols.subset import LEFT_OUT

DOES = {
    "video": "They match nothing, and most protocols count them as false positives",
    "label": "They are not scored, and what they should have matched is missed",
}


def warn_of_mismatches(detections: Sequence[Detection], videos: Sequence[Video]) -> None:
    """One warning for each way in which the names of the two sides differ.

    What changes no score is not remarked: labels that are like none of the ground truth while all
    of these are detected. Nor are the three test videos of THUMOS14 that ground truths leave out.

    Warns:
        DataWarning: detections of unknown videos or labels, or of a class that labels their video
            but has no segment there.
    """
    for text in filter(None, (*_of_names(detections, videos), _unsegmented(detections, videos))):
        warnings.warn(text, DataWarning, stacklevel=3)


def undetected(detections: Sequence[Detection], videos: Sequence[Video]) -> list[str]:
    """Names of the videos that have segments and no detection, unless a warning has named them."""
    of_videos, _ = _of_names(detections, videos)
    found = {d.video for d in detections}
    return [] if of_videos else [v.id for v in videos if v.segments and v.id not in found]


def unscored_labels(detections: Sequence[Detection], videos: Sequence[Video]) -> list[str]:
    """Of each detection whose label no video has, the label, unless a warning has named them."""
    _, of_labels = _of_names(detections, videos)
    known = {label for v in videos for label in (*v.labels, *(s[2] for s in v.segments))}
    return [] if of_labels else [d.label for d in detections if d.label not in known]


def _of_names(detections: Sequence[Detection], videos: Sequence[Video]) -> tuple[str, str]:
    """What is to be said of the names of videos and of labels; "" where they fit."""
    ids = {v.id for v in videos}
    shown = {segment[2] for v in videos for segment in v.segments}
    labels = shown.union(*(v.labels for v in videos))
    return (
        _strangers(detections, 0, "video", ids - LEFT_OUT, ids | LEFT_OUT),
        _strangers(detections, 1, "label", shown, labels),
    )


def _strangers(detections, column: int, what: str, known: set[str], allowed: set[str]) -> str:
    names = set(map(itemgetter(column), detections))
    if names <= allowed:
        return ""
    count = Counter(d[column] for d in detections if d[column] not in allowed)
    total, alike = count.total(), {_plain(name): name for name in sorted(known, reverse=True)}
    if total == len(detections):
        first = detections[0][column]
        pair = f"{first!r}, the ground truth {alike.get(_plain(first), min(known, default=''))!r}"
        text = f"none of {total} detections has a {what} of the ground truth: the first has {pair}"
        return f"{text}. Name them alike, a leading v_ included; as it stands mAP is 0."
    near = [name for name in count if _plain(name) in alike]
    missed = sorted(known - names)
    if what == "label" and not near and not missed:
        return ""
    shown = [f"{name!r} (did you mean {alike[_plain(name)]!r}?)" for name in near]
    shown += [repr(name) for name in count if name not in near]
    text = f"{total} of {len(detections)} detections {_have(total)} a {what} that the ground truth "
    text += f"does not have: {few(shown)}"
    if missed:
        text += f"; {len(missed)} of its {len(known)} {what}s {_have(len(missed))} no detection"
        text += f" ({few([repr(name) for name in missed])})"
    return f"{text}. {DOES[what]}; rename one side, or leave them out."


def _have(count: int) -> str:
    return "has" if count == 1 else "have"


def _unsegmented(detections, videos) -> str:
    alone = {(v.id, label) for v in videos for label in unsegmented(v)}
    wrong = [d[:2] for d in detections if d[:2] in alone] if alone else []
    if not wrong:
        return ""
    places = [f"{label!r} in {video!r}" for video, label in dict.fromkeys(wrong)]
    text = f"{len(wrong)} of {len(detections)} detections are of a class that labels their video"
    text += f" but has no segment there ({few(places)})"
    return f"{text}. They count as false positives; annotate the segments or leave the videos out."


def _plain(name: str) -> str:
    """Without case, spaces, signs, a leading v_ and what ends the name of a file.

    >>> _plain("v_Sit down.mp4") == _plain("SitDown")
    True
    """
    stem = re.sub(r"\.(mp4|avi|mkv|webm|npy)$", "", str(name).lower().removeprefix("v_"))
    return re.sub(r"[\W_]", "", stem)
