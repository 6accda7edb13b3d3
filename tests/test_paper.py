"""The paper's numbers are those that it prints, and its slips are found, not typed."""

from __future__ import annotations

import re
from dataclasses import asdict
from math import isnan
from pathlib import Path

import pytest

from amslib import Config, experiments, paper

ROOT = Path(__file__).parents[1]
TEXT = ROOT.parent / "shared" / "paper.txt"
SIZES = {1: 24, 2: 14, 3: 6, 4: 3, 5: 3}


@pytest.fixture(scope="module")
def text() -> str:
    """The paper's text, one line a row of a table."""
    if not TEXT.exists():
        pytest.skip(f"needs the paper's text in {TEXT}")
    return TEXT.read_text()


def dashed(row: paper.Row) -> str:
    """The numbers of a row as they stand in the paper."""
    return " ".join(paper.printed(v).replace("–", "-") for v in row.numbers.values())


@pytest.mark.parametrize("number, size", SIZES.items())
def test_every_row_has_every_column(number, size):
    rows = paper.table(number)
    assert len(rows) == size
    assert len({tuple(row.numbers) for row in rows.values()}) == 1
    assert all(name == row.name for name, row in rows.items())
    shares = [v for row in rows.values() for v in row.numbers.values() if not isnan(v)]
    assert all(0 < v < 100 and v == round(v, 1) for v in shares)


def test_some_numbers():
    assert paper.table(1)["AMS"].numbers["AVG(0.3-0.7)"] == 32.4
    assert paper.table(1)["WTALC"].numbers["0.6"] == 14.8
    assert isnan(paper.table(1)["RefineLoc"].numbers["0.4"])
    assert paper.table(2)["SSN"].numbers == {
        "0.5": 41.3, "0.75": 27.0, "0.95": 6.1, "AVG(0.5-0.95)": 26.6
    }  # fmt: skip
    assert paper.table(4)["random"].numbers["AVG(0.1-0.7)"] == 38.9
    assert paper.table(5)["average"].numbers["0.5"] == 33.3
    assert list(paper.fig_4().values()) == [24.9, 30.5, 32.7, 33.1, 32.8]


@pytest.mark.parametrize("number", [1, 2])
def test_methods_stand_in_the_paper_as_here(number, text):
    for row in paper.table(number).values():
        name = f"{row.name} [{row.reference}]" if row.reference else "AMS (Ours)"
        assert f"{name} {dashed(row)}" in text


def test_ablations_stand_in_the_paper_as_here(text):
    for row in paper.table(3).values():
        about = (row.about[what] for what in ("branches", "sampler", "labels"))
        assert f"({row.name}) {' '.join(about)} {dashed(row)}\n" in text
    for row in paper.table(4).values():
        assert f"({row.about['id']}) {row.name.title()} {dashed(row)}\n" in text
    for row in paper.table(5).values():
        assert f"\n{row.name.title()} {dashed(row)}\n" in text


def test_figures_and_settings_stand_in_the_paper(text):
    plot = text[text.index("0 1 2 3 4\nIteration") : text.index("Fig. 4: Results")]
    assert set(map(str, paper.fig_4().values())) <= set(re.findall(r"\d+\.\d", plot))
    fig_5 = paper.fig_5()
    assert " ".join(f"{eta:.2f}" for eta in fig_5["etas"]) in text
    assert f"is achieved when η = {fig_5['best']}." in text
    set_to = paper.settings()
    for name, symbol in {"localization_weight": "λ", "beta": "β", "factor": "H"}.items():
        assert f"{symbol} = {set_to[name]}" in text
    assert f"η\n= {set_to['eta']}" in text and f"θcls = {set_to['class_threshold']}" in text
    assert f"{set_to['threshold_factor']}× avg(M)" in text
    assert f"for {set_to['epochs_zero']} epochs in Phase zero" in text
    assert f"every {set_to['epochs']} epochs" in text
    assert f"{set_to['feature_width']}-dimensional" in text
    assert f"{set_to['frames_per_snippet']}-frame snippets" in text
    thumos14, activitynet = set_to["max_snippets"].values()
    assert f"T is set to {thumos14} on THUMOS14, and {activitynet}\non ActivityNet1.2" in text


def test_data_stand_in_the_paper(text):
    about = paper.data("THUMOS14")
    sentence = "There are {videos} untrimmed videos in {classes}\ncategories"
    assert sentence.format(**about) in text
    assert "on {train} validation videos, and\nevaluated on {test} test".format(**about) in text
    assert f"an average of {about['instances_per_video']} action" in text
    about = paper.data("ActivityNet1.2")
    assert "{videos} videos be-\nlonging to {classes}".format(**about) in text
    assert "into {train} videos\n\nfor training, {test} videos".format(**about) in text
    assert "and {withheld} videos for\ntesting".format(**about) in text


def test_the_defaults_of_this_code_are_the_settings_of_the_paper():
    fields = asdict(Config())
    shared = {name: value for name, value in paper.settings().items() if name in fields}
    assert shared.pop("max_snippets")["THUMOS14"] == fields["max_snippets"]
    assert len(shared) == 9 and shared == {name: fields[name] for name in shared}


def test_rows_of_the_ablations_are_those_of_the_experiments():
    assert list(paper.table(3)) == list(experiments.table_3())
    assert set(paper.table(4)) < set(experiments.table_4())
    assert set(paper.table(5)) == set(experiments.table_5())
    assert list(paper.fig_4()) == list(range(experiments.FIG_4_ITERATIONS + 1))
    assert tuple(paper.fig_5()["etas"]) == experiments.ETAS
    whole = paper.table(3)["F"].numbers
    for rows, name in ((1, "AMS"), (4, "adaptive"), (5, "maximum")):
        other = paper.table(rows)[name].numbers
        assert all(whole[c] == other[c] for c in whole.keys() & other.keys())


def test_four_averages_of_the_paper_do_not_follow_from_their_rows():
    checked = [average for number in SIZES for average in paper.averages(number)]
    wrong = {
        (a.row, a.column): (a.printed, round(a.recomputed, 2)) for a in checked if not a.agrees
    }
    assert wrong == {
        ("TURN", "AVG(0.1-0.5)"): (44.8, 41.9),
        ("TAL-Net", "AVG(0.3-0.7)"): (41.3, 39.82),
        ("A2CL-PT", "AVG(0.1-0.5)"): (50.7, 46.9),
        ("AMS", "AVG(0.3-0.7)"): (32.4, 32.94),
    }
    whole = [n for n, row in paper.table(1).items() if not any(map(isnan, row.numbers.values()))]
    assert len(whole) == 20 and {row for row, _ in wrong} < set(whole)  # 16 others check
    assert len([a for a in checked if a.row in paper.table(3)]) == 6


def test_averages_without_all_their_parts_are_left_alone():
    assert not paper.averages(2) and not paper.averages(4)  # too few thresholds are printed
    columns = {a.row: a.column for a in paper.averages(1) if a.row in ("WO", "Autoloc")}
    assert columns == {"WO": "AVG(0.1-0.5)", "Autoloc": "AVG(0.3-0.7)"}
    assert "RefineLoc" not in {a.row for a in paper.averages(1)}


def test_rows_that_others_print_otherwise():
    differing = set()
    for name, numbers in paper.elsewhere(1).items():
        here = paper.table(1)[name].numbers
        differing |= {name for c, v in numbers.items() if not isnan(v + here[c]) and v != here[c]}
    assert differing == {"STPN", "BM", "ASSG", "DGAM", "RefineLoc"}
    assert paper.elsewhere(1)["DGAM"]["0.3"] == 46.8 and isnan(paper.elsewhere(1)["WTALC"]["0.6"])
    assert paper.elsewhere(2)["RefineLoc"]["AVG(0.5-0.95)"] == 23.2


def test_what_there_is_not():
    with pytest.raises(ValueError, match="table 6; the paper has tables 1, 2, 3, 4, 5"):
        paper.table(6)
    with pytest.raises(ValueError, match="table 3; the list covers tables 1 and 2"):
        paper.elsewhere(3)
    with pytest.raises(ValueError, match="'HACS'; the paper has THUMOS14 and ActivityNet1.2"):
        paper.data("HACS")


def test_callers_cannot_change_the_numbers():
    paper.table(3)["F"].numbers["0.5"] = 0.0
    paper.fig_5()["etas"].clear()
    assert paper.table(3)["F"].numbers["0.5"] == 33.1 and paper.fig_5()["etas"]


def test_citations_are_in_the_bibliography():
    known = set(re.findall(r"^@\w+\{(.+),$", (ROOT / "book/references.bib").read_text(), re.M))
    cited = {row.cite for number in (1, 2) for row in paper.table(number).values()}
    assert cited <= known
