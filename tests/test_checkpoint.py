"""Training that is stopped, killed or handed bad checkpoints ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import small_disk
from safetensors.torch import load_file, save_file
from test_train import ABLATIONS, QUICK, parameters

from amslib import Config, Run, load, train
from amslib.checkpoint import BEFORE, NOW, Checkpoint, CheckpointWarning
from amslib.keeper import Keeper, StoppedError

ROOT = Path(__file__).parents[1]
TINY = load("synthetic-tiny", width=8)
FEW = replace(QUICK, steps_per_epoch=3)
STEPS = 2 * (2 * 2 * 3 + 2 * 2 * 3)  # streams x (phase zero + two iterations)
pytestmark = pytest.mark.usefixtures("one_thread")


def same(a: Run, b: Run) -> bool:
    """Every parameter after every iteration, and every loss."""
    return a.history == b.history and all(
        torch.equal(p, parameters(b, i)[name])
        for i in range(len(a.states))
        for name, p in parameters(a, i).items()
    )


@pytest.fixture
def stop(monkeypatch):
    """stop(k): training saves after each step, and is told to stop after step k."""
    after_step = Keeper.after_step

    def at(step: int):
        def noted(keeper, trainer):
            if keeper.steps + 1 == step:
                keeper.signal = signal.SIGINT
            after_step(keeper, trainer)

        monkeypatch.setattr(Keeper, "after_step", noted)

    return at


@pytest.fixture(scope="module")
def uninterrupted() -> Run:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    run = train(TINY, FEW, seed=5)
    torch.set_num_threads(threads)
    return run


@pytest.mark.parametrize("step", [1, 3, 5, 6, 7, 12, 13, 15, 16, 24, 25, 40, STEPS - 1, STEPS])
def test_a_stopped_run_goes_on_bitwise_the_same(uninterrupted, stop, tmp_path, step):
    stop(step)
    with pytest.raises(StoppedError, match=f"after step {step}; saved in {tmp_path}"):
        train(TINY, FEW, seed=5, checkpoint=tmp_path)
    stop(0)
    assert same(train(TINY, FEW, seed=5, checkpoint=tmp_path), uninterrupted)


def test_many_models_go_on_too_and_anything_random_with_them(stop, tmp_path):
    configs = [*ABLATIONS, replace(QUICK, dropout=0.5), replace(QUICK, heads="parallel")]
    expected = train(TINY, configs, seed=1)
    for step in (17, 40, 71, 130):
        stop(step)
        with pytest.raises(StoppedError):
            train(TINY, configs, seed=1, checkpoint=tmp_path)
    stop(0)
    for one, other in zip(train(TINY, configs, seed=1, checkpoint=tmp_path), expected, strict=True):
        assert same(one, other)


def test_a_run_that_crops_goes_on_too(stop, tmp_path):
    config = replace(QUICK, max_snippets=20, sampler="random", supp_init="copy_base")
    stop(23)
    with pytest.raises(StoppedError):
        train(TINY, config, checkpoint=tmp_path)
    stop(0)
    assert same(train(TINY, config, checkpoint=tmp_path), train(TINY, config))


def test_the_comparison_above_sees_a_lost_random_state(uninterrupted, stop, tmp_path):
    """Without the state of the dropout, what comes out is another run."""
    stop(5)
    with pytest.raises(StoppedError):
        train(TINY, FEW, seed=5, checkpoint=tmp_path)
    checkpoint = _open(tmp_path)
    tensors, state = checkpoint.load()
    tensors["trainer/random/dropout"] = torch.Generator().manual_seed(1).get_state()
    checkpoint.save(tensors, state)
    stop(0)
    assert not same(train(TINY, FEW, seed=5, checkpoint=tmp_path), uninterrupted)


def _open(folder: Path) -> Checkpoint:
    """The checkpoint of a folder, whatever its work."""
    from safetensors import safe_open

    with safe_open(folder / NOW, "pt") as file:
        return Checkpoint(folder, json.loads(file.metadata()["about"])["work"])


# Killed


def _train_to_the_end(folder: Path) -> None:
    torch.set_num_threads(1)
    run = train(TINY, FEW, seed=5, checkpoint=folder / "checkpoint", checkpoint_seconds=0)
    run.save(folder / "run")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_killed_at_20_random_moments_it_ends_bitwise_the_same(uninterrupted, tmp_path):
    context = get_context("forkserver")
    context.set_forkserver_preload(["amslib", "test_checkpoint"])
    moments, killed = random.Random(0), 0
    for _ in range(200):
        process = context.Process(target=_train_to_the_end, args=(tmp_path,))
        process.start()
        process.join(moments.uniform(0.05, 0.4) if killed < 20 else 120)
        if process.exitcode is None:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
        killed += process.exitcode == -signal.SIGKILL
        if process.exitcode == 0 and killed < 20:  # done too early: begin anew
            for path in (tmp_path / "checkpoint").iterdir():
                path.unlink()
        elif process.exitcode == 0:
            break
    assert killed == 20 and process.exitcode == 0
    assert same(Run.load(tmp_path / "run"), uninterrupted)


def test_killed_between_the_two_renames(uninterrupted, stop, tmp_path):
    """The new file is not yet there, the old one not any more."""
    stop(9)
    with pytest.raises(StoppedError):
        train(TINY, FEW, seed=5, checkpoint=tmp_path)
    os.replace(tmp_path / NOW, tmp_path / BEFORE)
    (tmp_path / f"{NOW}.1.part").write_bytes(b"half a file")
    stop(0)
    assert same(train(TINY, FEW, seed=5, checkpoint=tmp_path), uninterrupted)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path, number):
    command = [sys.executable, "-m", "amslib", "train", "--data", "synthetic-tiny"]
    command += ["--out", str(tmp_path / "run"), "--set", "steps_per_epoch=60"]
    process = subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    time.sleep(6)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    told = told.decode()
    assert process.returncode == 130, told
    assert "stopped after step" in told and "The same command goes on from there" in told
    assert "Traceback" not in told and (tmp_path / "run" / "checkpoint" / NOW).is_file()
    done = subprocess.run(
        [*command[:-1], "steps_per_epoch=61"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2 and "checkpoint of other work" in done.stderr


# Bad files


@pytest.fixture
def two(stop, tmp_path) -> Path:
    """A folder with two checkpoints, of steps 8 and 9."""
    for step in (8, 9):
        stop(step)
        with pytest.raises(StoppedError):
            train(TINY, FEW, seed=5, checkpoint=tmp_path)
    stop(0)
    assert {p.name for p in tmp_path.iterdir()} == {NOW, BEFORE}
    return tmp_path


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(bytes(content))


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _pickle(path: Path) -> None:
    torch.save({"weight": torch.ones(3)}, path)


def _foreign(path: Path) -> None:
    save_file(load_file(path), path, {"other": "tool"})


def _other_work(path: Path) -> None:
    tensors, state = _open(path.parent).load()
    other = Checkpoint(path.parent / "other", {"configs": [], "seed": 6})
    other.save(tensors, state)
    os.replace(path.parent / "other" / NOW, path)


DAMAGES = [_truncate, _flip, _empty, _pickle, _foreign, _other_work]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bad_checkpoint_is_refused_and_the_one_before_is_used(uninterrupted, two, damage):
    damage(two / NOW)
    with pytest.warns(CheckpointWarning, match=f"{NOW}: .*going on from {two / BEFORE}"):
        run = train(TINY, FEW, seed=5, checkpoint=two)
    assert same(run, uninterrupted)


@pytest.mark.parametrize("damage", DAMAGES)
def test_without_a_good_checkpoint_nothing_is_trained_over_it(two, damage):
    damage(two / NOW)
    (two / BEFORE).unlink()
    with pytest.raises(ValueError, match="Name another folder, or delete this one"):
        train(TINY, FEW, seed=5, checkpoint=two)


@pytest.mark.parametrize(
    "change, told",
    [
        (dict(seed=6), "seed: it has 5, asked for 6"),
        (dict(config=replace(FEW, eta=0.5)), "configs: "),
        (dict(precision="bf16"), "precision: it has 'fp32', asked for 'bf16'"),
        (dict(dataset=load("synthetic-tiny", width=8, seed=1)), "dataset: "),
    ],
    ids=["seed", "config", "precision", "data"],
)
def test_a_checkpoint_of_other_work_says_what_differs(two, change, told):
    asked = dict(dataset=TINY, config=FEW, seed=5) | change
    with pytest.raises(ValueError, match=f"checkpoint of other work .*{told}"):
        train(**asked, checkpoint=two)


def test_a_full_disk_stops_no_training(uninterrupted, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("amslib.checkpoint.save_file", full)
    with pytest.warns(CheckpointWarning, match="No space left on device.*training goes on"):
        run = train(TINY, FEW, seed=5, checkpoint=tmp_path, checkpoint_seconds=0)
    assert same(run, uninterrupted) and not list(tmp_path.iterdir())


def test_a_really_full_disk_keeps_the_checkpoint_that_is_there(tmp_path):
    with small_disk(tmp_path, "48k"):
        checkpoint = Checkpoint(tmp_path, {})
        checkpoint.save({"a": torch.arange(4000.0)}, {"step": 1})
        with pytest.raises(OSError, match="no checkpoint could be written"):
            checkpoint.save({"a": torch.arange(9000.0)}, {"step": 2})
        assert [p.name for p in tmp_path.iterdir()] == [NOW]
        tensors, state = checkpoint.load()
        assert state == {"step": 1} and torch.equal(tensors["a"], torch.arange(4000.0))


# Losses that are not finite


def test_a_loss_that_is_not_finite_names_its_place_and_can_be_reproduced(tmp_path):
    """A video with one bad value, met for the first time in a later epoch."""
    config = Config(steps_per_epoch=2, epochs_zero=4, epochs=1, iterations=0, batch_size=1, pairs=0)
    late = None
    for i, video in enumerate(TINY.train):
        rows = np.array(video.features["rgb"])
        rows[3, 0] = np.nan
        bad = replace(video, features={**video.features, "rgb": rows})
        data = replace(TINY, train=(*TINY.train[:i], bad, *TINY.train[i + 1 :]))
        folder = tmp_path / str(i)
        with suppress(FloatingPointError):
            train(data, config)
            continue  # never drawn
        with pytest.raises(FloatingPointError, match=f"videos of the batch: {video.id}") as told:
            train(data, config, checkpoint=folder)
        if getattr(told.value, "__notes__", None):
            late = told.value
            break
    place = "stream rgb, iteration 0, (base|supp) branch, step [2-7]: the classification loss "
    assert late is not None and re.match(f"{place}of member 0 is nan", str(late))
    assert str(folder) in late.__notes__[0]
    with pytest.raises(FloatingPointError) as again:
        train(data, config, checkpoint=folder)
    assert str(again.value) == str(late)


def test_signals_are_left_alone_without_a_checkpoint_and_given_back_with_one(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    seen = []
    with Keeper(None, 60):
        seen.append(signal.getsignal(signal.SIGINT))
    with Keeper(Checkpoint(tmp_path, {}), 60):
        seen.append(signal.getsignal(signal.SIGINT))
    assert seen[0] == before != seen[1] and signal.getsignal(signal.SIGINT) == before


def test_bf16_learns_much_the_same():
    """Products with 8 bits of mantissa: the losses agree to that, and are not equal. (Features that
    are narrower train in larger steps, in which any difference grows.)
    """
    data = load("synthetic-tiny", width=64)
    exact, rough = (train(data, QUICK, precision=p) for p in ("fp32", "bf16"))
    losses = [np.array([h["classification"] for h in run.history]) for run in (exact, rough)]
    gap = np.abs(losses[1] / losses[0] - 1).max()
    assert 1e-7 < gap < 2**-8
    assert all(p.dtype == torch.float32 for p in parameters(rough).values())
    with pytest.raises(ValueError, match="precision='fp8'; expected one of 'fp32', 'bf16'"):
        train(TINY, QUICK, precision="fp8")
