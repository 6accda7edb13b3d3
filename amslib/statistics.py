"""Paired seeds: means, standard deviations, 95 % intervals, and verdicts on claims from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

LEVEL = 0.95  # of every interval
SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE = "supported", "not supported", "inconclusive"


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
        values: one a seed, shape (n,), at least one.

    Raises:
        ValueError: no values, or not one number a seed.

    >>> [round(x, 2) for x in estimate([1.0, 2.0, 3.0])]
    [2.0, 1.0, -0.48, 4.48, 3]
    """
    x = np.asarray(values, float)
    if x.ndim != 1 or not x.size:
        raise ValueError(f"values have shape {x.shape}; expected one number a seed, at least one")
    mean, n = float(x.mean()), len(x)
    if n == 1:
        return Estimate(mean, *[float("nan")] * 3, n)
    sd = float(x.std(ddof=1))
    half = float(student.ppf((1 + LEVEL) / 2, n - 1)) * sd / n**0.5
    return Estimate(mean, sd, mean - half, mean + half, n)


def paired(after: Sequence[float], before: Sequence[float]) -> Estimate:
    """Mean difference after - before of runs that share their seeds, in the same order.

    Args:
        after, before: one value a seed, shape (n,).

    Raises:
        ValueError: the lengths differ, or there are no values.
    """
    if len(after) != len(before):
        raise ValueError(f"{len(after)} values against {len(before)}; pairs need the same seeds")
    return estimate(np.asarray(after, float) - np.asarray(before, float))


def verdict(effect: Estimate, margin: float | None = None) -> str:
    """Of a claim, from the interval of an effect alone.

    Args:
        effect: the claim is that it is positive.
        margin: if given, the claim is that the effect is small: less than this, either way.

    Returns:
        "supported" if the claim holds in the whole interval, "not supported" if it holds nowhere
        in it, else, and with a single seed, "inconclusive".

    >>> verdict(estimate([1.0, 2.0, 3.0, 2.0]))
    'supported'
    """
    low, high = effect.low, effect.high
    if margin is None:
        holds, fails = low > 0, high <= 0
    else:
        holds, fails = -margin < low and high < margin, low >= margin or high <= -margin
    return SUPPORTED if holds else NOT_SUPPORTED if fails else INCONCLUSIVE


def p_value(effect: Estimate, margin: float | None = None) -> float:
    """Of the paired t-test whose p is below 0.05 exactly where `verdict` says "supported".

    It is twice the probability, at most 1, of values that speak for the claim at least so clearly
    if the claim just fails: if the effect is 0 or, with a margin, at the margin it lies nearer to.

    Args:
        effect, margin: as in `verdict`; nan with a single seed.
    """
    if effect.n == 1:
        return float("nan")
    distance = effect.mean if margin is None else margin - abs(effect.mean)
    if effect.sd == 0:
        return 0.0 if distance > 0 else 1.0
    return min(1.0, 2 * float(student.sf(distance * effect.n**0.5 / effect.sd, effect.n - 1)))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's correction: p-values adjusted so that a whole family can be read at one level.

    Taking those below 0.05, the chance of even one wrong among them is at most 0.05, however the
    tests depend on each other.

    Args:
        p: of each test of the family, shape (n,), none of them nan.

    Returns:
        As many, in the same order, each at least as high.

    Raises:
        ValueError: a value is not in [0, 1].

    >>> holm([0.03, 0.01, 0.02])
    [0.04, 0.03, 0.04]
    """
    x = np.asarray(p, float)
    if not np.all((x >= 0) & (x <= 1)):
        raise ValueError(f"p-values {x.tolist()}; expected numbers from 0 to 1")
    order = np.argsort(x)
    adjusted = np.empty_like(x)
    steps = (len(x) - np.arange(len(x))) * x[order]
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted.tolist()
