"""The README's results are those of the records, and a change of either is seen."""

from __future__ import annotations

import pytest
import write_results

from amslib import Config, experiments


@pytest.mark.slow
def test_the_readme_is_up_to_date():
    readme = write_results.README.read_text()
    assert write_results.written(readme) == readme, "run tools/write_results.py"


def test_a_stale_section_is_replaced_and_nothing_else(monkeypatch):
    monkeypatch.setattr(write_results, "render", lambda: "new\n")
    head, tail = f"# Title\n{write_results.BEGIN}", f"{write_results.END}after\n"
    assert write_results.written(f"{head}old\n{tail}") == f"{head}\nnew\n\n{tail}"


def test_options_spell_the_difference_to_the_defaults():
    assert write_results.options(Config()) == ""
    assert write_results.options(experiments.table_3()["A"]) == (
        "--set branches=1 --set sampler=none --set supervision=none --set iterations=0"
    )
