"""Which detections hit which instances, and what that is worth: arrays of one class, no objects."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

PAIRS = 1 << 17  # that are held at a time
MANY = 64  # offers, from which on an interval is matched by itself


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
    return choose(found, truth.rows(slice(None, None, -1)), tiou, interval_iou) >= 0


def choose(
    turns: Table, offers: Table, levels: np.ndarray, overlap: Callable, best: bool = True
) -> np.ndarray:
    """Which offer each interval takes at each level, in turn: indices (N, n), -1 for none.

    An interval may take the offers of its video that nobody before it has taken and that it
    overlaps by a level or more: of these the one it overlaps most, of equal ones the first.
    Pairs that share no more than a point are never made, the others at most `PAIRS` at a time.

    Args:
        turns: N intervals of one class; those of the video -1 take nothing.
        offers: intervals of the class.
        levels: n levels > 0, each of which is settled by itself.
        overlap: (start, end, start, end) -> overlaps, elementwise; 0 where no time is shared.
        best: whether the overlap decides between offers, or their order alone.
    """
    order = np.argsort(offers.video, kind="stable")
    offers = offers.rows(order)
    taken = np.full((len(turns.video), len(levels)), -1)
    barred = np.zeros((len(levels), len(order)))  # -inf for what is taken
    for rows in _portions(turns, offers):
        match = _one if len(rows) == 1 else _several
        turn, level, offer = match(turns.rows(rows), offers, levels, overlap, best, barred)
        taken[rows[turn], level] = order[offer]
        barred[level, offer] = -np.inf
    return taken


def _portions(turns: Table, offers: Table) -> list[np.ndarray]:
    """Consecutive rows that have few pairs together, one by one those that alone have many."""
    of_video = count_pairs(turns.video, offers.video)
    few = of_video.sum() <= PAIRS
    shared = of_video if few else count_shared(turns, offers)
    rows = np.flatnonzero(shared)
    if few or not len(rows):
        return [rows] if len(rows) else []
    alone = (shared > MANY + of_video // MANY)[rows]
    portion = (np.cumsum(shared[rows]) - 1) // PAIRS
    begins = np.flatnonzero((np.diff(portion) > 0) | alone[1:] | alone[:-1]) + 1
    return np.split(rows, begins)


def _several(turns, offers, levels, overlap, best, barred) -> tuple:
    """Who (K,) takes at which level (K,) which offer (K,) of those not barred (n, M)."""
    turn, offer = pairs_that_share(turns, offers)
    common = overlap(turns.start[turn], turns.end[turn], offers.start[offer], offers.end[offer])
    near = np.flatnonzero(common >= levels.min())
    turn, offer, common = turn[near], offer[near], common[near]
    order = np.lexsort((offer, -common, turn) if best else (offer, turn))
    turn, offer, common = turn[order], offer[order], common[order]
    pair, level = np.nonzero(common[:, None] + barred[:, offer].T >= levels)
    turn, offer = turn[pair], offer[pair]
    sure = greedy(turn * len(levels) + level, offer * len(levels) + level)
    return turn[sure], level[sure], offer[sure]


def _one(turns, offers, levels, overlap, best, barred) -> tuple:
    """The same for one interval, without a sort."""
    video = turns.video[0]
    mine = slice(*np.searchsorted(offers.video, [video, video + 1]))
    common = overlap(turns.start, turns.end, offers.start[mine], offers.end[mine])
    common = common + barred[:, mine]
    choice = (common if best else common >= levels[:, None]).argmax(axis=1)
    level = np.flatnonzero(common[np.arange(len(levels)), choice] >= levels)
    return np.zeros_like(level), level, choice[level] + mine.start


def count_pairs(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How many entries of the other array equal each entry (N,) >= 0."""
    sizes = np.bincount(other + 1, minlength=one.max(initial=-1) + 2)
    sizes[0] = 0  # of the video -1
    return sizes[one + 1]


def count_shared(one: Table, other: Table) -> np.ndarray:
    """With how many intervals (N,) of its video each interval shares more than a point.

    They are those that begin before it ends, without those that end before it begins.
    """
    other = other.rows(other.start < other.end)
    begins, ends = (np.sort(_at(other.video, times)) for times in (other.start, other.end))
    rows = np.flatnonzero((one.start < one.end) & (count_pairs(one.video, other.video) > 0))
    counts = np.zeros(len(one.video), int)
    counts[rows] = np.searchsorted(begins, _at(one.video[rows], one.end[rows]))
    counts[rows] -= np.searchsorted(ends, _at(one.video[rows], one.start[rows]), "right")
    return counts


def pairs_that_share(one: Table, other: Table) -> tuple[np.ndarray, np.ndarray]:
    """Indices (P,), (P,) of all pairs that share more than a point, in no order.

    Where there are few, all pairs of a video. Else those of which the second begins within the
    first, or the first after it within the second.

    Args:
        one, other: intervals; the other's are sorted by video.
    """
    count = count_pairs(one.video, other.video)
    if count.sum() <= PAIRS:
        first = np.searchsorted(other.video, np.arange(one.video.max(initial=-1) + 1))
        return _ranges(first[one.video] if len(first) else count, count)
    a, b = _begins_within(one, other, "left")
    c, d = _begins_within(other, one, "right")
    return np.concatenate([a, d]), np.concatenate([b, c])


def _ranges(first: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The row (P,) of each entry of the ranges first, .., first + count - 1, and the entry.

    >>> _ranges(np.array([5, 0, 3]), np.array([2, 0, 1]))
    (array([0, 0, 2]), array([5, 6, 3]))
    """
    skipped = first - (np.cumsum(count) - count)
    return np.repeat(np.arange(len(count)), count), np.repeat(skipped, count) + np.arange(
        count.sum()
    )


def _begins_within(outer: Table, inner: Table, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of which the second begins before the first ends and not before it begins.

    Args:
        side: "right" leaves out those that begin at the same time.
    """
    rows, own = (np.flatnonzero((t.start < t.end) & (t.video >= 0)) for t in (outer, inner))
    begins = _at(inner.video[own], inner.start[own])
    order = np.argsort(begins)
    first = np.searchsorted(begins[order], _at(outer.video[rows], outer.start[rows]), side)
    last = np.searchsorted(begins[order], _at(outer.video[rows], outer.end[rows]))
    row, entry = _ranges(first, last - first)
    return rows[row], own[order[entry]]


def _at(video: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Moments (N,) in order of video, then time, as complex numbers are."""
    moments = np.empty(len(video), complex)
    moments.real, moments.imag = video, time
    return moments


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

    A pair that comes first at both of its ends will be taken whatever the others do, so a round
    settles all such pairs at once. Where pairs wait for each other in long chains, rounds settle
    few; then the rest is gone through one by one.

    Args:
        left: one end of each pair, shape (P,), integers >= 0.
        right: the other.

    >>> greedy(np.array([0, 1, 1, 2]), np.array([0, 0, 1, 1]))
    array([ True, False,  True, False])
    """
    taken = np.zeros(len(left), bool)
    free_left = np.ones(left.max(initial=-1) + 1, bool)
    free_right = np.ones(right.max(initial=-1) + 1, bool)
    still, before = np.arange(len(left)), np.inf
    while still.size and still.size < 0.75 * before:
        before = still.size
        a, b = left[still], right[still]
        sure = _is_first(a) & _is_first(b)
        taken[still[sure]] = True
        free_left[a[sure]] = free_right[b[sure]] = False
        still = still[free_left[a] & free_right[b]]
    taken[still[_one_by_one(left[still].tolist(), right[still].tolist())]] = True
    return taken


def _one_by_one(left: list[int], right: list[int]) -> list[int]:
    """The places of the pairs that `greedy` takes."""
    free_left, free_right = dict.fromkeys(left, True), dict.fromkeys(right, True)
    taken = []
    for i, (a, b) in enumerate(zip(left, right, strict=True)):
        if free_left[a] and free_right[b]:
            free_left[a] = free_right[b] = False
            taken.append(i)
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
