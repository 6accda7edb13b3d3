"""Mean average precision over temporal IoU: the score of every table of the paper (Sec. IV-A)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .data.video import Video
from .detections import Detection
from .mismatches import warn_of_mismatches
from .protocols import LITERAL, PROTOCOLS

# THUMOS14's 0.1, 0.2, .., 0.7 as its evaluation codes compute them: the third is
# 0.30000000000000004, the seventh 0.7000000000000001, and an IoU of exactly 0.3 misses the third.
THUMOS14_TIOU = tuple(np.linspace(0.1, 0.9, 9)[:7].tolist())
# ActivityNet's 0.5, 0.55, .., 0.95; the ninth is 0.8999999999999999
ACTIVITYNET_TIOU = tuple(np.linspace(0.5, 0.95, 10).tolist())


def tiou_range(
    start: float, stop: float, step: float, protocol: str = "activitynet"
) -> tuple[float, ...]:
    """IoU thresholds start, start + step, .., stop, as the doubles that official codes have.

    Args:
        start, stop: first and last threshold, in (0, 1].
        step: > 0; of 0.1 gives values of THUMOS14's list, of 0.05 of ActivityNet's.
        protocol: one of `PROTOCOLS`; the codes of some write 0.3 where others compute it.

    Raises:
        ValueError: the range is empty or leaves (0, 1].

    >>> tiou_range(0.1, 0.3, 0.1)
    (0.1, 0.2, 0.30000000000000004)
    """
    if not (step > 0 and 0 < start <= stop + 1e-9 and stop <= 1):
        raise ValueError(
            f"tiou range {start}:{stop}:{step}; expected 0 < start <= stop <= 1 and step > 0, "
            "e.g. 0.1:0.7:0.1"
        )
    plain = start + step * np.arange(round((stop - start) / step) + 1)
    if protocol in LITERAL:
        return tuple(plain.round(9).tolist())
    official = np.linspace(0.1, 0.9, 9) if step > 0.07 else np.array(ACTIVITYNET_TIOU)
    nearest = official[np.abs(official - plain[:, None]).argmin(1)]
    return tuple(np.where(np.abs(nearest - plain) < 1e-9, nearest, plain).tolist())


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a set of detections is worth; all precisions are fractions in [0, 1].

    Args:
        protocol: name of the rules that were applied.
        tiou: the n IoU thresholds.
        map: mean over the classes of their average precisions, shape (n,).
        per_class: average precisions of each class, shape (n,).
    """

    protocol: str
    tiou: tuple[float, ...]
    map: np.ndarray
    per_class: dict[str, np.ndarray]

    @property
    def average_map(self) -> float:
        """Mean of the mAP over all thresholds."""
        return float(self.map.mean())

    def average(self, low: float, high: float) -> float:
        """Mean of the mAP over the thresholds in [low, high], as in the paper's AVG(0.1-0.5).

        Raises:
            ValueError: no threshold lies there.
        """
        inside = [low - 1e-9 <= t <= high + 1e-9 for t in self.tiou]
        if not any(inside):
            raise ValueError(f"no threshold in [{low}, {high}]; there are {self.tiou}")
        return float(self.map[inside].mean())

    def to_dict(self) -> dict:
        """Everything as plain lists and floats, in full precision, ready for json."""
        return {
            "protocol": self.protocol,
            "tiou": list(self.tiou),
            "mAP": self.map.tolist(),
            "average_mAP": self.average_map,
            "per_class": {name: ap.tolist() for name, ap in self.per_class.items()},
        }


def evaluate(
    detections: Iterable[Detection],
    videos: Iterable[Video],
    tiou: Sequence[float] | None = None,
    protocol: str = "activitynet",
) -> Evaluation:
    """Mean average precision of detections against the segments of the videos.

    The default is the rule of ActivityNet's evaluation code and its many copies, see
    `amslib.protocols.activitynet`; whatever the rules, a label that occurs in no segment is left
    out, and a class that is never detected has 0.

    Args:
        detections: in any order; it decides only between equal scores.
        videos: the ground truth; only `id`, `segments` and, by some rules, `ambiguous` are looked
            at.
        tiou: IoU thresholds in (0, 1]; each is evaluated by itself. By default 0.1, 0.2, .., 0.7
            as the code of the protocol has them.
        protocol: one of `PROTOCOLS`.

    Returns:
        mAP and average precision per class, at each threshold; classes sorted by name.

    Raises:
        ValueError: unknown protocol, a threshold outside (0, 1], no segment at all, a video given
            twice, or a time or score that is no finite number.

    Warns:
        DataWarning: some detections have a video or label that the ground truth does not have, or
            a class that labels their video but has no segment there.

    >>> video = Video("v", segments=((0.0, 4.0, "Diving"), (6.0, 8.0, "Diving")))
    >>> found = [Detection("v", "Diving", 0.0, 3.0, 0.9), Detection("v", "Diving", 5.0, 6.0, 0.4)]
    >>> evaluate(found, [video], tiou=(0.5, 0.75, 0.95)).map
    array([0.5, 0.5, 0. ])
    """
    if protocol not in PROTOCOLS:
        known = ", ".join(map(repr, PROTOCOLS))
        raise ValueError(f"protocol={protocol!r}; expected one of {known}")
    levels = _thresholds(tiou_range(0.1, 0.7, 0.1, protocol) if tiou is None else tiou)
    detections, videos = list(detections), list(videos)
    per_class = PROTOCOLS[protocol](detections, videos, levels)
    warn_of_mismatches(detections, videos)
    mean = np.mean(list(per_class.values()), axis=0)
    return Evaluation(protocol, tuple(levels.tolist()), mean, per_class)


def _thresholds(tiou) -> np.ndarray:
    try:
        levels = np.asarray(tiou, float)
    except (TypeError, ValueError):
        levels = np.array(np.nan)
    if levels.ndim != 1 or not levels.size or not ((levels > 0) & (levels <= 1)).all():
        raise ValueError(f"tiou={tiou!r}; expected IoU thresholds in (0, 1], e.g. (0.5, 0.75)")
    return levels
