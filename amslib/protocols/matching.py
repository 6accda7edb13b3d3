"""Which detections hit which instances, and what that is worth: arrays of one class, no objects."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np


class Table(NamedTuple):
    """Detections, or instances (with score 1), as columns of shape (N,)."""

    video: np.ndarray  # index, -1 in videos that are not given
    label: np.ndarray  # index of the class, -1 where it has no instance
    start: np.ndarray
    end: np.ndarray
    score: np.ndarray

    def rows(self, which) -> Table:
        """Those rows of every column."""
        return Table(*(column[which] for column in self))


def by_label(table: Table, classes: int) -> list[np.ndarray]:
    """The rows of each of the labels 0, .., classes - 1, in the order of the table.

    >>> column = np.array([1, -1, 0, 1])
    >>> by_label(Table(*[column] * 5), 2)
    [array([2]), array([0, 3])]
    """
    order = np.argsort(table.label, kind="stable")
    ends = np.searchsorted(table.label[order], np.arange(classes + 1))
    return [order[start:end] for start, end in pairwise(ends)]


def best_free_instance(found: Table, truth: Table, tiou: np.ndarray) -> np.ndarray:
    """Hits (N, n) of one class's detections at n thresholds, by falling score.

    Equal scores: the later detection first. Equal IoU: the later instance first.
    """
    found = found.rows(np.argsort(found.score, kind="stable")[::-1])
    det, inst = _pairs(found.video, truth.video)
    iou = interval_iou(found.start[det], found.end[det], truth.start[inst], truth.end[inst])
    near = np.flatnonzero(iou >= tiou.min())
    near = near[np.lexsort((-inst[near], -iou[near], det[near]))]
    pair, level = np.nonzero(iou[near, None] >= tiou)
    det, inst = det[near[pair]], inst[near[pair]]
    taken = greedy(det * len(tiou) + level, inst * len(tiou) + level)
    hits = np.zeros((len(found.score), len(tiou)), bool)
    hits[det[taken], level[taken]] = True
    return hits


def _pairs(found: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices (P,), (P,) of all pairs with equal entries >= 0; truth is sorted."""
    sizes = np.bincount(truth + 1, minlength=found.max(initial=-1) + 2)  # of the videos -1, 0, ..
    count = sizes[found + 1]
    skipped = (np.cumsum(sizes) - sizes)[found + 1] - (np.cumsum(count) - count)
    return (
        np.repeat(np.arange(len(found)), count),
        np.repeat(skipped, count) + np.arange(count.sum()),
    )


def interval_iou(start, end, true_start, true_end) -> np.ndarray:
    """Intersection over union, elementwise; 0 where the union is empty or negative.

    The order of the operations decides whether an IoU that should equal a threshold reaches it; it
    is that of ActivityNet's code.

    >>> interval_iou(np.array([0.0, 5.0]), np.array([4.0, 5.0]), 2.0, 6.0)
    array([0.33333333, 0.        ])
    """
    inter = np.maximum(0, np.minimum(end, true_end) - np.maximum(start, true_start))
    union = (true_end - true_start) + (end - start) - inter
    return np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)


def greedy(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Which pairs are taken if, in order, each is taken unless one of its two ends already is.

    A pair that comes first at both of its ends will be taken whatever the others do, so each round
    settles all such pairs at once; there are never more rounds than detections or instances of one
    video and class.

    Args:
        left: one end of each pair, shape (P,), integers >= 0.
        right: the other.

    >>> greedy(np.array([0, 1, 1, 2]), np.array([0, 0, 1, 1]))
    array([ True, False,  True, False])
    """
    taken = np.zeros(len(left), bool)
    free_left = np.ones(left.max(initial=-1) + 1, bool)
    free_right = np.ones(right.max(initial=-1) + 1, bool)
    still = np.arange(len(left))
    while still.size:
        a, b = left[still], right[still]
        sure = _is_first(a) & _is_first(b)
        taken[still[sure]] = True
        free_left[a[sure]] = free_right[b[sure]] = False
        still = still[free_left[a] & free_right[b]]
    return taken


def _is_first(ids: np.ndarray) -> np.ndarray:
    """Whether each entry is the first of its value."""
    place = np.arange(len(ids))
    first = np.empty(ids.max() + 1, int)
    first[ids[::-1]] = place[::-1]  # of repeated indices the last assignment stays
    return first[ids] == place


def interpolated_ap(hits: np.ndarray, positives: int) -> np.ndarray:
    """Area (n,) under the interpolated precision-recall curves of hits (N, n), over all points."""
    found = np.cumsum(hits, axis=0)
    precision = found / np.arange(1, len(hits) + 1)[:, None]
    envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    return np.where(hits, envelope, 0).sum(axis=0) / positives
