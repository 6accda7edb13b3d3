"""The THUMOS challenge's evaluation kits: "thumos-2014" and "thumos-updated".

Times are seconds, and an interval that ends before it starts is turned around. In each video and
class the instances take their turn, in annotation order: each is hit by the detection that overlaps
it most (of equal ones the more confident) among those not yet used, whatever its confidence,
provided that the IoU is > threshold. Detections that hit nothing and overlap an ambiguous interval
of their video are then left out; the others, in whatever video, are false positives.

"thumos-updated" ranks by falling confidence (equal ones by the name of the video) and sums the
precisions at hits over the number of instances. "thumos-2014" ranks hits before false positives of
the same confidence and takes the mean of the precision at 11 levels of recall. A class whose
detections are all left out has 0 (the updated kit stops there).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..data.video import Video
from ..detections import Detection
from .ambiguous import ambiguous_intervals, meets
from .matching import Table, _pairs, greedy
from .precision import eleven_point_precision, mean_precision_at_hits
from .tables import in_seconds


class ThumosKit(NamedTuple):
    """Rules by which instances look for detections, and ambiguous ones are left out afterwards.

    Args:
        average_precision: (detections, hits (N, n), counted (N, n), number of instances) of one
            class, by rank -> precisions (n,).
        match: (detections, instances, thresholds (n,)) of one class -> hits (N, n).
    """

    average_precision: Callable
    match: Callable

    def __call__(
        self, detections: Sequence[Detection], videos: Sequence[Video], tiou: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Average precisions (n,) of each class at the thresholds (n,)."""
        classes, found, truth = in_seconds(detections, videos)
        tables = found, truth, ambiguous_intervals(videos)
        found, truth, ambiguous = _by_name(detections, videos, *map(_in_order, tables))
        found = found.rows(np.lexsort((found.video, -found.score)))
        excused = meets(found, ambiguous)
        per_class = {}
        for k, name in enumerate(classes):
            mine, instances = found.label == k, truth.rows(truth.label == k)
            ranked = found.rows(mine)
            hits = self.match(ranked, instances, tiou)
            counted = hits | ~excused[mine, None]
            positives = len(instances.label)
            per_class[name] = self.average_precision(ranked, hits, counted, positives)
        return per_class


def _in_order(table: Table) -> Table:
    start, end = np.minimum(table.start, table.end), np.maximum(table.start, table.end)
    return table._replace(start=start, end=end)


def _by_name(detections, videos, found, *given) -> tuple[Table, ...]:
    """The tables, their videos numbered by name, also those only detections know of."""
    names = sorted({v.id for v in videos} | {d.video for d in detections})
    number = {name: i for i, name in enumerate(names)}
    found = found._replace(video=np.array([number[d.video] for d in detections], int))
    place = np.array([number[v.id] for v in videos], int)
    given = [table._replace(video=place[table.video]) for table in given]
    return found, *(t.rows(np.argsort(t.video, kind="stable")) for t in given)


def best_free_detection(found: Table, truth: Table, tiou: np.ndarray) -> np.ndarray:
    """Hits (N, n) of one class's detections, given by rank, at n thresholds."""
    det, inst = _pairs(found.video, truth.video)
    overlap = _overlap(found.start[det], found.end[det], truth.start[inst], truth.end[inst])
    near = np.flatnonzero(overlap > tiou.min())
    near = near[np.lexsort((det[near], -overlap[near], inst[near]))]
    pair, level = np.nonzero(overlap[near, None] > tiou)
    det, inst = det[near[pair]], inst[near[pair]]
    taken = greedy(inst * len(tiou) + level, det * len(tiou) + level)
    hits = np.zeros((len(found.score), len(tiou)), bool)
    hits[det[taken], level[taken]] = True
    return hits


def _overlap(start, end, true_start, true_end) -> np.ndarray:
    """What two intervals share over what they span together, elementwise; 0 where nothing."""
    shared = np.minimum(end, true_end) - np.maximum(start, true_start)
    span = np.maximum(end, true_end) - np.minimum(start, true_start)
    return np.divide(shared, span, out=np.zeros_like(shared), where=shared > 0)


def updated_ap(found: Table, hits: np.ndarray, counted: np.ndarray, positives: int) -> np.ndarray:
    """Sums (n,) of the precisions at hits over the number of instances."""
    return mean_precision_at_hits(hits, positives, counted)


def original_ap(found: Table, hits: np.ndarray, counted: np.ndarray, positives: int) -> np.ndarray:
    """Means (n,) of the precision at 11 levels of recall, of equal scores the hits first."""
    best_first = [np.lexsort((~hit, -found.score)) for hit in hits.T]
    columns = zip(best_first, hits.T, counted.T, strict=True)
    ranked = [hit[order][kept[order]] for order, hit, kept in columns]
    return np.array([eleven_point_precision(hit, positives) for hit in ranked])
