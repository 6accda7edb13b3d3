"""The status page says what the records, the chapters and the lock say."""

from __future__ import annotations

import json

import pytest
import write_status
from nbformat.v4 import new_code_cell, new_notebook, new_output

KEYS = ("0123456789abcdef", "0123456789abcde0", "0123456789abcde1")


def record(eta: float, seed: int, seconds: float, pinned: bool = True) -> dict:
    made = {"pinned": pinned, "commit": "abc1234", "python": "3.11", "torch": "2", "numpy": "2"}
    return {
        "config": {"eta": eta},
        "seed": seed,
        "dataset": {"name": "made-up", "fingerprint": "fedcba9876543210"},
        "made": made | {"device": "cpu", "threads": 1, "seconds": seconds},
    }


@pytest.fixture
def root(tmp_path):
    """Three records, of which a notebook names two and a key that is none."""
    about = [record(eta, 0, 60.0) for eta in (0.5, 1.0)]
    about.append(record(1.0, 1, 30.0))
    (tmp_path / "results").mkdir()
    for key, entry in zip(KEYS, about, strict=True):
        (tmp_path / "results" / f"{key}.json").write_text(json.dumps(entry))
    (tmp_path / "_toc.yml").write_text("parts: [{chapters: [{file: one}, {file: prose}]}]")
    text = f"records {KEYS[0]}, {KEYS[2]}; another {'f' * 16}"
    cell = new_code_cell("1", outputs=[new_output("stream", text=text)])
    (tmp_path / "one.ipynb").write_text(json.dumps(new_notebook(cells=[cell])))
    lock = "\n".join(f"{name}==1.2" for name in write_status.PINNED)
    (tmp_path / "requirements.lock").write_text(lock)
    return tmp_path


@pytest.mark.slow
def test_the_page_is_up_to_date():
    assert write_status.PAGE.read_text() == write_status.render(), "run tools/write_status.py"


def test_it_counts_records_configs_and_time(root):
    page = write_status.render(root)
    assert "3 records, 2\N{NO-BREAK SPACE}min of computing, 3 of them with [pinned" in page
    assert "| made-up `fedcba98` | 2 | 3 | 2\N{NO-BREAK SPACE}min |" in page
    assert "| [](../one.ipynb) | 2 | 90\N{NO-BREAK SPACE}s |" in page and "prose" not in page
    assert "| torch | 1.2 |" in page and "| commit | abc1234 |" in page
    assert "| processor | not recorded |" in page


def test_it_counts_the_records_that_are_not_of_pinned_kernels(root):
    (root / "results" / f"{KEYS[1]}.json").write_text(json.dumps(record(1.0, 0, 60.0, False)))
    assert "2 of them with [pinned" in write_status.render(root)
