"""The rates of reading are of the bytes that were read."""

from __future__ import annotations

import json
import os

import measure_reading
import numpy as np
import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="measured on Linux only")


@pytest.fixture
def paths(tmp_path):
    return measure_reading.write(tmp_path, videos=3, snippets=5, width=4)


def test_each_way_reads_what_it_says(paths, monkeypatch):
    assert measure_reading.whole(paths) == 3 * 5 * 4 * 4
    assert measure_reading.crops(paths) == 3 * 5 * 4 * 4  # shorter than a crop: all of it
    monkeypatch.setattr(measure_reading, "CROP", 2)
    assert measure_reading.crops(paths) == 3 * 2 * 4 * 4
    monkeypatch.setattr(measure_reading, "ROWS", 7)
    assert measure_reading.single(paths) == 7 * 4 * 4


def test_a_cold_rate_forgets_first(paths, monkeypatch):
    forgotten = []
    monkeypatch.setattr(measure_reading, "forget", forgotten.append)
    assert measure_reading.rate(paths, measure_reading.whole, cold=False) > 0 and not forgotten
    assert measure_reading.rate(paths, lambda _: 0, cold=True) == 0 and forgotten == [paths]


@pytest.mark.slow
def test_the_files_are_numpy_arrays_and_are_gone_afterwards(tmp_path, paths):
    assert np.load(paths[0]).shape == (5, 4)
    out = tmp_path / "out.json"
    measure_reading.main([str(tmp_path / "new"), "--videos", "1", "--out", str(out)])
    told = json.loads(out.read_text())
    assert told["bytes"] == 4 * measure_reading.SNIPPETS * measure_reading.WIDTH
    assert told["rates"].keys() == measure_reading.WAYS.keys()
    assert all(rate > 0 for rates in told["rates"].values() for rate in rates.values())
    assert not (tmp_path / "new").exists()


def test_a_folder_that_is_there_is_left_alone(tmp_path):
    with pytest.raises(FileExistsError):
        measure_reading.measure(tmp_path, 1, 1, 1)
