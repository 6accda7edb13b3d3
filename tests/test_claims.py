"""Claims: invented records with planted effects get the verdict that fits, and no other does."""

from __future__ import annotations

import ast
import re
from functools import cache
from math import isnan
from pathlib import Path

import nbformat
import numpy as np
import pytest

from amslib.claims import (
    CLAIMS,
    COMPARABLE,
    UNMEASURABLE,
    Claim,
    average,
    compare,
    configs,
    f1,
    in_paper,
    judge,
)
from amslib.diagnostics import Quality
from amslib.experiments import paper_grid
from amslib.records import Record
from amslib.statistics import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED

ROOT = Path(__file__).parents[1]
ROWS = configs()
SEEDS = 5
NOISE = np.random.default_rng(0).normal(size=(len(ROWS), 5, 2, SEEDS)) * 1e-3
NOISE -= NOISE.mean(-1, keepdims=True)  # so that no difference has a mean that is not planted


def invent(planted=None, known=True, seeds=SEEDS, noise=1.0) -> dict[str, list[Record]]:
    """Results in which every mAP and every share is 0.5, but for some noise and what is planted.

    Args:
        planted: what to add, to the mAP by (row, levels), or to a share of a `Quality` by (row,
            "base", "supp" or "fused", field); a tuple tells it for each iteration.
        known: whether there is a quality at all.
    """
    mine = {row: {k[1:]: v for k, v in (planted or {}).items() if k[0] == row} for row in ROWS}
    return {row: invented(row, frozenset(mine[row].items()), known, seeds, noise) for row in ROWS}


@cache
def invented(row: str, planted: frozenset, known: bool, seeds: int, noise: float) -> list[Record]:
    planted, config = dict(planted), ROWS[row]

    def added(i: int, *key: str) -> float:
        value = planted.get(key, 0)
        return value[i] if isinstance(value, tuple) else value

    def entry(i: int, seed: int) -> dict:
        score, share = noise * NOISE[list(ROWS).index(row), i, :, seed]
        scores = {
            levels: {"protocol": "", "mAP": [0.5 + score + added(i, levels)] * n, "per_class": {}}
            for levels, n in {"thumos14": 7, "activitynet12": 10}.items()
        }
        quality = {
            branch: [
                0.5 + sign * share + added(i, branch, field)
                for sign, field in enumerate(Quality._fields, start)
            ]
            for start, branch in enumerate(("base", "supp", "fused"))
        }
        fused = quality.pop("fused")
        about = {"train": {"rgb": quality, "flow": quality}, "test": {"fused": fused}}
        return scores | {"quality": about if known else None}

    return [
        Record(
            key=f"{seed:016x}",
            config=config,
            seed=seed,
            dataset={"name": "invented", "fingerprint": "0" * 16},
            iterations=[entry(i, seed) for i in range(config.iterations + 1)],
            made={},
            folder=ROOT,
        )
        for seed in range(seeds)
    ]


def rows(*names: str, by: float | tuple = 0.02, levels: str = "thumos14") -> dict:
    return {(name, levels): by for name in names}


def shares(row: str, branch: str, *fields: str, by: float | tuple = 0.02) -> dict:
    return {(row, branch, field): by for field in fields}


# What to plant so that a claim is true, by its number in the chapter; its opposite makes it false.
BETTER = {
    1: rows("AMS"),
    2: rows("D", "E", "F"),
    3: rows("AMS", levels="activitynet12"),
    5: rows("C", "D", "E", "F"),
    6: rows("D", "E"),
    7: rows("E"),
    8: rows("C"),
    9: rows("F"),
    10: rows("F"),
    11: rows("F"),
    12: rows("F"),
    13: rows("adaptive"),
    14: rows("random"),
    15: rows("adaptive"),
    16: rows("iterations", by=(0, 0, 0, 0.02, 0)),
    17: rows("iterations", by=(0, 0, 0, 0.02, 0)),
    18: rows("iterations", by=(0, 0.06, 0.09, 0.10, 0.09)),
    20: shares("iterations", "supp", "precision", "recall", by=(0, 0.04, 0.08, 0.12, 0.12)),
    23: rows("maximum", "average"),
    24: rows("η 0.75"),
    26: rows("η 0.75"),
    28: shares("F", "base", "core"),
    29: shares("F", "supp", "hard"),
    30: shares("F", "base", "precision"),
    31: shares("F", "fused", "complete", "precision"),
}
# What to plant so that it is false that two rows are comparable; its opposite does so, too.
APART = {
    4: rows("B"),
    19: rows("iterations", by=(0, 0, 0, 0, 0.02)),
    21: shares("iterations", "base", "precision", "recall", by=(0, 0, 0, 0, 0.02))
    | shares("iterations", "supp", "precision", "recall", by=(0, 0, 0, 0, 0.02)),
    22: rows("average"),
    25: rows("η 0.5"),
    27: rows("η 2"),
}


def scaled(world: dict, by: float) -> dict:
    times = {key: np.multiply(value, by).tolist() for key, value in world.items()}
    return {key: tuple(v) if isinstance(v, list) else v for key, v in times.items()}


def judged(number: int, world: dict, **options):
    (judgement,) = judge([CLAIMS[number - 1]], invent(world, **options))
    return judgement


def test_there_is_a_world_for_every_claim():
    kinds = {i: claim.kind for i, claim in enumerate(CLAIMS, 1)}
    assert {i for i, kind in kinds.items() if kind == COMPARABLE} == set(APART)
    assert set(kinds) == set(BETTER) | set(APART) and len(kinds) >= 15


@pytest.mark.parametrize("number", BETTER)
def test_a_planted_gain_is_supported_and_its_opposite_is_not(number):
    assert judged(number, BETTER[number]).verdict == SUPPORTED
    assert judged(number, scaled(BETTER[number], -1)).verdict == NOT_SUPPORTED
    assert judged(number, {}).verdict == INCONCLUSIVE
    assert judged(number, scaled(BETTER[number], 1e-3)).verdict == INCONCLUSIVE


@pytest.mark.parametrize("number", APART)
def test_no_difference_is_supported_and_a_planted_one_is_not(number):
    assert judged(number, {}).verdict == SUPPORTED
    assert judged(number, scaled(APART[number], 0.1)).verdict == SUPPORTED
    for sign in (1, -1):
        assert judged(number, scaled(APART[number], sign)).verdict == NOT_SUPPORTED
        assert judged(number, scaled(APART[number], sign / 2)).verdict == INCONCLUSIVE


@pytest.mark.parametrize("number", [i for i, claim in enumerate(CLAIMS, 1) if claim.needs])
def test_what_the_data_cannot_tell_is_said(number):
    judgement = judged(number, {}, known=False)
    assert judgement.verdict == UNMEASURABLE and not judgement.effects
    assert isnan(judgement.p)
    # without cores, their shares are nan and the other ones known
    nan = float("nan")
    cores = shares("F", "base", "core", "hard", by=nan) | shares("F", "supp", "hard", by=nan)
    unknown = judged(number, cores).verdict == UNMEASURABLE
    assert unknown == ("cores" in CLAIMS[number - 1].needs)


def test_only_claims_that_say_so_need_more_than_scores():
    for claim in CLAIMS:
        if not claim.needs:
            (judgement,) = judge([claim], invent(known=False))
            assert judgement.verdict != UNMEASURABLE


def test_one_rival_is_enough_against_the_best():
    (best,) = (c for c in CLAIMS if list(c.comparisons) == [f"F − {x}" for x in "ABCDE"])
    for rival, expected in ((0.01, SUPPORTED), (0.02, INCONCLUSIVE), (0.03, NOT_SUPPORTED)):
        planted = {("F", "thumos14"): 0.02, ("D", "thumos14"): rival}
        (judgement,) = judge([best], invent(planted))
        assert (judgement.verdict, judgement.deciding) == (expected, "F − D")
        assert judgement.effects["F − D"].mean == pytest.approx(0.02 - rival)
        assert (judgement.p < 0.05) == (expected == SUPPORTED)


def test_the_margin_decides_what_is_comparable():
    claim = Claim("", "", COMPARABLE, compare(["FE"]))
    results = invent(rows("F", by=0.02))
    found = [judge([claim], results, margin)[0].verdict for margin in (0.01, 0.02, 0.03)]
    assert found == [NOT_SUPPORTED, INCONCLUSIVE, SUPPORTED]


def test_an_effect_is_the_mean_over_paired_seeds():
    claim = Claim("", "", "better", compare(["FE"], lambda row: average(row, 0.3, 0.7)))
    results = invent(rows("F", by=0.02), noise=5.0)
    (judgement,) = judge([claim], results)
    each = [
        np.mean(f.map()[2:]) - np.mean(e.map()[2:])
        for f, e in zip(results["F"], results["E"], strict=True)
    ]
    effect = judgement.effects["F − E"]
    assert (effect.mean, effect.sd) == pytest.approx((np.mean(each), np.std(each, ddof=1)))


def test_one_seed_decides_nothing():
    for number, world in BETTER.items():
        judgement = judged(number, world, seeds=1)
        assert judgement.verdict == INCONCLUSIVE and isnan(judgement.p)
        assert judgement.effects[judgement.deciding].mean > 0


def test_rows_of_different_seeds_are_not_compared():
    results = invent()
    results["E"] = results["E"][::-1]
    with pytest.raises(ValueError, match=r"row 'E' has the seeds \[4, .*row 'A' \[0, .*same ones"):
        judge(CLAIMS, results)


def test_claims_need_no_config_that_is_not_in_the_grid():
    assert set(configs().values()) == set(paper_grid())


def told_by_the_paper() -> dict[str, float]:
    return {
        f"{i} {name}": round(100 * effect, 1)
        for i, claim in enumerate(CLAIMS, 1)
        for name, effect in in_paper(claim).items()
    }


def test_the_papers_own_differences():
    told = told_by_the_paper()
    expected = {
        "1 AMS − W-TALC, AVG(0.1–0.5)": 12.2,  # Table I
        "3 AMS − W-TALC, AVG(0.5–0.95)": 6.6,  # Table II
        "4 B − A": 0.2,  # the text's own differences, here and below
        "8 C − B": 3.1,
        "9 F − E": 3.7,
        "13 adaptive − random": 3.4,
        "14 random − uniform": 0.8,
        "16 iteration 3 − 0": 8.2,
        "22 maximum − average": 0.1,
    }
    assert {name: told[name] for name in expected} == expected


@pytest.mark.parametrize("claim", CLAIMS, ids=range(1, len(CLAIMS) + 1))
def test_the_papers_own_numbers_say_what_the_claim_says(claim):
    """Or there are none: a wrong sign or a wrong row would show here."""
    printed = [effect for effect in in_paper(claim).values() if not isnan(effect)]
    if claim.kind == COMPARABLE:
        assert all(abs(effect) < 0.01 for effect in printed)
    else:
        assert all(effect > 0 for effect in printed)
    without = claim.where.startswith(("III-C4", "IV-E4", "IV-F")) or claim.needs
    assert len(printed) == (0 if without else len(claim.comparisons))


# The chapter

VERDICTS = re.compile("support|inconclusive|measurable", re.IGNORECASE)


def typed(cell) -> str:
    """What a cell says by hand: its text, or the strings in its code."""
    if cell.cell_type == "markdown":
        return cell.source
    nodes = ast.walk(ast.parse(cell.source))
    return "\n".join(n.value for n in nodes if isinstance(n, ast.Constant) and str is type(n.value))


def test_the_chapter_names_no_verdict_by_hand():
    """Only the cell that defines the words has them, and it speaks of no claim."""
    notebook = nbformat.read(ROOT / "notebooks" / "14_claims.ipynb", as_version=4)
    words = {cell.id: typed(cell) for cell in notebook.cells if VERDICTS.search(typed(cell))}
    assert set(words) == {"rule"}
    assert not re.search(r"\([A-F]\)|[Cc]laims? \d|η|sampler|Table|Fig", words["rule"])


def test_labels_that_meet_no_segment_have_no_f1():
    assert f1(Quality(0.0, 0.0, *[0.5] * 6)) == 0
    assert f1(Quality(0.5, 1.0, *[0.5] * 6)) == pytest.approx(2 / 3)
