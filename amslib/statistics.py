"""Paired seeds: means, standard deviations and 95 % intervals, and verdicts from intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student


class Estimate(NamedTuple):
    """Of n values: mean, standard deviation, and the 95 % interval [low, high] of the mean.

    With one value the deviation and the interval are nan: one seed tells nothing of the spread.
    """

    mean: float
    sd: float
    low: float
    high: float
    n: int


def estimate(values: Sequence[float]) -> Estimate:
    """Mean over seeds with Student's interval.

    Args:
        values: one a seed, at least one.

    Raises:
        ValueError: no values.
    """
    x = np.asarray(values, float)
    if x.ndim != 1 or not x.size:
        raise ValueError(f"values have shape {x.shape}; expected one number a seed, at least one")
    mean, n = float(x.mean()), len(x)
    if n == 1:
        return Estimate(mean, *[float("nan")] * 3, n)
    sd = float(x.std(ddof=1))
    half = float(student.ppf(0.975, n - 1)) * sd / n**0.5
    return Estimate(mean, sd, mean - half, mean + half, n)


def paired(after: Sequence[float], before: Sequence[float]) -> Estimate:
    """Mean difference after - before of runs that share their seeds, in the same order.

    Raises:
        ValueError: the lengths differ.
    """
    if len(after) != len(before):
        raise ValueError(f"{len(after)} values against {len(before)}; pairs need the same seeds")
    return estimate(np.asarray(after, float) - np.asarray(before, float))


def verdict(effect: Estimate) -> str:
    """Of the claim "the effect is positive": supported, not supported or inconclusive.

    Supported if the whole interval lies above 0, not supported if it lies below or at 0, else,
    and with a single seed, inconclusive.
    """
    if effect.low > 0:
        return "supported"
    return "not supported" if effect.high <= 0 else "inconclusive"
