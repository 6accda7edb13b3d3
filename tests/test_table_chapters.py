"""Chapters on Tables I and II: all rows quoted, and quoted numbers apart from measured ones."""

from __future__ import annotations

import re
from pathlib import Path

import data_folders
import nbformat
import papermill
import pytest
from helpers import may_train
from notebook_rules import outputs, text_of

from amslib import paper

pytestmark = pytest.mark.slow

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
CHAPTERS = {1: "05_table_1_thumos14.ipynb", 2: "06_table_2_activitynet12.ipynb"}


@pytest.fixture(scope="module", params=CHAPTERS)
def number(request) -> int:
    return request.param


@pytest.fixture(scope="module")
def shown(number, tmp_path_factory) -> str:
    """What the chapter prints for one seed on a folder of features, in seconds."""
    folder = tmp_path_factory.mktemp(f"table_{number}")
    data = data_folders.write_basnet(folder / "data")
    with may_train():
        executed = papermill.execute_notebook(
            NOTEBOOKS / CHAPTERS[number],
            folder / "rerun.ipynb",
            parameters={"dataset": str(data), "seeds": 1, "steps_per_epoch": 1},
            progress_bar=False,
            cwd=folder,
        )
    return "\n\n".join(text_of(output) for _, output in outputs(executed))


def tables(text: str) -> dict[str, str]:
    """Body of each table by its caption."""
    return dict(re.findall(r"^:::\{table\} ([^\n]+)\n(.*?)^:::$", text, re.MULTILINE | re.DOTALL))


def test_every_row_of_the_paper_is_quoted_and_cited(number, shown):
    quoted = next(
        body for caption, body in tables(shown).items() if f"Table {'I' * number}," in caption
    )
    for row in paper.table(number).values():
        printed = [paper.printed(v) for c, v in row.numbers.items() if number > 1 or "AVG" not in c]
        assert f"| {row.name} | {' | '.join(printed)} |" in quoted
        assert f"{row.name} {{cite}}`{row.cite}`" in shown


def test_no_table_mixes_quoted_and_measured_numbers(shown):
    captions = list(tables(shown))
    measured = [caption for caption in captions if caption.startswith("Measured here, on data")]
    assert len(measured) == 1
    assert all("aper" in caption for caption in captions if caption not in measured)


def test_slips_are_told(number, shown):
    for average in paper.averages(number):
        told = f"{average.row}, {average.column}: printed {average.printed:.1f}".replace(
            "-0.", "–0."
        )
        assert (told in shown) == (not average.agrees)
    if number == 2:
        assert "4619 for" in shown and "training has 4819" in shown


def test_one_seed_of_given_data_has_a_note_and_no_spread(shown):
    assert "```{note}" in shown and "```{warning}" not in shown
    assert "±" not in shown and "One seed gives no interval" in shown


def test_the_generated_default_comes_with_a_warning(number):
    book = nbformat.read(NOTEBOOKS / CHAPTERS[number], as_version=4)
    shown = "\n\n".join(text_of(output) for _, output in outputs(book))
    assert "```{warning}\nThese data are generated" in shown and "```{note}" not in shown
    assert "±" in shown and "with its 95 % interval" in shown


def test_the_chapters_name_what_they_quote():
    for chapter in CHAPTERS.values():
        cells = nbformat.read(NOTEBOOKS / chapter, as_version=4).cells
        source = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
        captions = re.findall(r'caption = f?"(.+?)"', source)
        assert captions and all(
            re.match("Paper, |Measured here|.*in the paper", c) for c in captions
        )
