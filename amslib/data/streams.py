"""Streams that were taken for one another: no width or name shows it, their statistics do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .findings import Finding, warning

FEWEST = 8  # videos, to know what is usual
NARROWEST = 16  # features, for correlations that are not high by chance
MOST = 0.2  # of the videos; where more look swapped, none is usual
APART = 2.2  # standard deviations from zero to the usual margin, for streams that differ
UNSURE = 0.25  # of the usual margin; so near to zero lies next to no video
ALIKE = 2.5  # standard deviations from the usual margin, with the sign turned


def swapped(means: Sequence[tuple[str, Mapping[str, np.ndarray]]], file) -> list[Finding]:
    """Videos whose streams look like each other's in the rest of the data set.

    To swap the streams of a video turns the sign of its margin (see `margins`), so where streams
    differ, margins lie in two groups with nothing in between, and few in the negative one. Where
    they do not lie so, negative margins are chance and nothing is reported. A data set swapped as a
    whole agrees with itself and passes.

    Args:
        means: names of videos, and of each the mean feature (D,) by stream.
        file: where the features are.
    """
    pairs = [(video, *by.values()) for video, by in means if len(by) == 2]
    shapes = {x.shape for _, *both in pairs for x in both}
    if len(pairs) < FEWEST or len(shapes) != 1 or min(shapes)[0] < NARROWEST:
        return []
    first, second = dict(means)[pairs[0][0]]
    margin = margins(np.array([both for _, *both in pairs], float))
    names = [pairs[i][0] for i in turned(margin)]
    message = f"{first} looks like {second} of the other videos, and the other way"
    mend = "Look whether the two were swapped when they were extracted or renamed"
    return [warning("swapped", file, message, mend, name) for name in names]


def turned(margin: np.ndarray) -> np.ndarray:
    """Indices of the videos whose margin (videos,) is that of the others with the sign turned."""
    size = abs(margin)
    usual, spread = np.median(size), size.std(ddof=1)
    unsure = (size < UNSURE * usual).sum()
    if usual < APART * spread or unsure > len(margin) / 200:
        return np.array([], int)
    found = np.flatnonzero((margin < 0) & (abs(margin + usual) < ALIKE * spread))
    return found if len(found) <= MOST * len(margin) else found[:0]


def margins(both: np.ndarray) -> np.ndarray:
    """How much more a video's streams correlate with the others' straight than crosswise.

    The others' mean leaves the video itself out, so that to swap its streams turns the sign of its
    margin and nothing else of it.

    Args:
        both: mean features, (videos, 2, D).

    Returns:
        (videos,), -4 to 4; 0 where nothing varies over D.
    """
    others = (both.sum(axis=0) - both) / (len(both) - 1)
    mine, usual = _unit(both), _unit(others)
    return ((mine[:, 0] - mine[:, 1]) * (usual[:, 0] - usual[:, 1])).sum(axis=1)


def _unit(x: np.ndarray) -> np.ndarray:
    """Centred and of length one over the last axis, so that products are correlations."""
    centred = x - x.mean(axis=-1, keepdims=True)
    length = np.linalg.norm(centred, axis=-1, keepdims=True)
    varies = length > 1e-9 * np.linalg.norm(x, axis=-1, keepdims=True)
    return np.divide(centred, length, out=np.zeros_like(centred), where=varies)
