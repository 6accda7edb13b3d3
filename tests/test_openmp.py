"""Threads that wait do so asleep, unless the user wants otherwise or torch is there before."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

SHOW = "import os; print(os.environ.get('OMP_WAIT_POLICY'))"
SPAWN = """
import os
from amslib.workers import processes

if __name__ == "__main__":
    with processes(1) as pool:
        print(pool.submit(os.getenv, "OMP_WAIT_POLICY").result())
"""


def policy(code: str, **own: str) -> str:
    others = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, env=others | own)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("code", "own", "expected"),
    [
        (f"import amslib; {SHOW}", {}, "PASSIVE"),
        (f"import amslib.data.findings; {SHOW}", {}, "PASSIVE"),
        (f"import amslib; {SHOW}", {"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE"),
        (f"import torch, amslib; {SHOW}", {}, "None"),  # too late to have an effect
    ],
    ids=["package", "module", "own value", "after torch"],
)
def test_the_package_sets_the_policy_before_torch_is_loaded(code, own, expected):
    assert policy(code, **own) == expected


def test_workers_inherit_it():
    assert policy(SPAWN) == "PASSIVE"
