"""Where records are missing, tests and chapters stop with one sentence; nothing trains."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import nbformat
import pytest
import write_results
from execute_notebooks import NOTEBOOKS

import amslib
from amslib import Config, grid, load, records, run_grid
from amslib.grid import RECORDS, MissingRecordsError

ROOT = Path(__file__).parents[1]
QUICK = Config(steps_per_epoch=2, epochs_zero=1, epochs=1, iterations=1, hidden=8)


def code(path: Path) -> list[str]:
    cells = nbformat.read(path, as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == "code"]


READERS = [path for path in NOTEBOOKS if any("run_grid(" in source for source in code(path))]


@pytest.fixture(scope="module")
def loaded():
    """`load`, that generates a data set once for all chapters."""
    return cache(load)


@pytest.fixture
def no_records(monkeypatch) -> list:
    """No record is found anywhere. Returns the units that would be trained."""
    asked = []
    monkeypatch.setattr(grid, "find", lambda *_: None)
    monkeypatch.setattr(grid, "_compute", lambda units, *_: asked.extend(units))
    return asked


def test_the_tests_read_committed_records_and_make_none():
    assert os.environ[RECORDS] == "committed"


def test_missing_records_are_counted_and_not_trained(no_records):
    configs = [Config(), Config(eta=0.5)]
    with pytest.raises(MissingRecordsError) as stopped:
        run_grid(configs, [4, 7, 4], load("synthetic-tiny"))
    assert str(stopped.value) == (
        "4 of 4 records of synthetic-tiny are not in results/ (first: seed 4: the default config): "
        "run `make reproduce` (for chapter 13 and the Differences page `make reproduce-all`), "
        "then `make notebooks`"
    )
    assert no_records == []


def test_only_what_is_missing_is_counted(monkeypatch):
    data, there = load("synthetic-tiny"), Config(eta=0.5)
    key = records.record_key(there, 0, data)
    monkeypatch.setattr(grid, "find", lambda name, *_: name if name == key else None)
    told = "1 of 2 records .*first: seed 0: eta=0.25"
    with pytest.raises(MissingRecordsError, match=told):
        run_grid([there, Config(eta=0.25)], [0], data)
    assert run_grid([there], [0], data) == [key]


def test_a_missing_run_is_named(no_records):
    with pytest.raises(MissingRecordsError, match="1 of 1 records with their trained runs of"):
        run_grid([Config()], [0], load("synthetic-tiny"), runs=True)


def test_a_folder_of_ones_own_may_be_written_to(no_records, tmp_path):
    run_grid([Config()], [0, 1], load("synthetic-tiny"), out=tmp_path)
    assert [unit.seed for unit in no_records] == [0, 1]


def test_a_reader_who_reruns_a_chapter_may_train(no_records, monkeypatch):
    monkeypatch.delenv(RECORDS)
    run_grid([Config()], [3], load("synthetic-tiny"))
    assert [unit.seed for unit in no_records] == [3]


@pytest.mark.slow
@pytest.mark.parametrize("path", READERS, ids=lambda path: path.stem)
def test_a_chapter_without_its_records_stops(path, loaded, no_records, monkeypatch, capsys):
    monkeypatch.setattr(amslib, "load", loaded)
    names = {"__name__": "__main__"}
    with pytest.raises(MissingRecordsError, match="are not in results/ .*run `make reproduce`"):
        for source in code(path):
            exec(compile(source, path.name, "exec"), names)
    assert no_records == []


@pytest.mark.slow
def test_the_readmes_results_stop_without_their_records(loaded, no_records, monkeypatch):
    monkeypatch.setattr(write_results, "load", loaded)
    with pytest.raises(MissingRecordsError, match="records of synthetic are not in results"):
        write_results.render()
    assert no_records == []


@pytest.mark.slow
def test_nbval_reports_missing_records_in_seconds(tmp_path):
    """A checkout without results, whose kernels inherit what its conftest.py sets."""
    shutil.copytree(ROOT / "amslib", tmp_path / "amslib")
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    path = tmp_path / "notebooks" / "03_mutual_supervision.ipynb"
    path.parent.mkdir()
    shutil.copy(ROOT / "notebooks" / path.name, path)
    environment = {name: value for name, value in os.environ.items() if name != RECORDS}
    command = [sys.executable, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider", path]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "are not in results/ (first: seed 0: steps_per_epoch=20)" in done.stdout
    assert not (tmp_path / "runs").exists(), "something was trained"
