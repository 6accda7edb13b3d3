"""The organisers' kits for THUMOS14: "thumos-2014", and "thumos-updated" of the year after.

Each instance, in annotation order, takes the detection of its video and class that overlaps it
most, however unsure, among those not yet taken (of equal ones the surer), if the IoU is strictly
above the threshold. A detection that nothing took and that overlaps an ambiguous interval of its
video counts neither way. Intervals that end before they start are turned round.

The kit of 2014 averages the best precision at eleven levels of recall, and of equal scores ranks
hits first; the updated one sums the precisions at the hits, and of equal scores ranks by the name
of the video, then as given. (It stops where all detections of a class are ambiguous; here such a
class has 0.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from ..data.video import Video
from ..detections import Detection
from .ambiguous import ambiguous_intervals, meets
from .matching import Table, by_label, choose
from .snippets import summed_ap
from .tables import in_seconds, indices

# 0:0.1:1 as Octave computes it; a recall of exactly 3/10, 6/10 or 7/10 misses its level
RECALLS = (
    *(0.0, 0.1, 0.2, 0.30000000000000004, 0.4, 0.5),
    *(0.6000000000000001, 0.7000000000000001, 0.8, 0.9, 1.0),
)


class Kit(NamedTuple):
    """One of the two kits.

    Args:
        average_precision: (scores (N,), hits (N, n), kept (N, n), number of instances) of one
            class, the rows by falling score -> precisions (n,).
    """

    average_precision: Callable

    def __call__(
        self, detections: Sequence[Detection], videos: Sequence[Video], tiou: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Average precisions (n,) of each class at the thresholds (n,)."""
        classes, found, truth, ambiguous = prepare(detections, videos)
        rows, instances = (by_label(table, len(classes)) for table in (found, truth))
        per_class = {}
        for name, mine, own in zip(classes, rows, instances, strict=True):
            hits = taken_by_instances(found.rows(mine), truth.rows(own), tiou)
            kept = hits | ~ambiguous[mine, None]
            per_class[name] = self.average_precision(found.score[mine], hits, kept, len(own))
        return per_class


def prepare(
    detections: Sequence[Detection], videos: Sequence[Video]
) -> tuple[list[str], Table, Table, np.ndarray]:
    """Class names, detections by falling score, instances, and which detections are ambiguous.

    Of equal scores the video's name decides, then the order given. Videos are numbered by name,
    those without ground truth too; instances are sorted by video, then as annotated.
    """
    classes, found, truth = in_seconds(detections, videos)
    given = [v.id for v in videos]
    names = sorted({*given, *map(itemgetter(0), detections)})
    number = {name: i for i, name in enumerate(names)}
    of_given = indices(given, number)
    found = found._replace(video=indices(map(itemgetter(0), detections), number))
    found = _ordered(found)
    found = found.rows(np.lexsort((found.video, -found.score)))
    truth, ambiguous = (
        _ordered(_sorted(table._replace(video=of_given[table.video])))
        for table in (truth, ambiguous_intervals(videos))
    )
    return classes, found, truth, meets(found, ambiguous)


def _sorted(table: Table) -> Table:
    return table.rows(np.argsort(table.video, kind="stable"))


def _ordered(table: Table) -> Table:
    return table._replace(
        start=np.minimum(table.start, table.end), end=np.maximum(table.start, table.end)
    )


def taken_by_instances(found: Table, truth: Table, tiou: np.ndarray) -> np.ndarray:
    """Hits (N, n) of one class's detections, given by falling score, at n thresholds."""
    above = np.nextafter(tiou, np.inf)
    taken = choose(truth, found, above, overlap_in_hull)
    instance, level = np.nonzero(taken >= 0)
    hits = np.zeros((len(found.score), len(tiou)), bool)
    hits[taken[instance, level], level] = True
    return hits


def overlap_in_hull(start, end, true_start, true_end) -> np.ndarray:
    """Time in common over time from the first start to the last end, elementwise; 0 if none."""
    common = np.minimum(end, true_end) - np.maximum(start, true_start)
    hull = np.maximum(end, true_end) - np.minimum(start, true_start)
    return np.divide(common, hull, out=np.zeros_like(common), where=common > 0)


def summed_over_kept(scores, hits: np.ndarray, kept: np.ndarray, positives: int) -> np.ndarray:
    """The updated kit: sum of the precisions at the hits over the number of instances."""
    return summed_ap(hits, positives, kept)


def eleven_points(scores, hits: np.ndarray, kept: np.ndarray, positives: int) -> np.ndarray:
    """The kit of 2014: mean of the best precision at each of `RECALLS` or beyond."""
    return np.array(
        [_eleven(hits[k, i], scores[k], positives) for i, k in enumerate(kept.T)], float
    )


def _eleven(hits: np.ndarray, scores: np.ndarray, positives: int) -> float:
    found = np.cumsum(hits[np.lexsort((~hits, -scores))])
    precision, recall = found / np.arange(1, len(found) + 1), found / positives
    return np.mean([precision[recall >= level].max(initial=0) for level in RECALLS])


THUMOS_2014 = Kit(eleven_points)
THUMOS_UPDATED = Kit(summed_over_kept)
