"""The fingerprint of the method's code: what changes it, and what does not."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from amslib import method
from amslib.method import METHOD, method_fingerprint

ROOT = Path(__file__).parents[1]


@pytest.fixture
def copied(tmp_path, monkeypatch) -> Path:
    """A copy of the method's code that may be changed."""
    (tmp_path / "protocols").mkdir()
    for name in METHOD:
        (tmp_path / f"{name}.py").write_text((method.HERE / f"{name}.py").read_text())
    before = method_fingerprint()
    monkeypatch.setattr(method, "HERE", tmp_path)
    assert method_fingerprint() == before
    return tmp_path


SAME = [
    ('"""Pseudo-labels and losses: ', '"""Rewritten. '),
    ("EPS = 1e-6  # probabilities", "# a comment\nEPS = 1e-6  # other"),
    ("    positive = pseudo.bool()\n", "    positive = (\n        pseudo.bool()\n    )\n\n"),
    ('    """Mean over the last axis, the videos, if there is one."""\n', ""),
]
CHANGED = [
    ("EPS = 1e-6", "EPS = 2e-6"),
    ("(cas > alpha)", "(cas >= alpha)"),
    ("margin: float = 0.5", "margin: float = 0.6"),
    ('form == "bce"', 'form == "BCE"'),
]


@pytest.mark.parametrize("old, new", SAME + CHANGED)
def test_code_counts_and_its_looks_do_not(copied, old, new):
    before, path = method_fingerprint(), copied / "losses.py"
    source = path.read_text()
    assert source.count(old) == 1
    path.write_text(source.replace(old, new))
    assert (method_fingerprint() == before) == ((old, new) in SAME)


@pytest.mark.parametrize("name", METHOD)
def test_every_module_of_the_method_counts(copied, name):
    before = method_fingerprint()
    with open(copied / f"{name}.py", "a") as file:
        file.write("\nx = 1\n")
    assert method_fingerprint() != before


def imported(name: str) -> set[str]:
    """Modules of `amslib` that one of them imports, `protocols/tables` for one in a folder."""
    path = ROOT / "amslib" / f"{name}.py"
    froms = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom)]
    inside = name.rpartition("/")[0] + "/" if "/" in name else ""
    return {(inside if n.level == 1 else "") + n.module.replace(".", "/") for n in froms if n.level}


CARRIERS = (
    *("checkpoint", "detections", "device", "files", "keeper", "machine", "method", "mismatches"),
    *("parameters", "protocols/subset", "saved"),
)


def test_the_fingerprint_covers_all_that_a_number_depends_on():
    """Whatever training, prediction and evaluation import, data and containers aside."""
    # records are scored by one protocol; the list of all the others is no part of it
    reached, ahead = set(), {"train", "run", "evaluation", "protocols/activitynet"}
    while ahead:
        name = ahead.pop()
        reached.add(name)
        found = {n for n in imported(name) if not n.startswith("data") and n != "protocols"}
        ahead |= found - reached
    # what holds, moves or keeps numbers does not change them
    assert reached - {*CARRIERS} == set(METHOD)
