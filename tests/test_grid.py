"""Grids that go wrong: units that fail, workers that die, disks that are full, Ctrl-C."""

from __future__ import annotations

import errno
import os
import pickle
import re
import resource
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers import environment, heed_ctrl_c

from amslib import Config, load, records, run_grid
from amslib.cli import main
from amslib.experiments import EXPERIMENTS, fig_4, ledger, paper_grid
from amslib.files import write_once
from amslib.grid import Failure, GridError, Unit, _Going, _keep, _running
from amslib.workers import processes

TINY = load("synthetic-tiny", width=8)
QUICK = Config(steps_per_epoch=2, epochs_zero=1, epochs=1, iterations=1)
OTHER = replace(QUICK, eta=0.25)
ARGUMENTS = [
    *("--data", "synthetic-tiny", "-o", "width=8", "-s", "epochs_zero=1", "-s", "epochs=1"),
    *("--experiment", "fig4"),
]
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


def scores(found) -> list:
    return [(r.key, r.seed, r.config, r.iterations) for r in found]


def start(*arguments) -> subprocess.Popen:
    """`python -m amslib grid`."""
    return subprocess.Popen(
        [sys.executable, "-m", "amslib", "grid", *ARGUMENTS, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,
        env=environment(OMP_NUM_THREADS="1"),
    )


def finish(process: subprocess.Popen, code: int = 0) -> tuple[str, str]:
    try:
        told = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code, told
    return told


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Failures


@pytest.fixture
def second_seed_fails(monkeypatch):
    train = records.train

    def fail(dataset, configs, seed, *rest):
        if seed == 1:
            raise FloatingPointError("the loss is nan")
        return train(dataset, configs, seed, *rest)

    monkeypatch.setattr(records, "train", fail)


@pytest.mark.parametrize("threads", [0, 2])
def test_a_unit_that_fails_is_told_and_does_not_stop_the_rest(threads, second_seed_fails, tmp_path):
    pool = ThreadPoolExecutor(threads) if threads else None
    with pytest.raises(GridError) as caught:
        run_grid([QUICK, OTHER], [0, 1, 2], TINY, pool, tmp_path)
    (failure,) = caught.value.failures
    assert failure.unit == ((QUICK, OTHER), 1)
    told = str(caught.value)
    assert told.startswith("1 of 3 units failed")
    assert "seed 1: steps_per_epoch=2" in told and "eta=0.25" in told
    assert "FloatingPointError: the loss is nan" in told and "in fail" in told
    kept = {records.record_key(c, s, TINY) + ".json" for c in (QUICK, OTHER) for s in (0, 2)}
    assert set(names(tmp_path)) == kept


def test_a_stream_that_fails_fails_its_unit_once(tmp_path, monkeypatch):
    train = records.train

    def fail(dataset, configs, seed, *rest):
        if dataset.streams == ("rgb",) and seed == 0:
            raise FloatingPointError("the loss is nan")
        return train(dataset, configs, seed, *rest)

    monkeypatch.setattr(records, "train", fail)
    with ThreadPoolExecutor(2) as pool, pytest.raises(GridError, match="1 of 2 units") as caught:
        run_grid([QUICK], [0, 1], TINY, pool, tmp_path)
    assert str(caught.value).count("FloatingPointError: the loss is nan") == 1
    assert names(tmp_path) == [f"{records.record_key(QUICK, 1, TINY)}.json"]


def test_a_unit_is_finished_before_more_are_begun_than_there_are_workers(tmp_path, monkeypatch):
    done, train, scores = [], records.train, records._scores

    def trained(dataset, configs, seed, *rest):
        done.append(("train", *dataset.streams, seed))
        return train(dataset, configs, seed, *rest)

    def scored(run, dataset, iteration, device):
        done.append(("score", run.config.eta, iteration, run.seed))
        return scores(run, dataset, iteration, device)

    monkeypatch.setattr(records, "train", trained)
    monkeypatch.setattr(records, "_scores", scored)
    with ThreadPoolExecutor(1) as pool:
        run_grid([QUICK, OTHER], [0, 1], TINY, pool, tmp_path)
    assert done == [
        (*what, seed)
        for seed in (0, 1)
        for what in [
            *(("train", "rgb"), ("train", "flow")),
            *(("score", config.eta, i) for config in (QUICK, OTHER) for i in (0, 1)),
        ]
    ]


def test_a_task_that_fails_while_it_is_looked_at_fails_its_unit_the_next_time():
    class Late(Future):
        def done(self):
            if not super().done():
                self.set_exception(FloatingPointError("the loss is nan"))
                return False
            return True

    def steps():
        yield [abs]

    one = _Going(Unit((QUICK,), 0), steps(), lambda task: Late())
    assert not one.ended() and one.ended()
    with pytest.raises(FloatingPointError):
        one.result()


def test_an_executor_that_takes_nothing_any_more_fails_the_units(tmp_path, monkeypatch):
    pool, train = ThreadPoolExecutor(1), records.train

    def last(*given):
        pool.shutdown(wait=False)
        return train(*given)

    monkeypatch.setattr(records, "train", last)
    with pytest.raises(GridError, match="2 of 2 units failed") as caught:
        run_grid([QUICK], [0, 1], TINY, pool, tmp_path)
    assert str(caught.value).count("\nRuntimeError: cannot schedule new futures") == 2


CALLER = """
import time
from amslib.workers import processes
with processes(1) as pool:
    print(pool.submit(round, 1.5).result(), flush=True)
    pool.submit(time.sleep, 600)
    time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_processes_of_a_killed_caller_end(number):
    """All of them have its standard output, which is at its end when the last is gone."""
    command = [sys.executable, "-c", CALLER]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as caller:
        try:
            assert caller.stdout.readline() == "2\n"
            caller.send_signal(number)
            assert caller.communicate(timeout=30)[0] == "" and caller.returncode == -number
        finally:
            with suppress(ProcessLookupError):  # there is none
                os.killpg(caller.pid, signal.SIGKILL)


class Deadly(dict):
    """Features that end the process that unpickles them."""

    def __reduce__(self):
        return os._exit, (1,)


def test_a_pool_whose_process_dies_says_so(tmp_path):
    video = replace(TINY.train[0], features=Deadly(TINY.train[0].features))
    deadly = replace(TINY, train=(video, *TINY.train[1:]))
    with processes(1) as pool, pytest.raises(GridError, match="2 of 2 units failed") as caught:
        run_grid([QUICK], [0, 1], deadly, pool, tmp_path)
    assert str(caught.value).count("a worker process died") == 2
    assert not names(tmp_path)


def test_a_worker_of_another_version_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "record_key", lambda *_: "0" * 16)
    with pytest.raises(GridError, match="amslib is another version"):
        run_grid([QUICK], [0], TINY, out=tmp_path)
    assert not names(tmp_path)


def test_a_worker_of_another_version_is_refused_also_where_it_only_trains(tmp_path, monkeypatch):
    keys = iter(["0" * 16, records.record_key(QUICK, 0, TINY), records.record_key(QUICK, 0, TINY)])
    monkeypatch.setattr(records, "record_key", lambda *_: next(keys))
    with pytest.raises(GridError, match="amslib is another version"):
        run_grid([QUICK], [0], TINY, out=tmp_path)
    assert not list(keys) and not names(tmp_path)


# What is on the disk


def test_a_folder_that_cannot_be_written_is_told_before_the_training(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "train", lambda *_: pytest.fail("it has trained"))
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(OSError, match="file: cannot be written .*is a file; name a folder"):
        run_grid([QUICK], [0], TINY, out=file)
    assert file.read_text() == "mine" and names(tmp_path) == ["file"]


def test_a_full_disk_leaves_no_half_file(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_once(tmp_path / "a.json", b"x" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not names(tmp_path)


def test_a_full_disk_fails_the_unit_and_no_other(tmp_path, monkeypatch):
    fsync, calls = os.fsync, []

    def full_once(file):
        calls.append(file)
        if len(calls) == 1:
            raise OSError(28, "No space left on device")
        fsync(file)

    monkeypatch.setattr(os, "fsync", full_once)
    with pytest.raises(GridError, match="No space left on device"):
        run_grid([QUICK], [0, 1], TINY, out=tmp_path)
    assert names(tmp_path) == [f"{records.record_key(QUICK, 1, TINY)}.json"]


def test_a_file_is_written_once(tmp_path):
    for content in (b"first", b"second"):
        write_once(tmp_path / "a.json", content)
    assert (tmp_path / "a.json").read_bytes() == b"first" and names(tmp_path) == ["a.json"]


def test_of_two_that_write_at_once_the_first_counts(tmp_path, monkeypatch):
    """The second finds no file, and by the time that its own is on the disk, there is one."""
    path, fsync = tmp_path / "a.json", os.fsync

    def overtaken(file):
        monkeypatch.setattr(os, "fsync", fsync)
        write_once(path, b"first")
        fsync(file)

    monkeypatch.setattr(os, "fsync", overtaken)
    write_once(path, b"second")
    assert path.read_bytes() == b"first" and names(tmp_path) == ["a.json"]


def test_threads_that_write_at_once_all_read_the_same(tmp_path, monkeypatch):
    path, fsync, ready = tmp_path / "a.json", os.fsync, threading.Barrier(8)

    def together(file):
        fsync(file)
        ready.wait(60)

    def write(number: int) -> bytes:
        write_once(path, b"%d" % number)
        return path.read_bytes()

    monkeypatch.setattr(os, "fsync", together)
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(write, range(8)))) == 1
    assert names(tmp_path) == ["a.json"]


def test_a_disk_without_links_is_written_to(tmp_path, monkeypatch):
    def unknown(*_):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", unknown)
    for content in (b"first", b"second"):
        write_once(tmp_path / "a.json", content)
    assert (tmp_path / "a.json").read_bytes() == b"first" and names(tmp_path) == ["a.json"]


def test_two_grids_at_once_share_a_folder(tmp_path):
    out, options = tmp_path / "out", ["-s", "steps_per_epoch=2", "--seeds", 2]
    both = [start(*options, "--out", out) for _ in range(2)]
    told = [finish(process) for process in both]
    alone = run_grid([fig_4(QUICK)], range(2), TINY, out=tmp_path / "alone")
    assert names(out) == names(tmp_path / "alone") == sorted(f"{r.key}.json" for r in alone)
    assert scores(run_grid([fig_4(QUICK)], range(2), TINY, out=out)) == scores(alone)
    assert told[0] == told[1] and told[0][1] == ""
    mean = 50 * sum(record.evaluation().average(0.1, 0.7) for record in alone)
    (row,) = [line for line in told[0][0].splitlines() if "│ 4 iterations " in line]
    assert "│     2 │" in row and f" {mean:.1f} ±" in row


@pytest.mark.fresh_process
def test_runs_come_back_from_a_worker(tmp_path):
    (here,) = run_grid([QUICK], [0], TINY, out=tmp_path / "here", runs=True)
    with processes(1) as pool:
        (there,) = run_grid([QUICK], [0], TINY, pool, tmp_path / "there", runs=True)
    files = [here.folder / here.key, there.folder / there.key]
    assert names(files[0]) == names(files[1]) == ["run.json", "run.safetensors"]
    for name in names(files[0]):
        assert (files[0] / name).read_bytes() == (files[1] / name).read_bytes()
    assert there.run().predict(TINY.test) == here.run().predict(TINY.test)


def test_generated_data_travels_as_its_recipe():
    data = load("synthetic-tiny")
    text = pickle.dumps(data)
    again, videos = pickle.loads(text), (*data.train, *data.test)
    assert len(text) < sum(x.nbytes for v in videos for x in v.features.values()) / 4
    for old, new in zip(videos, (*again.train, *again.test), strict=True):
        assert old.id == new.id and list(old.features) == list(new.features)
        assert all((old.features[s] == new.features[s]).all() for s in old.features)
    with pytest.raises(ValueError, match="read-only"):
        TINY.train[0].features["rgb"][0] = 0


def test_generated_data_of_other_code_is_refused(monkeypatch):
    from amslib.data import synthetic

    text = pickle.dumps(load("synthetic-tiny", width=5))
    monkeypatch.setattr(synthetic, "VERSION", 2)
    with pytest.raises(ValueError, match="same version of amslib"):
        pickle.loads(text)


# Ctrl-C


@pytest.mark.parametrize("workers", [[], ["--workers", "1"]], ids=["here", "workers"])
def test_an_interrupted_grid_keeps_what_is_finished(workers, tmp_path):
    process = start("-s", "steps_per_epoch=20", "--seeds", 50, "--out", tmp_path, *workers)
    try:
        while not list(tmp_path.glob("*.json")):
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        before = time.monotonic()
        _, told = finish(process, 130)
    finally:
        process.kill()
    assert time.monotonic() - before < 10
    assert told == "interrupted; what is finished is kept; the same call goes on from there\n"
    kept = names(tmp_path)
    assert 1 <= len(kept) < 50
    assert all(re.fullmatch(r"[0-9a-f]{16}\.json", name) for name in kept)


def test_an_interrupt_takes_back_what_has_not_begun(tmp_path, monkeypatch):
    class Never(ThreadPoolExecutor):
        futures: list[Future] = []

        def submit(self, *_):
            self.futures.append(Future())
            return self.futures[-1]

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("amslib.grid.wait", interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        run_grid([QUICK], [0, 1], TINY, Never(), tmp_path)
    assert [future.cancelled() for future in Never.futures] == [True] * 4  # two streams each
    assert caught.value.__notes__ == ["what is finished is kept; the same call goes on from there"]


# Progress


def test_the_line_tells_how_far_the_grid_is(second_seed_fails, tmp_path, capsys):
    with ThreadPoolExecutor(1) as pool, pytest.raises(GridError):
        run_grid([QUICK], [0, 1, 2], TINY, pool, tmp_path, progress=True)
    told = capsys.readouterr()
    lines = re.split("[\r\n]", told.err.strip())
    assert "grid of 3: 0 finished, 0 failed, 1 at work" in told.err
    assert re.fullmatch(
        r"grid of 3: 2 finished, 1 failed, 0 at work; \d\d:\d\d so far, 00:00 left", lines[-1]
    )
    assert [line for line in lines if line.startswith("failed: seed 1: steps_per_epoch=2")]
    assert told.out == ""


def test_nothing_is_told_unasked(tmp_path, capsys):
    run_grid([QUICK], [0], TINY, out=tmp_path)
    assert capsys.readouterr() == ("", "")


def test_a_pool_runs_no_more_than_it_has_processes():
    futures = [SimpleNamespace(running=lambda: True)] * 3
    pool = ProcessPoolExecutor(2)
    assert _running(pool, futures) == 2
    pool.shutdown()


def test_many_failures_are_told_briefly():
    unit = Unit(tuple(replace(QUICK, eta=i / 9) for i in range(40)), 3)
    error = GridError([Failure(unit, "a long story\n" * 9)] * 60, 80)
    assert "60 of 80 units failed" in str(error) and "and 55 more failed" in str(error)
    assert "and 35 more configs" in str(error) and len(str(error)) < 4000
    assert len(error.failures) == 60


# The command line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--experiment", "tabel3"], "did you mean 'table3'?"),
        (["--workers", "2", "--scheduler", "tcp://127.0.0.1:1"], "either --workers or --scheduler"),
        (["--scheduler", "nonsense://"], "scheduler nonsense://: cannot be used (unknown address"),
        (["--scheduler", "tcp://10.0.0.1"], "tcp://10.0.0.1: cannot be used (missing port number"),
    ],
    ids=" ".join,
)
def test_mistakes_are_told_in_one_message(arguments, message, tmp_path, monkeypatch, capsys):
    given = ["amslib", "grid", *ARGUMENTS, "--out", str(tmp_path / "x"), *arguments]
    monkeypatch.setattr(sys, "argv", given)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # main replaces it
    with pytest.raises(SystemExit) as left:
        main()
    told = capsys.readouterr()
    assert left.value.code == 2 and told.out == ""
    assert message in told.err and "Traceback" not in told.err


def test_the_experiments_are_those_of_the_chapters():
    rows = {name: list(of(QUICK).values()) for name, of in EXPERIMENTS.items()}
    assert set(rows["paper"]) == set(paper_grid(QUICK))
    assert rows["ledger"] == [c for of in ledger(QUICK).values() for c in of.values()]


def test_an_error_between_the_tasks_of_a_unit_is_its_own():
    def course():
        yield [lambda: 1]
        raise ValueError("in between")

    with ThreadPoolExecutor(1) as pool:
        going = _Going(("unit",), course(), pool.submit)
        wait(going.futures)
        assert going.ended()
    with pytest.raises(ValueError, match="in between"):
        going.result()


@pytest.mark.parametrize("name", ["../x", "key/../../x", "other/run.json"])
def test_a_worker_writes_no_file_that_was_not_asked_for(tmp_path, name):
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="another version"):
        _keep({"key.json": b"{}", name: b""}, ["key"], out)
    assert not out.exists()
    _keep({"key.json": b"{}", "key/run.json": b"{}"}, ["key"], out)
    assert sorted(path.name for path in out.iterdir()) == ["key", "key.json"]
