"""The page of differences: every field with its default, every decision with its effect."""

from __future__ import annotations

import ast
import re
from dataclasses import asdict
from pathlib import Path

import nbformat
import papermill
import pytest
from helpers import may_train
from notebook_rules import code_cells, text_of
from papermill.exceptions import PapermillExecutionError

from amslib import Config, experiments, load, run_grid, tables
from amslib.statistics import paired

ROOT = Path(__file__).parents[1]
LEDGER = ROOT / "book" / "differences.ipynb"
TERMS = ["Paper", "Field", "Here", "Measured"]
QUICK = {"dataset": "synthetic-tiny", "steps_per_epoch": 2}


def source() -> str:
    """The page as one text, in which a call of `measured` is a line of its section."""
    cells = nbformat.read(LEDGER, as_version=4).cells
    return "\n\n".join(
        re.sub(r'^measured\("(.+)"\)$', r"Measured\n: in: \1", cell.source) for cell in cells
    )


def sections() -> dict[str, str]:
    """Text of each decision by its heading."""
    _, *parts = re.split(r"^### ", source(), flags=re.MULTILINE)
    return {part.splitlines()[0]: re.split(r"^## ", part, flags=re.MULTILINE)[0] for part in parts}


def decisions() -> list[str]:
    return [*experiments.ledger(Config()), "aggregation"]


@pytest.mark.parametrize("heading", sections())
def test_a_section_says_all_four_things(heading):
    text = sections()[heading]
    assert re.findall(r"^(\w+)\n: \S", text, re.MULTILINE) == TERMS
    *_, last = text.split("Measured\n: ")
    assert re.match(r"in: |Not measured.*\w", last), "neither an effect nor a reason for none"


def test_every_decision_is_measured_in_the_section_that_it_links():
    found = re.findall(r"\(gap-(.+)\)=\n### (.+)", source())
    linked = {name.replace("-", " "): heading for name, heading in found}
    measured = {
        name: heading
        for heading, text in sections().items()
        for name in re.findall(r"Measured\n: in: (.+)", text)
    }
    names = {name: name.replace("-", " ") for name in decisions()}
    assert sorted(measured) == sorted(names)
    assert {names[name]: heading for name, heading in measured.items()} == linked


def test_every_field_stands_once_with_its_default():
    page = (ROOT / "book" / "pipeline.md").read_text()
    rows = re.findall(r"^\| (.+?) \|", page, re.MULTILINE)
    here = [text.split("Here\n")[1].split("Measured\n")[0] for text in sections().values()]
    stated = {}
    for text in rows + here:
        for name, value in re.findall(r"`(\w+)=([^`]+)`", text):
            assert name not in stated, f"{name} stands there twice"
            stated[name] = ast.literal_eval(value)
    assert stated == asdict(Config())


@pytest.mark.slow
def test_the_page_prints_the_paired_differences_of_the_records(tmp_path):
    with may_train():
        nb = papermill.execute_notebook(
            LEDGER,
            tmp_path / "ledger.ipynb",
            parameters=QUICK | {"decisions": ["score", "aggregation"], "seeds": 2},
            progress_bar=False,
            cwd=tmp_path,
        )
    (line,) = (c for c in code_cells(nb) if c.source == 'measured("score")')
    (table,) = (c for c in code_cells(nb) if "tab-effects" in c.source)
    base = Config(steps_per_epoch=QUICK["steps_per_epoch"])
    names = experiments.ledger(base)["score"]
    found = run_grid([base, *names.values()], [0, 1], load(QUICK["dataset"]))
    size = 1 + len(names)
    for i, name in enumerate(names, start=1):
        told = []
        for low, high in ((0.1, 0.7), (0.5, 0.5)):
            values = [r.evaluation().average(low, high) for r in found]
            told.append(tables.interval(paired(values[i::size], values[::size])))
        assert f"[score](gap-score): {name} | {told[0]} |" in text_of(table.outputs[0])
        effect = f": **{name}:** AVG(0.1–0.7) {told[0]}; mAP@0.5 {told[1]}"
        assert effect in text_of(line.outputs[0])
    (other,) = (c for c in code_cells(nb) if c.source == 'measured("top-k")')
    assert "Not part of this run" in text_of(other.outputs[0])


@pytest.mark.slow
def test_an_unknown_decision_stops(tmp_path):
    with pytest.raises(PapermillExecutionError, match="'topk'.* unknown; there are .*'top-k'"):
        papermill.execute_notebook(
            LEDGER,
            tmp_path / "ledger.ipynb",
            parameters=QUICK | {"decisions": ["topk"]},
            progress_bar=False,
            cwd=tmp_path,
        )
