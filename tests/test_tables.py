"""Tables are well-formed text; a provenance line names and links what it should, and no more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from amslib import Config, Evaluation
from amslib.evaluation import THUMOS14_TIOU
from amslib.records import COMMITTED, ROOT, Record
from amslib.statistics import estimate, paired
from amslib.tables import REPOSITORY, by_threshold, interval, outcomes, provenance, spread, table

MADE = {"method": "c0de" * 4, "commit": "abc1234", "device": "cpu", "threads": 2}
HARD = "\N{NO-BREAK SPACE}"


def made_up(key: int, seed: int = 0, config: Config = Config(), folder=COMMITTED, **made):  # noqa: B008
    return Record(
        key=f"{key:016x}",
        config=config,
        seed=seed,
        dataset={"name": "synthetic", "fingerprint": "da7a" * 4},
        iterations=[],
        made=MADE | made,
        folder=folder,
    )


def grid(folder=COMMITTED, **made) -> list[Record]:
    """Two configs, five seeds."""
    configs = [Config(), Config(eta=0.5)]
    pairs = [(seed, config) for seed in range(5) for config in configs]
    return [made_up(i, s, c, folder, **made) for i, (s, c) in enumerate(pairs)]


def test_a_table():
    text = table({"A": ["1", "2"], "B": ["3", "4"]}, ["", "x", "y"], "Caption.", "tab-t")
    assert text.splitlines() == [
        ":::{table} Caption.",
        ":name: tab-t",
        "",
        "|  | x | y |",
        "| :-- | --: | --: |",
        "| A | 1 | 2 |",
        "| B | 3 | 4 |",
        ":::",
    ]
    with pytest.raises(ValueError, match="row 'B' of tab-t has 1 cells; expected 2, .* x, y"):
        table({"A": ["1", "2"], "B": ["3"]}, ["", "x", "y"], "Caption.", "tab-t")


def test_numbers_in_percent():
    several = [0.540, 0.552, 0.546]
    assert spread(estimate(several)) == f"54.6 ±{HARD}0.6"
    assert interval(paired(several, [0.541, 0.551, 0.550])) == f"-0.1 [-0.8,{HARD}+0.5]"
    assert interval(estimate([2.0, 4.0]), scale=1) == f"+3.0 [-9.7,{HARD}+15.7]"
    assert interval(estimate([-1e-9, 0.0])) == f"+0.0 [+0.0,{HARD}+0.0]"


def test_one_seed_has_no_spread():
    assert spread(estimate([0.546])) == "54.6"
    assert interval(paired([0.546], [0.540])) == "+0.6"


def scored(shift: float) -> SimpleNamespace:
    """Stands in for a record with mAP 0.7 + shift, 0.6 + shift, .., 0.1 + shift."""
    score = Evaluation("activitynet", THUMOS14_TIOU, np.arange(7, 0, -1) / 10 + shift, {})
    return SimpleNamespace(evaluation=lambda: score)


def test_scores_by_threshold():
    cells = by_threshold({"A": [scored(0.0)], "B": [scored(0.01), scored(0.03)]})
    assert list(cells) == ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "**AVG**"]
    assert cells["0.1"] == ["70.0", f"72.0 ±{HARD}1.4"]
    assert cells["0.5"] == ["30.0", f"32.0 ±{HARD}1.4"]
    assert cells["**AVG**"] == ["40.0", f"42.0 ±{HARD}1.4"]


def test_outcomes_follow_the_intervals():
    more, less, same = estimate([1.0, 1.1]), estimate([-1.0, -1.1]), estimate([0.0, 0.0])
    assert outcomes({"a": more, "b": less, "c": same, "d": estimate([-1.0, 2.0])}) == (
        "95 % interval above zero for a; below zero for b; around zero for c, d."
    )
    assert outcomes({"a": more}).endswith("for a; below zero for none; around zero for none.")
    assert outcomes({"a": more, "b": estimate([3.0])}).startswith("One seed gives no interval")
    with pytest.raises(ValueError, match="no differences"):
        outcomes({})


def test_one_record_is_linked_in_the_line():
    assert provenance([made_up(7)]) == (
        f"Source: record [{7:016x}]({REPOSITORY}/blob/main/results/{7:016x}.json); "
        "1 config on synthetic `da7ada7a`; seed 0; method `c0dec0de`; "
        f"commit [abc1234]({REPOSITORY}/commit/abc1234); cpu, 2 threads."
    )


def test_a_grid_is_one_line_and_a_collapsed_list():
    line, _, *block = provenance(grid()).split("\n")
    assert line == (
        f"Source: records, 10 in [results]({REPOSITORY}/tree/main/results); "
        "2 configs on synthetic `da7ada7a`; seeds 0–4; method `c0dec0de`; "
        f"commit [abc1234]({REPOSITORY}/commit/abc1234); cpu, 2 threads."
    )
    assert block[0] == "<details>" and block[-1] == "</details>"
    assert block.count("") == 2  # around the list: Markdown inside of HTML
    assert [f"{r.key}.json" in block[3] for r in grid()] == [True] * 10
    assert provenance([*grid(), *grid()]) == provenance(grid())


def test_what_was_computed_here_is_named_but_not_linked():
    local = provenance(grid(Path("/somewhere/runs/records")))
    assert "records, 10 computed here;" in local and f"`{3:016x}`" in local
    assert "http" not in local and "somewhere" not in local
    assert "commit `abc1234`;" in local
    mixed = [*grid(), made_up(99, 5, folder=Path("runs"))]
    assert f"10 in [results]({REPOSITORY}/tree/main/results), 1 computed here;" in provenance(mixed)
    assert "; seeds 0–5;" in provenance(mixed)


@pytest.mark.parametrize(
    "commit, told",
    [
        ("", "commit unknown;"),
        (
            "abc1234+; def5678",
            f"commit [abc1234]({REPOSITORY}/commit/abc1234) with changes and "
            f"[def5678]({REPOSITORY}/commit/def5678);",
        ),
        ("abc1234+", f"commit [abc1234]({REPOSITORY}/commit/abc1234) with changes;"),
    ],
)
def test_commits_that_say_less(commit, told):
    assert told in provenance([made_up(1, commit=commit)])


def test_all_that_differs_is_told():
    records = [made_up(1), made_up(2, 4, commit="", device="cuda", threads=1)]
    other = {"name": "mine", "fingerprint": "1" * 16}
    text = provenance([*records, replace(made_up(3, 7), dataset=other)])
    assert text.startswith("Source: records [") and "computed here" not in text
    assert "1 config on synthetic `da7ada7a` and mine `11111111`; seeds 0, 4, 7;" in text
    assert "/commit/abc1234) and unknown; cpu, 2 threads and cuda, 1 thread." in text
    assert "cpu, 2 threads, pinned kernels." in provenance([made_up(1, pinned=True)])


def test_no_records_have_no_provenance():
    with pytest.raises(ValueError, match="no records given; expected"):
        provenance([])


def test_links_lead_to_the_repository_of_the_book():
    about = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]
    assert (about["url"], about["branch"]) == (REPOSITORY, "main")
