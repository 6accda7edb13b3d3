"""Collects the figures of all benchmarks, writes `results.json` and prints the short table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from data import thumos
from figures import Figures
from report import report

OUT = Path(__file__).parent / "results.json"


FIGURES = pytest.StashKey[Figures]()


def pytest_configure(config):
    config.stash[FIGURES] = Figures()


@pytest.fixture(scope="session")
def figures(request) -> Figures:
    return request.config.stash[FIGURES]


@pytest.fixture(scope="session")
def wide(figures):
    """The data set at full scale."""
    data, timeline = thumos()
    figures.about["timeline"] = timeline
    return data


def pytest_terminal_summary(terminalreporter, exitstatus, config):
    measured = vars(config.stash[FIGURES])
    if exitstatus == 0 and all(measured.values()):  # all files were run
        OUT.write_text(json.dumps(measured, indent=1) + "\n")
    terminalreporter.write("\n" + report(measured) + "\n")
