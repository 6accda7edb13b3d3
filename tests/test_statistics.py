"""Intervals, verdicts and p-values agree with each other, with scipy and with the textbook."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from amslib.statistics import (
    INCONCLUSIVE,
    NOT_SUPPORTED,
    SUPPORTED,
    estimate,
    holm,
    p_value,
    paired,
    verdict,
)

AFTER, BEFORE = [0.54, 0.55, 0.57, 0.53, 0.56], [0.52, 0.54, 0.53, 0.53, 0.55]
SPREAD = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])  # half width of its interval: 1.96
SHIFTS = np.linspace(-6, 6, 49)


def test_an_interval_is_students():
    e = paired(AFTER, BEFORE)
    differences = np.subtract(AFTER, BEFORE)
    low, high = stats.t.interval(0.95, 4, differences.mean(), stats.sem(differences))
    assert e == pytest.approx((0.016, differences.std(ddof=1), low, high, 5))
    # from a printed table of t: 2.776 at four degrees of freedom
    e = estimate(SPREAD)
    assert (e.mean, e.high) == pytest.approx((0, 2.776 * math.sqrt(2.5 / 5)), abs=1e-3)
    assert e.low == -e.high


def test_intervals_cover_what_they_promise():
    draws = np.random.default_rng(0).normal(3, 2, (4000, 5))
    covered = [e.low <= 3 <= e.high for e in map(estimate, draws)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.01)


def test_one_value_has_no_interval():
    e = estimate([0.5])
    assert e.mean == 0.5 and e.n == 1 and all(math.isnan(x) for x in e[1:4])
    for margin in (None, 1.0):
        assert verdict(e, margin) == INCONCLUSIVE and math.isnan(p_value(e, margin))


@pytest.mark.parametrize("values", [[], [[0.5, 0.6]], 0.5])
def test_wrong_values(values):
    with pytest.raises(ValueError, match="values have shape .*; expected one number a seed"):
        estimate(values)


def test_pairs_need_partners():
    with pytest.raises(ValueError, match="2 values against 1; pairs need the same seeds"):
        paired([0.5, 0.6], [0.5])


@pytest.mark.parametrize(
    "shift, margin, expected",
    [
        (3, None, SUPPORTED),
        (0, None, INCONCLUSIVE),
        (1.5, None, INCONCLUSIVE),
        (-1.5, None, INCONCLUSIVE),
        (-3, None, NOT_SUPPORTED),
        (0, 3, SUPPORTED),
        (-0.5, 3, SUPPORTED),
        (2, 3, INCONCLUSIVE),
        (-2, 3, INCONCLUSIVE),
        (0, 1, INCONCLUSIVE),  # wider than the margin on both sides
        (6, 3, NOT_SUPPORTED),
        (-6, 3, NOT_SUPPORTED),
    ],
)
def test_verdicts(shift, margin, expected):
    assert verdict(estimate(SPREAD + shift), margin) == expected


def test_verdicts_without_spread():
    nothing, gain = estimate([0.0, 0.0]), estimate([0.2, 0.2])
    assert [verdict(e) for e in (nothing, gain)] == [NOT_SUPPORTED, SUPPORTED]
    assert [p_value(e) for e in (nothing, gain)] == [1, 0]
    assert [verdict(e, 0.1) for e in (nothing, gain)] == [SUPPORTED, NOT_SUPPORTED]
    assert [p_value(e, 0.1) for e in (nothing, gain)] == [0, 1]


def test_p_of_a_gain_is_that_of_scipys_paired_test():
    one_sided = stats.ttest_rel(AFTER, BEFORE, alternative="greater").pvalue
    assert p_value(paired(AFTER, BEFORE)) == pytest.approx(2 * one_sided)
    assert p_value(paired(BEFORE, AFTER)) == 1


def test_p_of_equivalence_is_that_of_two_one_sided_tests():
    x = SPREAD + 0.5
    below = stats.ttest_1samp(x, 3, alternative="less").pvalue
    above = stats.ttest_1samp(x, -3, alternative="greater").pvalue
    assert p_value(estimate(x), 3) == pytest.approx(2 * max(below, above))


@pytest.mark.parametrize("margin", [None, 3])
@pytest.mark.parametrize("shift", SHIFTS)
def test_p_and_verdict_say_the_same(shift, margin):
    e = estimate(SPREAD + shift)
    assert (p_value(e, margin) < 0.05) == (verdict(e, margin) == SUPPORTED)


def test_without_an_effect_one_in_forty_is_called_supported():
    draws = np.random.default_rng(1).normal(size=(4000, 5))
    found = [verdict(estimate(x)) for x in draws]
    for wrong in (SUPPORTED, NOT_SUPPORTED):
        assert found.count(wrong) / 4000 == pytest.approx(1 / 40, abs=0.007)


def stepwise(p: list[float]) -> int:
    """How many tests Holm's procedure rejects at 0.05, told step by step."""
    for i, value in enumerate(sorted(p)):
        if value >= 0.05 / (len(p) - i):
            return i
    return len(p)


def test_holm():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.4, 0.9]) == pytest.approx([0.8, 0.9])
    assert holm([0.6, 0.9]) == pytest.approx([1, 1])
    assert holm([]) == []
    random = np.random.default_rng(0)
    for _ in range(200):
        p = list(random.uniform(size=8) ** 6)
        adjusted = holm(p)
        assert sum(a < 0.05 for a in adjusted) == stepwise(p)
        assert all(a >= b for a, b in zip(adjusted, p, strict=True))
        assert [adjusted[i] for i in np.argsort(p)] == sorted(adjusted)


@pytest.mark.parametrize("p", [[0.1, float("nan")], [1.2], [-0.1]])
def test_holm_takes_p_values(p):
    with pytest.raises(ValueError, match="expected numbers from 0 to 1"):
        holm(p)
