"""A formula that fails is a test that fails, not a module that cannot be collected."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow

# A plugin with which every function of the method fails, from before the tests are collected.
BROKEN = """
import inspect
from importlib import import_module

from amslib.method import METHOD

def fail(*args, **kwargs):
    raise AssertionError("computed while tests are collected")

for name in set(METHOD) - {"config", "kernels"}:  # these only describe
    module = import_module("amslib." + name.replace("/", "."))
    for function in map(inspect.unwrap, filter(inspect.isfunction, vars(module).values())):
        if function.__module__ == module.__name__ and not function.__code__.co_freevars:
            function.__code__ = fail.__code__
"""


def collect(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    (folder / "broken.py").write_text(BROKEN)
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    command += ["-c", ROOT / "pyproject.toml", "-p", "broken", *arguments]
    path = os.pathsep.join([str(folder), str(ROOT)])
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True
    )


def test_collection_computes_nothing_of_the_method(tmp_path):
    done = collect(tmp_path, "tests")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_formula_that_is_computed_at_import_is_caught(tmp_path):
    test = tmp_path / "test_early.py"
    test.write_text(
        "import torch\nfrom amslib import sampling_weights\nW = sampling_weights(torch.ones(3))\n"
    )
    done = collect(tmp_path, str(test))
    assert done.returncode != 0 and "computed while tests are collected" in done.stdout
