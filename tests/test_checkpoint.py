"""Training that is stopped, killed or handed bad checkpoints ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
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
from helpers import heed_ctrl_c, small_disk
from safetensors.torch import load_file, save_file
from test_train import ABLATIONS, QUICK, parameters

from amslib import Config, Run, checkpoint, keeper, load, train
from amslib.checkpoint import BEFORE, NOW, Checkpoint, CheckpointWarning
from amslib.device import pick_device
from amslib.keeper import Keeper, StoppedError

ROOT = Path(__file__).parents[1]
TINY = load("synthetic-tiny", width=8)
FEW = replace(QUICK, steps_per_epoch=3)
STEPS = 2 * (2 * 2 * 3 + 2 * 2 * 3)  # streams x (phase zero + two iterations)
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


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


def test_a_finished_training_is_whole_in_its_checkpoint(uninterrupted, tmp_path, monkeypatch):
    configs = [FEW, replace(FEW, eta=0.5), replace(FEW, heads="parallel", iterations=0)]
    one, many = tmp_path / "one", tmp_path / "many"
    first = train(TINY, FEW, seed=5, checkpoint=one), train(TINY, configs, checkpoint=many)
    saved = {path: path.read_bytes() for path in (one / NOW, many / NOW)}

    def refuse(*_):
        pytest.fail("it trains again")

    monkeypatch.setattr(sys.modules["amslib.train"], "StreamTrainer", refuse)
    assert same(train(TINY, FEW, seed=5, checkpoint=one), uninterrupted) and first[0]
    for run, again in zip(first[1], train(TINY, configs, checkpoint=many), strict=True):
        assert same(again, run)
    assert saved == {path: path.read_bytes() for path in saved}


def test_a_checkpoint_of_many_other_configs_is_told_briefly(tmp_path):
    configs = [{f"field{i}": "value" * 99 for i in range(40)} | {"number": n} for n in range(50)]
    Checkpoint(tmp_path, {"configs": configs}).save({}, {})
    Checkpoint(tmp_path, {"configs": configs}).save({}, {})
    changed = [config | {"field7": "x" * 9999, "number": 0} for config in configs]
    with pytest.raises(
        ValueError, match="config 0: field7 was .*and 49 more configs differ"
    ) as error:
        Checkpoint(tmp_path, {"configs": changed}).load()
    assert len(str(error.value)) < 700
    with pytest.raises(ValueError, match="50 configs were trained, now 9"):
        Checkpoint(tmp_path, {"configs": configs[:9]}).load()


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
    other = torch.Generator(pick_device("auto")).manual_seed(1)
    tensors["trainer/random/dropout"] = other.get_state()
    checkpoint.save(tensors, state)
    stop(0)
    assert not same(train(TINY, FEW, seed=5, checkpoint=tmp_path), uninterrupted)


def _about(file: Path) -> dict:
    """What a checkpoint holds beside its tensors; it may be replaced at any moment."""
    content = file.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return json.loads(header["__metadata__"]["about"])


def _open(folder: Path) -> Checkpoint:
    """The checkpoint of a folder, whatever its work."""
    return Checkpoint(folder, _about(folder / NOW)["work"])


def _steps(folder: Path) -> int:
    """Where the last checkpoint stands; 0 without one."""
    for name in (NOW, BEFORE):
        with suppress(FileNotFoundError):
            return _about(folder / name)["state"]["steps"]
    return 0


# Killed


def _train_to_the_end(folder: Path) -> None:
    torch.set_num_threads(1)
    keeper.SHARE = 0  # a checkpoint after every step
    run = train(TINY, FEW, seed=5, checkpoint=folder / "checkpoint", checkpoint_seconds=0)
    run.save(folder / "run")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_killed_at_20_random_moments_it_ends_bitwise_the_same(uninterrupted, tmp_path, monkeypatch):
    """One in four before it has made a step, the others after."""
    context = get_context("forkserver")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # where it looks for these
    # what takes seconds to import; an optimiser needs the first
    context.set_forkserver_preload(["torch._dynamo", "test_checkpoint"])
    folder, moments, reached = tmp_path / "checkpoint", random.Random(0), []
    for _ in range(200):
        before = _steps(folder)
        process = context.Process(target=_train_to_the_end, args=(tmp_path,))
        process.start()
        while len(reached) % 4 and process.is_alive() and _steps(folder) == before:
            time.sleep(0.01)
        process.join(moments.uniform(0, 0.1) if len(reached) < 20 else 120)
        process.kill()
        process.join()
        if process.exitcode == -signal.SIGKILL:
            reached.append(_steps(folder) - before)
        elif len(reached) == 20:
            break
        else:  # done too early: begin anew
            shutil.rmtree(folder)
    assert len(reached) == 20 and process.exitcode == 0
    assert min(reached) >= 0 and sum(steps > 0 for steps in reached) >= 15
    assert same(Run.load(tmp_path / "run"), uninterrupted)
    assert {path.name for path in folder.iterdir()} == {NOW, BEFORE}


def test_killed_between_the_two_renames(uninterrupted, stop, tmp_path):
    """The new file is not yet there, the old one not any more."""
    stop(9)
    with pytest.raises(StoppedError):
        train(TINY, FEW, seed=5, checkpoint=tmp_path)
    os.replace(tmp_path / NOW, tmp_path / BEFORE)
    stop(0)
    assert same(train(TINY, FEW, seed=5, checkpoint=tmp_path), uninterrupted)


def test_what_a_killed_process_has_left_is_removed(tmp_path):
    for left in (f"{NOW}.left", "mine"):
        (tmp_path / left).mkdir()
        (tmp_path / left / NOW).write_bytes(b"half a file")
    Checkpoint(tmp_path, {}).save({}, {"step": 1})
    assert {path.name for path in tmp_path.iterdir()} == {NOW, "mine"}


def test_of_two_that_save_at_once_one_is_told_and_both_may_go_on(tmp_path, monkeypatch):
    checkpoint = Checkpoint(tmp_path, {})

    def overtaken(tensors, part, header):
        monkeypatch.setattr("amslib.checkpoint.save_file", save_file)
        with part.open("wb", buffering=0) as file:
            file.write(b"half a file")
            Checkpoint(tmp_path, {}).save({}, {"step": 2})
            file.write(b"the other half")

    monkeypatch.setattr("amslib.checkpoint.save_file", overtaken)
    with pytest.raises(OSError, match="no checkpoint could be written"):
        checkpoint.save({}, {"step": 1})
    assert checkpoint.load() == ({}, {"step": 2})
    checkpoint.save({}, {"step": 3})
    assert checkpoint.load() == ({}, {"step": 3})
    assert {path.name for path in tmp_path.iterdir()} == {NOW, BEFORE}


@pytest.mark.parametrize("failing", [NOW, BEFORE])
def test_a_file_that_cannot_be_renamed_loses_no_checkpoint(tmp_path, monkeypatch, failing):
    replace = os.replace

    def refused(old, new):
        if new.name == failing:
            raise PermissionError(13, "Permission denied")
        replace(old, new)

    checkpoint = Checkpoint(tmp_path, {})
    for step in (1, 2):
        checkpoint.save({}, {"step": step})
    with monkeypatch.context() as broken:
        broken.setattr(os, "replace", refused)
        with pytest.raises(OSError, match="no checkpoint could be written .*Permission denied"):
            checkpoint.save({}, {"step": 3})
    assert checkpoint.load() == ({}, {"step": 2})
    assert len(list(tmp_path.iterdir())) <= 2
    checkpoint.save({}, {"step": 3})
    assert checkpoint.load() == ({}, {"step": 3})


EAGER = """
from functools import partial
from amslib import cli
cli.train = partial(cli.train, checkpoint_seconds=0)
cli.main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path, number):
    command = [sys.executable, "-c", EAGER, "train", "--data", "synthetic-tiny"]
    command += ["--out", str(tmp_path / "run"), "--set", "steps_per_epoch=60"]
    checkpoint = tmp_path / "run" / "checkpoint"
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    end = time.monotonic() + 60
    while not _steps(checkpoint) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 128 + number, told
    assert f"stopped after step {_steps(checkpoint)}; saved in {checkpoint}" in told
    assert "The same command goes on from there" in told and "Traceback" not in told
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
        (dict(seed=6), "seed was 5, now 6"),
        (dict(config=replace(FEW, eta=0.5)), r"\(configs: eta was 0.75, now 0.5\)"),
        (dict(precision="bf16"), "precision was 'fp32', now 'bf16'"),
        (dict(dataset=load("synthetic-tiny", width=8, seed=1)), "dataset was "),
    ],
    ids=["seed", "config", "precision", "data"],
)
def test_a_checkpoint_of_other_work_says_what_differs(two, change, told):
    asked = dict(dataset=TINY, config=FEW, seed=5) | change
    with pytest.raises(ValueError, match=f"checkpoint of other work .*{told}"):
        train(**asked, checkpoint=two)


def test_a_checkpoint_of_other_code_is_refused(two, monkeypatch):
    monkeypatch.setattr(checkpoint, "method_fingerprint", lambda: "other")
    with pytest.raises(ValueError, match="checkpoint of other work .*method was .*'other'"):
        train(TINY, FEW, seed=5, checkpoint=two)


def test_a_full_disk_stops_no_training(uninterrupted, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("amslib.checkpoint.save_file", full)
    with (
        pytest.warns(
            CheckpointWarning, match="No space left on device.*the run itself is complete"
        ),
        pytest.warns(CheckpointWarning, match="No space left on device.*training goes on"),
    ):
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
        rows[3, 0] = 3e38  # finite, but no product with it is
        bad = replace(video, features={**video.features, "rgb": rows})
        data = replace(TINY, train=(*TINY.train[:i], bad, *TINY.train[i + 1 :]))
        folder = tmp_path / str(i)
        with suppress(FloatingPointError):
            train(data, config)
            continue  # never drawn
        with pytest.raises(FloatingPointError, match=f"videos of the batch: {video.id}") as told:
            train(data, config, checkpoint=folder)
        if "The state at the start of this epoch is saved" in told.value.__notes__[0]:
            late = told.value
            break
    place = "stream rgb, iteration 0, (base|supp) branch, step [2-7]: the classification loss "
    assert late is not None and re.match(f"{place}of member 0 is nan", str(late))
    assert str(folder) in late.__notes__[0]
    with pytest.raises(FloatingPointError) as again:
        train(data, config, checkpoint=folder)
    assert str(again.value) == str(late)


def test_a_loss_that_is_not_finite_in_the_first_epoch_is_met_again(tmp_path):
    features = {"rgb": np.full((9, 8), 3e38, np.float32)}
    data = replace(TINY, train=(replace(TINY.train[0], features=features),))
    told = []
    for _ in range(2):
        with pytest.raises(FloatingPointError, match="step 0: the classification loss") as error:
            train(data, QUICK, checkpoint=tmp_path)
        told.append((str(error.value), *error.value.__notes__))
    assert told[0] == told[1] and not list(tmp_path.iterdir())
    assert told[0][1].endswith("or from the start if there is none, into the same step")


def test_a_loss_that_is_not_finite_is_told_on_a_full_disk_too(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("amslib.checkpoint.save_file", full)
    keeper = Keeper(Checkpoint(tmp_path, {}), 60)
    with pytest.raises(FloatingPointError, match="the loss is nan") as error, keeper:
        keeper.epoch_start = {}, {}
        raise FloatingPointError("the loss is nan")
    (note,) = error.value.__notes__
    assert "no checkpoint could be written" in note and "No space left on device" in note
    assert f"goes on from the last checkpoint in {tmp_path}, or from the start" in note


@pytest.fixture
def interrupt():
    """Sets what Ctrl-C does, and sets it back."""
    before = signal.getsignal(signal.SIGINT)
    yield lambda handler: signal.signal(signal.SIGINT, handler)
    signal.signal(signal.SIGINT, before)


def during(checkpoint: Checkpoint | None):
    """What Ctrl-C does while something trains."""
    before = signal.getsignal(signal.SIGINT)
    with Keeper(checkpoint, 60):
        meanwhile = signal.getsignal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == before
    return meanwhile


def test_signals_are_left_alone_without_a_checkpoint_or_where_they_are_ignored(interrupt, tmp_path):
    usual = signal.default_int_handler
    interrupt(usual)
    assert during(None) == usual != during(Checkpoint(tmp_path, {}))
    interrupt(signal.SIG_IGN)
    assert during(Checkpoint(tmp_path, {})) == signal.SIG_IGN


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
