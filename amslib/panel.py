"""One set of detections under every protocol of the field."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass

from .data.findings import DataWarning
from .data.video import Video
from .detections import Detection
from .evaluation import Evaluation, evaluate
from .protocols import DESCRIPTIONS, PROTOCOLS
from .protocols.subset import LEFT_OUT

RANGES = ((0.1, 0.5), (0.3, 0.7), (0.1, 0.7))


@dataclass(frozen=True)
class Panel:
    """What `evaluate_panel` returns; printed, it is a table.

    Args:
        evaluations: by the name of the protocol, each at IoU 0.1, 0.2, .., 0.7 as the protocol's
            own code has them.
        about: what each protocol does, in words.
    """

    evaluations: dict[str, Evaluation]
    about: dict[str, str]

    columns = ("protocol", *(f"{t / 10:g}" for t in range(1, 8)), *(f"{a}-{b}" for a, b in RANGES))

    def rows(self) -> dict[str, list[str]]:
        """mAP in percent at each IoU and its average over each of `RANGES`, by protocol."""
        return {
            name: [f"{100 * x:.1f}" for x in (*e.map, *(e.average(*r) for r in RANGES))]
            for name, e in self.evaluations.items()
        }

    def spread(self, low: float, high: float) -> tuple[float, float]:
        """Lowest and highest average mAP over the thresholds in [low, high], fractions."""
        values = [e.average(low, high) for e in self.evaluations.values()]
        return min(values), max(values)

    def __str__(self) -> str:
        first = max(map(len, self.evaluations))
        lines = [f"{'mAP (%)':{first}}" + "".join(f"{name:>8}" for name in self.columns[1:])]
        lines += [f"{n:{first}}" + "".join(f"{x:>8}" for x in r) for n, r in self.rows().items()]
        return "\n".join([*lines, "", *(f"{n:{first}}  {text}" for n, text in self.about.items())])

    def to_dict(self) -> dict:
        """``Evaluation.to_dict()`` of each protocol, for json."""
        return {name: e.to_dict() for name, e in self.evaluations.items()}


def evaluate_panel(detections: Iterable[Detection], videos: Iterable[Video]) -> Panel:
    """Mean average precision under every protocol, see `amslib.protocols`.

    Args:
        detections: in any order; it decides only between equal scores.
        videos: the ground truth; `id`, `segments` and `ambiguous` are looked at.

    Raises:
        ValueError: as `evaluate`.
    """
    detections, videos = list(detections), list(videos)
    first, *others = PROTOCOLS
    evaluations = {first: evaluate(detections, videos, protocol=first)}
    with warnings.catch_warnings():  # the first has said it
        warnings.simplefilter("ignore", DataWarning)
        evaluations |= {name: evaluate(detections, videos, protocol=name) for name in others}
    about = dict(DESCRIPTIONS)
    if not LEFT_OUT & {*(v.id for v in videos), *(d.video for d in detections)}:
        about["activitynet-210"] += "; none of them is here"
    return Panel(evaluations, about)
