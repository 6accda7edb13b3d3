"""Settings for every pytest run, those over notebooks included."""

from __future__ import annotations

import os

import pytest
import torch

from amslib.kernels import PINNED, can_be_pinned

# A chapter whose records are missing stops; it would train for hours. Kernels inherit it.
os.environ["AMSLIB_RECORDS"] = "committed"


def pytest_configure(config):
    """Kernels that nbval starts compute as those did that wrote the outputs."""
    if config.getoption("nbval", False) and can_be_pinned():
        os.environ.update(PINNED)


def pytest_terminal_summary(terminalreporter):
    """Says how records were compared, which depends on the machine."""
    for report in terminalreporter.getreports("passed"):
        for name, text in report.user_properties:
            if name == "compared":
                terminalreporter.write_line(text)


def pytest_collection_modifyitems(items):
    for item in items:
        if type(item).__name__ == "IPyNbCell":
            item.output_timeout = 60  # nbval gives a busy kernel 5 s after its reply (nbval#231)


@pytest.fixture
def one_thread():
    """Where a run is short, threads that wait for each other cost more than they do."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
