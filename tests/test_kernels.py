"""Pinned kernels: the same bits whatever a library would choose, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from amslib import Config, kernels, load, run_grid
from amslib.kernels import PINNED, PINNED_HERE, baddbmm, bmm, can_be_pinned, pinned_children
from amslib.machine import described
from amslib.workers import pinned_process

ROOT = Path(__file__).parents[1]
QUICK = Config(steps_per_epoch=20, epochs_zero=2, epochs=1, iterations=1)
needs_pins = pytest.mark.skipif(
    not can_be_pinned(), reason="no AVX2, no MKL in torch or no OpenBLAS in NumPy"
)

# a grid without an executor, in a script that is not guarded by __name__ == "__main__"
SCRIPT = """
import hashlib, json, sys
from amslib import Config, load, run_grid, train
config = Config(steps_per_epoch=20, epochs_zero=2, epochs=1, iterations=1)
data = load("synthetic-tiny")
def digest(run):
    digest = hashlib.sha256()
    for streams in run.states:
        for branches in streams.values():
            for state in branches.values():
                for p in state.values():
                    digest.update(p.numpy().tobytes())
    return digest.hexdigest()
(record,) = run_grid([config], [0], data, out=sys.argv[1], runs=True)
print(digest(record.run()), digest(train(data, config, 0, "cpu")), record.made["pinned"])
"""
# what a user, a job script or a processor may have chosen
CHOSEN = {
    "none": {},
    "old processor": {"ATEN_CPU_CAPABILITY": "default", "OPENBLAS_CORETYPE": "Nehalem"},
    "other kernels of MKL": {"ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "AVX2"},
    "seven threads": {"OMP_NUM_THREADS": "7", "OPENBLAS_NUM_THREADS": "7"},
}


def trained(chosen: dict[str, str], folder: Path) -> tuple[str, str]:
    """Digests of the weights of a grid's run and of `train`, in a process with such variables."""
    script = folder / "script.py"
    script.write_text(SCRIPT)
    inherited = {name: value for name, value in os.environ.items() if name not in PINNED}
    made = subprocess.run(
        [sys.executable, str(script), str(folder / "records")],
        env={**inherited, "PYTHONPATH": str(ROOT), **chosen},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert made.returncode == 0, made.stderr
    grid, user, pinned = made.stdout.split()
    assert pinned == "True"
    return grid, user


@pytest.mark.slow
@needs_pins
def test_a_grid_gives_the_same_bits_under_all_kernels_and_threads(tmp_path):
    digests = {}
    for name, chosen in CHOSEN.items():
        (tmp_path / name).mkdir()
        digests[name] = trained(chosen, tmp_path / name)
    assert len({grid for grid, _ in digests.values()}) == 1, digests
    # what `train` gives depends on them, so equal digests are not a matter of course
    assert digests["old processor"][1] != digests["other kernels of MKL"][1]


@pytest.mark.slow
@needs_pins
@pytest.mark.fresh_process
def test_a_record_says_that_its_kernels_were_pinned(tmp_path):
    data = load("synthetic-tiny", width=8)
    (record,) = run_grid([QUICK], [0], data, out=tmp_path)
    assert record.made["pinned"] and record.made["kernels"] == "AVX2"
    assert record.made["products"].startswith("OpenBLAS") and record.made["threads"] == 1
    assert record.made["chosen"].items() <= PINNED.items()


@pytest.mark.slow
@needs_pins
def test_the_children_have_them_and_the_caller_keeps_its_own(monkeypatch):
    monkeypatch.setenv("MKL_CBWR", "AUTO")
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    with pinned_process() as pool:
        assert pool.submit(described, "cpu").result()["pinned"]
    assert os.environ["MKL_CBWR"] == "AUTO" and "OPENBLAS_CORETYPE" not in os.environ


def test_variables_are_restored_after_an_error(monkeypatch):
    monkeypatch.setattr(kernels, "can_be_pinned", lambda: True)
    before = dict(os.environ)
    with pytest.raises(KeyError), pinned_children():
        assert os.environ.items() >= PINNED.items()
        raise KeyError
    assert dict(os.environ) == before


def test_where_kernels_cannot_be_pinned_nothing_is_set(monkeypatch):
    monkeypatch.setattr(kernels, "can_be_pinned", lambda: False)
    before = dict(os.environ)
    with pinned_children():
        assert dict(os.environ) == before


@pytest.mark.skipif(PINNED_HERE, reason="this process was started with pinned kernels")
def test_this_process_computes_as_its_machine_does_best():
    assert not described("cpu")["pinned"]


@pytest.mark.parametrize("pinned", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_are_products(pinned, dtype, monkeypatch):
    """Also of transposed, shared and empty factors."""
    monkeypatch.setattr(kernels, "PINNED_HERE", pinned)
    g = torch.Generator().manual_seed(0)
    a, b, c, shared = (
        torch.randn(shape, generator=g, dtype=dtype)
        for shape in ((3, 5, 4), (3, 4, 2), (3, 1, 2), (5, 4))
    )
    for left in (a, shared.expand(3, 5, 4), a.mT.contiguous().mT, a[:, :0]):
        torch.testing.assert_close(bmm(left, b), left @ b)
        torch.testing.assert_close(baddbmm(c, left, b, alpha=0.5), c + 0.5 * (left @ b))
        torch.testing.assert_close(baddbmm(c, left, b), c + left @ b)
    torch.testing.assert_close(bmm(a.mT, a), a.mT @ a)


SHAPES = [(18, 300, 32, 20), (5, 211, 33, 7)]


@pytest.mark.parametrize("members, rows, width, out", SHAPES)
def test_pinned_products_do_not_depend_on_how_many_members_there_are(
    members, rows, width, out, monkeypatch
):
    monkeypatch.setattr(kernels, "PINNED_HERE", True)
    g = torch.Generator().manual_seed(0)
    a = torch.randn(members, rows, width, generator=g)
    b = torch.randn(members, width, out, generator=g)
    for i in range(members):
        assert torch.equal(bmm(a, b)[i : i + 1], bmm(a[i : i + 1], b[i : i + 1]))


MEMBERS = """
import torch
from dataclasses import replace
from amslib import Config, kernels, load, train
from amslib.experiments import paper_grid
quick = dict(steps_per_epoch=5, epochs_zero=2, epochs=1)
configs = [replace(c, iterations=min(c.iterations, 2), **quick) for c in paper_grid()]
data = load("synthetic-tiny")
assert kernels.PINNED_HERE
for config, together in zip(configs, train(data, configs, 0, "cpu"), strict=True):
    alone = train(data, config, 0, "cpu")
    for was, now in zip(alone.states, together.states, strict=True):
        for stream, branches in was.items():
            for branch, state in branches.items():
                for name, p in state.items():
                    assert torch.equal(p, now[stream][branch][name]), (config, stream, name)
print("equal")
"""


@pytest.mark.slow
@needs_pins
def test_a_record_does_not_depend_on_what_was_trained_along():
    """So that a single record can be computed again, bit for bit."""
    env = {**os.environ, **PINNED, "PYTHONPATH": str(ROOT)}
    made = subprocess.run(
        [sys.executable, "-c", MEMBERS], env=env, capture_output=True, text=True, timeout=300
    )
    assert made.stdout.strip() == "equal", made.stderr
