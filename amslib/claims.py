"""The claims of the paper's experiments, each with its measure, and what records say about them.

A claim names one or several comparisons, and holds only if each of them comes out as it says. All
numbers come from records; nothing here knows an outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations, product
from math import isnan
from operator import attrgetter
from typing import NamedTuple

import numpy as np

from . import paper
from .config import Config
from .diagnostics import Quality
from .experiments import DEFAULT, fig_4, fig_5, table_3, table_4, table_5
from .records import Record
from .statistics import (
    INCONCLUSIVE,
    NOT_SUPPORTED,
    SUPPORTED,
    Estimate,
    p_value,
    paired,
    verdict,
)

MARGIN = 0.01  # within it, either way, two scores count as comparable
IN_TABLE_1 = {"W-TALC": "A", "AMS": "F"}  # what the rows of Table III are called there
CHANNELS = {"random": "one channel"}  # to tell it from the random weights
UNMEASURABLE = "not measurable here"
BETTER, COMPARABLE = "better", "comparable"  # the two kinds of claim

Results = Mapping[str, Sequence[Record]]  # records by the names of `configs`, one a seed
Score = Callable[[Results], np.ndarray]  # one number a seed, shape (seeds,)


class Claim(NamedTuple):
    """One claim.

    Args:
        sentence: what the paper says, in other words.
        where: section, and table or figure.
        kind: "better", if in every comparison the first score should be higher, or "comparable",
            if in every one the two should differ by less than a margin, either way.
        comparisons: how it is measured: two scores by the name of their difference. A score maps
            results to fractions, shape (seeds,); nan where the data cannot tell.
        needs: what the data must have beside what every data set has.
    """

    sentence: str
    where: str
    kind: str
    comparisons: dict[str, tuple[Score, Score]]
    needs: str = ""

    def favour(self, difference: float) -> float:
        """How clearly a difference speaks for the claim, to compare it with others."""
        return -abs(difference) if self.kind == COMPARABLE else difference


class Judgement(NamedTuple):
    """What records say about a claim.

    Args:
        claim: which.
        effects: of each comparison, over paired seeds; none if the claim cannot be measured.
        deciding: name of the comparison that speaks least for the claim.
        verdict: of the claim: that of `statistics.verdict` for the deciding comparison, or
            "not measurable here".
        p: of the claim, which is the highest of its comparisons; nan with a single seed, or if it
            cannot be measured.
    """

    claim: Claim
    effects: dict[str, Estimate]
    deciding: str
    verdict: str
    p: float


def configs(base: Config = DEFAULT) -> dict[str, Config]:
    """Every config that a claim looks at, by the name that the measures call it.

    Some names share a config: "F", "AMS", "adaptive", "maximum" and "η 0.75" are all the whole
    method.
    """
    return {
        **table_3(base),
        **{name: table_3(base)[row] for name, row in IN_TABLE_1.items()},
        **table_4(base),
        **{CHANNELS.get(how, how): config for how, config in table_5(base).items()},
        "iterations": fig_4(base),
        **{f"η {eta}": config for eta, config in fig_5(base).items()},
    }


def judge(claims: Iterable[Claim], results: Results, margin: float = MARGIN) -> list[Judgement]:
    """Measure every claim and let the intervals decide.

    Args:
        claims: such as `CLAIMS`.
        results: records by the names of `configs`, one a seed, the same seeds in each row.
        margin: of the comparable ones, as a fraction.

    Returns:
        One judgement a claim, in the order given.

    Raises:
        ValueError: two rows have different seeds.
    """
    seeds = {name: [record.seed for record in records] for name, records in results.items()}
    first = next(iter(seeds))
    for name, mine in seeds.items():
        if mine != seeds[first]:
            raise ValueError(
                f"row {name!r} has the seeds {mine}, row {first!r} {seeds[first]}; expected the "
                "same ones in the same order, so that they can be paired"
            )
    return [_judge(claim, results, margin) for claim in claims]


def _judge(claim: Claim, results: Results, margin: float) -> Judgement:
    effects = {name: paired(a(results), b(results)) for name, (a, b) in claim.comparisons.items()}
    if any(isnan(effect.mean) for effect in effects.values()):
        return Judgement(claim, {}, "", UNMEASURABLE, float("nan"))
    bound = margin if claim.kind == COMPARABLE else None
    verdicts = {name: verdict(effect, bound) for name, effect in effects.items()}

    def strength(name: str) -> tuple[int, float]:
        rank = (NOT_SUPPORTED, INCONCLUSIVE, SUPPORTED).index(verdicts[name])
        return rank, claim.favour(effects[name].mean)

    deciding = min(effects, key=strength)
    p = max(p_value(effect, bound) for effect in effects.values())
    return Judgement(claim, effects, deciding, verdicts[deciding], p)


def in_paper(claim: Claim) -> dict[str, float]:
    """What the paper's own numbers say in each comparison of a claim, as printed for its data.

    Returns:
        Differences as fractions; nan where the paper prints no numbers.
    """
    results = _printed()
    return {name: float((a(results) - b(results))[0]) for name, (a, b) in claim.comparisons.items()}


def _printed() -> Results:
    """The paper's tables and figures in the place of records, one for each row."""
    fig_4 = {i: {"0.5": score} for i, score in paper.fig_4().items()}
    one, two = ({"AMS": t["AMS"], "W-TALC": t["WTALC"]} for t in map(paper.table, (1, 2)))
    rows = {name: one[name].numbers | two[name].numbers for name in one}
    rows |= {name: row.numbers for t in (3, 4) for name, row in paper.table(t).items()}
    rows |= {CHANNELS.get(name, name): row.numbers for name, row in paper.table(5).items()}
    last = {name: [_Printed({-1: numbers})] for name, numbers in rows.items()}
    none = {name: [_Printed({})] for name in configs()}
    return none | last | {"iterations": [_Printed(fig_4)]}


class _Printed:
    """Takes the place of a record, and of its evaluation, with mAP (%) by iteration and column."""

    def __init__(self, numbers: dict[int, dict[str, float]]):
        self.numbers = numbers

    def evaluation(self, iteration: int, levels: str) -> _Printed:
        return _Printed({0: self.numbers.get(iteration, {})})

    def average(self, low: float, high: float) -> float:
        column = f"{low}" if low == high else f"AVG({low}-{high})"
        return self.numbers[0].get(column, float("nan")) / 100

    def quality(self, iteration: int = -1) -> None:
        return None


# Scores


def average(
    row: str, low: float = 0.1, high: float = 0.7, iteration: int = -1, levels: str = "thumos14"
) -> Score:
    """Mean of a row's mAP over the IoU thresholds in [low, high]; see `Record.evaluation`."""
    return _of_each(row, lambda record: record.evaluation(iteration, levels).average(low, high))


def half(row: str, iteration: int = -1) -> Score:
    """A row's mAP at IoU 0.5, which Figs 4 and 5 show."""
    return average(row, 0.5, 0.5, iteration)


def labels(
    row: str, share: Callable[[Quality], float], branch: str = "", iteration: int = -1
) -> Score:
    """A share of a row's pseudo-labels on the training videos, mean over streams and branches.

    Args:
        row, iteration: whose.
        share: such as their recall.
        branch: "base" or "supp"; "": both.
    """

    def of(quality: dict) -> float:
        streams = quality["train"].values()
        return np.mean([share(q) for s in streams for b, q in s.items() if branch in ("", b)])

    return _of_each(row, lambda record: _known(record.quality(iteration), of))


def detected(row: str, share: Callable[[Quality], float]) -> Score:
    """A share of what a row's fused CAS marks on the test videos."""
    return _of_each(row, lambda r: _known(r.quality(), lambda q: share(q["test"]["fused"])))


def f1(quality: Quality) -> float:
    """Harmonic mean of precision and recall."""
    both = quality.precision + quality.recall
    return 2 * quality.precision * quality.recall / both if both else 0.0


def difference(a: Score, b: Score) -> Score:
    """a - b, seed by seed."""
    return lambda results: a(results) - b(results)


def mean(*scores: Score) -> Score:
    """Of some scores, seed by seed."""
    return lambda results: np.mean([score(results) for score in scores], axis=0)


def _of_each(row: str, of: Callable[[Record], float]) -> Score:
    return lambda results: np.array([of(record) for record in results[row]])


def _known(quality: dict | None, of: Callable[[dict], float]) -> float:
    return float("nan") if quality is None else of(quality)


# Comparisons


def compare(
    pairs: Iterable[Sequence],
    score: Callable[..., Score] = average,
    name: str = "{} − {}",
) -> dict[str, tuple[Score, Score]]:
    """The scores of two rows, or of two of whatever else `score` takes, pair by pair."""
    return {name.format(a, b): (score(a), score(b)) for a, b in pairs}


def _after(iteration: int) -> Score:
    return half("iterations", iteration)


def _gain(iteration: int) -> Score:
    return difference(_after(iteration), _after(iteration - 1))


def _compare_iterations(*pairs: tuple[int, int]) -> dict[str, tuple[Score, Score]]:
    return compare(pairs, _after, "iteration {} − {}")


def _compare_labels(*pairs: tuple[int, int]) -> dict[str, tuple[Score, Score]]:
    return compare(pairs, lambda i: labels("iterations", f1, iteration=i), "F1: iteration {} − {}")


EARLIER = ("AMS", "W-TALC")
PEAK, ETAS = "η 0.75", [f"η {eta}" for eta in fig_5()]
SEGMENTS = "segments of the training videos"
CORES = "the cores of the actions, which only generated data tell"

CLAIMS = (
    Claim(
        "AMS is better than W-TALC, one of the earlier methods, in both averages",
        "IV-C, Table I",
        BETTER,
        compare([EARLIER], lambda row: average(row, 0.1, 0.5), "{} − {}, AVG(0.1–0.5)")
        | compare([EARLIER], lambda row: average(row, 0.3, 0.7), "{} − {}, AVG(0.3–0.7)"),
    ),
    Claim(
        "By and large, training in several iterations (D, E, F) is better than in one (A, B, C)",
        "IV-C, Table I",
        BETTER,
        compare([("DEF", "ABC")], lambda rows: mean(*map(average, rows)), "mean {} − mean {}"),
    ),
    Claim(
        "AMS is better than W-TALC in the average over IoU 0.5 to 0.95, too",
        "IV-C, Table II",
        BETTER,
        compare(
            [EARLIER],
            lambda row: average(row, 0.5, 0.95, levels="activitynet12"),
            "{} − {}, AVG(0.5–0.95)",
        ),
    ),
    Claim(
        "A second branch (B) that only doubles the parameters of (A) makes no real difference",
        "IV-D1, Table III",
        COMPARABLE,
        compare(["BA"]),
    ),
    Claim(
        "Without sampler and location supervision, (A) and (B) are the worst of the six",
        "IV-D1, Table III",
        BETTER,
        compare(product("CDEF", "AB")),
    ),
    Claim(
        "Location supervision in several iterations helps, in either form, (D) or (E)",
        "IV-D2, Table III",
        BETTER,
        compare(["DB", "EB"]),
    ),
    Claim(
        "Labels from the other branch (E) teach better than a branch's own (D)",
        "IV-D2, Table III",
        BETTER,
        compare(["ED"]),
    ),
    Claim(
        "The adaptive sampler helps two branches without location supervision (C)",
        "IV-D3, Table III",
        BETTER,
        compare(["CB"]),
    ),
    Claim(
        "The adaptive sampler helps mutual supervision (F)",
        "IV-D3, Table III",
        BETTER,
        compare(["FE"]),
    ),
    Claim(
        "Mutual supervision is as essential: (F) without it, (C), is worse",
        "IV-D3, Table III",
        BETTER,
        compare(["FC"]),
    ),
    Claim(
        "The whole method (F) is the best of the six",
        "IV-D3, Table III",
        BETTER,
        compare(product("F", "ABCDE")),
    ),
    Claim(
        "Sampler and mutual supervision promote each other: with both, the sampler gains more",
        "IV-E2, Table III",
        BETTER,
        {
            "(F − E) − (C − B)": (
                difference(average("F"), average("E")),
                difference(average("C"), average("B")),
            )
        },
    ),
    Claim(
        "Adaptive sampling weights are better than uniform and than random ones",
        "IV-E1, Table IV",
        BETTER,
        compare([("adaptive", "uniform"), ("adaptive", "random")]),
    ),
    Claim(
        "Random sampling weights are better than uniform ones",
        "IV-E1, Table IV",
        BETTER,
        compare([("random", "uniform")]),
    ),
    Claim(
        "Soft weights are better than erasing what the base branch found (argued, not run)",
        "III-C4",
        BETTER,
        compare([("adaptive", "erase")]),
    ),
    Claim(
        "Three iterations are better than none",
        "IV-E2, Fig. 4",
        BETTER,
        _compare_iterations((3, 0)),
    ),
    Claim(
        "The third of four iterations is the best",
        "IV-E2, Fig. 4",
        BETTER,
        _compare_iterations((3, 0), (3, 1), (3, 2), (3, 4)),
    ),
    Claim(
        "Each iteration gains less than the one before",
        "IV-E2, Fig. 4",
        BETTER,
        compare([(1, 2), (2, 3), (3, 4)], _gain, "gain {} − {}"),
    ),
    Claim(
        "After the third iteration, performance stays as it is",
        "IV-E2, Fig. 4",
        COMPARABLE,
        _compare_iterations((4, 3)),
    ),
    Claim(
        "Pseudo-labels become better with each of the three iterations (F1)",
        "IV-E2",
        BETTER,
        _compare_labels((1, 0), (2, 1), (3, 2)),
        SEGMENTS,
    ),
    Claim(
        "After the third iteration, the quality of pseudo-labels stays as it is (F1)",
        "IV-E2",
        COMPARABLE,
        _compare_labels((4, 3)),
        SEGMENTS,
    ),
    Claim(
        "Whether classes are joined by maximum or by average makes no real difference",
        "IV-E3, Table V",
        COMPARABLE,
        compare([("maximum", "average")]),
    ),
    Claim(
        "Maximum and average are better than the channel of one class picked at random",
        "IV-E3, Table V",
        BETTER,
        compare([("maximum", "one channel"), ("average", "one channel")]),
    ),
    Claim(
        "Of nine values of η, 0.75 is the best",
        "IV-E4, Fig. 5",
        BETTER,
        compare([(PEAK, eta) for eta in ETAS if eta != PEAK], half),
    ),
    Claim(
        "From η = 0.5 to 1, differences are slight",
        "IV-E4, Fig. 5",
        COMPARABLE,
        compare(combinations([PEAK, "η 0.5", "η 1"], 2), half),
    ),
    Claim(
        "At η = 2, performance is lower than at 0.75",
        "IV-E4, Fig. 5",
        BETTER,
        compare([(PEAK, "η 2")], half),
    ),
    Claim(
        "At η = 2, AMS has become mutual supervision without a sampler (E)",
        "IV-E4, Fig. 5",
        COMPARABLE,
        compare([("η 2", "E")], half),
    ),
    Claim(
        "The base branch marks the most discriminative parts of actions rather than the rest",
        "IV-F, Fig. 6",
        BETTER,
        compare([("core", "hard")], lambda p: labels("F", attrgetter(p), "base"), "base: {} − {}"),
        CORES,
    ),
    Claim(
        "The supplementary branch adds less discriminative parts that the base branch misses",
        "IV-F, Fig. 6",
        BETTER,
        compare([("supp", "base")], lambda b: labels("F", attrgetter("hard"), b), "hard: {} − {}"),
        CORES,
    ),
    Claim(
        "The supplementary branch also marks more background by mistake",
        "IV-F, Fig. 6",
        BETTER,
        compare(
            [("base", "supp")],
            lambda b: labels("F", attrgetter("precision"), b),
            "precision: {} − {}",
        ),
        SEGMENTS,
    ),
    Claim(
        "Mutual supervision makes the final result more complete and more precise",
        "IV-F, Fig. 6",
        BETTER,
        compare(["FC"], lambda r: detected(r, attrgetter("complete")), "complete: {} − {}")
        | compare(["FC"], lambda r: detected(r, attrgetter("precision")), "precision: {} − {}"),
        SEGMENTS,
    ),
)
