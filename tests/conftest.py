"""Fixtures of all tests."""

from __future__ import annotations

import pytest

from amslib import grid


@pytest.fixture(autouse=True)
def grids_compute_here(request, monkeypatch):
    """Without an executor, a grid computes in the process of its test, where it can be watched; the
    marker "fresh_process" leaves it to choose.
    """
    if request.node.get_closest_marker("fresh_process") is None:
        monkeypatch.setattr(grid, "_needs_fresh_process", lambda device: False)
