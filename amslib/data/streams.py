"""Streams that were taken for one another: no width or name shows it, their statistics do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .findings import Finding, warning

FEWEST = 8  # videos; among fewer, one that is swapped moves the usual feature towards itself


def swapped(means: Sequence[tuple[str, Mapping[str, np.ndarray]]], file) -> list[Finding]:
    """Videos whose streams look like each other's in the rest of the data set.

    Two streams of one network family have each their own usual feature, the median over the videos.
    A video is told when its two means correlate more with the usual ones crosswise than straight. A
    data set swapped as a whole agrees with itself: no rule can tell.

    Args:
        means: names of videos, and of each the mean feature (D,) by stream.
        file: where the features are.
    """
    pairs = [(video, *by.values()) for video, by in means if len(by) == 2]
    if len(pairs) < FEWEST or len({x.shape for _, *both in pairs for x in both}) != 1:
        return []
    names = list(dict(means)[pairs[0][0]])
    both = np.array([both for _, *both in pairs], float)  # (videos, 2, D)
    usual = np.median(both, axis=0)
    found = []
    for (video, *_), mine in zip(pairs, both, strict=True):
        like = np.corrcoef(np.concatenate([mine, usual]))[:2, 2:]  # mine by the usual
        if like[0, 0] + like[1, 1] < like[0, 1] + like[1, 0]:
            message = f"{names[0]} looks like {names[1]} of the other videos, and the other way"
            mend = "Look whether the two were swapped when they were extracted or renamed"
            found.append(warning("swapped", file, message, mend, video))
    return found
