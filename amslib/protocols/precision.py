"""Average precisions other than the area under the interpolated curve."""

from __future__ import annotations

import numpy as np

# 0:0.1:1 as Octave computes it. A recall of 3/10, 6/10 or 7/10 misses its level; MATLAB, which
# builds the upper half from the right end, has 0.6 and 0.7 themselves.
RECALL_LEVELS = (
    *(0.0, 0.1, 0.2, 0.30000000000000004, 0.4, 0.5),
    *(0.6000000000000001, 0.7000000000000001, 0.8, 0.9, 1.0),
)


def mean_precision_at_hits(hits: np.ndarray, positives: int, counted=True) -> np.ndarray:
    """Sum (n,) of the precisions at hits (N, n), by rank, over the number of instances.

    Args:
        hits: at n thresholds, of detections by falling score.
        positives: number of instances; those never hit count as 0.
        counted: (N, n), which detections are there at all.

    >>> mean_precision_at_hits(np.array([[True], [False], [True]]), 2)
    array([0.83333333])
    """
    rank = np.cumsum(np.broadcast_to(counted, hits.shape), axis=0)
    precision = np.cumsum(hits, axis=0) / np.maximum(rank, 1)
    return np.where(hits, precision, 0).sum(axis=0) / positives


def eleven_point_precision(hits: np.ndarray, positives: int) -> float:
    """Mean over `RECALL_LEVELS` of the best precision at that recall or a higher one.

    Args:
        hits: by falling score, shape (N,).
        positives: number of instances.

    >>> round(eleven_point_precision(np.array([True, False, True]), 2), 4)
    0.8485
    """
    found = np.cumsum(hits)
    precision = found / np.arange(1, len(hits) + 1)
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(envelope[np.searchsorted(found / positives, RECALL_LEVELS)].mean())
