"""The rules of codes that score in snippets of 16 frames at 25 fps: CO2-Net (and DELU), W-TALC.

All times are rounded to whole snippets, so that a short instance may become empty; it counts, and
nothing can hit it. A detection that shares a snippet with an ambiguous interval of its video is
removed beforehand, hit or not. CO2-Net then scores as ActivityNet does. W-TALC leaves out
detections in videos without instances, takes detections by falling score (of equal ones the
earlier first), lets each hit the first free instance in annotation order with IoU >= threshold,
and sums the precisions at the hits without interpolation. (Its code makes the whole mAP 0 where one
class is left without detections; here that class has 0.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..data.video import Video
from ..detections import Detection
from .activitynet import ClassByClass
from .ambiguous import ambiguous_intervals, meets
from .matching import Table, choose, interval_iou
from .tables import in_seconds


def rounded(seconds: np.ndarray) -> np.ndarray:
    """Seconds to whole snippets, exact halves to the even one.

    >>> rounded(np.array([1.6, 0.64, 8.0]))
    array([ 2.,  1., 12.])
    """
    return np.rint(seconds * 25 / 16)


def in_snippets(
    detections: Sequence[Detection], videos: Sequence[Video]
) -> tuple[list[str], Table, Table]:
    """Class names, detections and instances in whole snippets, ambiguous detections removed."""
    classes, found, truth = in_seconds(detections, videos)
    found, truth, ambiguous = map(_rounded, (found, truth, ambiguous_intervals(videos)))
    return classes, found.rows(~meets(found, ambiguous)), truth


def _rounded(table: Table) -> Table:
    return table._replace(start=rounded(table.start), end=rounded(table.end))


def in_annotated_videos(
    detections: Sequence[Detection], videos: Sequence[Video]
) -> tuple[list[str], Table, Table]:
    """`in_snippets`, without the detections of videos that have no instance of any class."""
    classes, found, truth = in_snippets(detections, videos)
    return classes, found.rows(np.isin(found.video, truth.video)), truth


def first_free_instance(found: Table, truth: Table, tiou: np.ndarray) -> np.ndarray:
    """Hits (N, n) of one class's detections at n thresholds, by falling score; see the module."""
    found = found.rows(np.argsort(-found.score, kind="stable"))
    return choose(found, truth, tiou, interval_iou, best=False) >= 0


def summed_ap(hits: np.ndarray, positives: int, kept=True) -> np.ndarray:
    """Sum of the precisions at the hits over the number of instances, (n,).

    Args:
        hits: by falling score at n thresholds, shape (N, n).
        positives: number of instances.
        kept: which detections count, shape (N, n).

    >>> summed_ap(np.array([[True], [False], [True]]), 2)
    array([0.83333333])
    """
    rank = np.cumsum(np.broadcast_to(kept, hits.shape), axis=0)
    precision = np.cumsum(hits, axis=0) / np.maximum(rank, 1)
    return np.where(hits, precision, 0).sum(axis=0) / positives


CO2NET = ClassByClass(prepare=in_snippets)
WTALC = ClassByClass(in_annotated_videos, first_free_instance, summed_ap)
