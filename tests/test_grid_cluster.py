"""A grid on a real Dask scheduler and workers, over TCP on the loopback interface."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from test_grid import QUICK, TINY, finish, names, scores, start

from amslib import run_grid
from amslib.experiments import fig_4
from amslib.grid import GridError
from amslib.workers import cluster

LONGER = replace(QUICK, steps_per_epoch=10)
SEEDS = range(8)
LOCAL = ["--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0"]
WORKER = ["--no-nanny", "--nthreads", "1", "--death-timeout", "60"]
pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("one_thread")]


class Machines:
    """A scheduler and its workers, each a process."""

    def __init__(self, folder: Path):
        self.folder, self.processes = folder, []
        file = folder / "scheduler.json"
        self.start("scheduler", "--port", "0", "--scheduler-file", str(file))
        self.address = self.wait(lambda: file.exists() and json.loads(file.read_text()))["address"]

    def start(self, *arguments: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments, *LOCAL],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            cwd=Path(__file__).parents[1],
        )
        self.processes.append(process)
        return process

    def worker(self, name: str) -> subprocess.Popen:
        own = ["--name", name, "--local-directory", str(self.folder)]
        return self.start("worker", self.address, *WORKER, *own)

    @staticmethod
    def wait(until):
        """Whatever true it returns, within a minute."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with contextlib.suppress(json.JSONDecodeError):  # a file that is being written
                if found := until():
                    return found
            time.sleep(0.02)
        pytest.fail("nothing happened for a minute")


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    found = Machines(tmp_path_factory.mktemp("dask"))
    try:
        yield found
    finally:
        for process in reversed(found.processes):
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    return run_grid([LONGER], SEEDS, TINY, out=tmp_path_factory.mktemp("serial"))


def test_a_worker_is_killed_and_another_comes(machines, serial, tmp_path):
    first, _ = machines.worker("first"), machines.worker("second")
    with cluster(machines.address) as executor, ThreadPoolExecutor(1) as thread:
        client = executor.client
        client.wait_for_workers(2)
        grid = thread.submit(run_grid, [LONGER], SEEDS, TINY, executor, tmp_path)
        running = []

        def workers() -> dict:
            """Addresses by name."""
            return {about["name"]: a for a, about in client.scheduler_info()["workers"].items()}

        def busy() -> bool:
            running.append(executor.running())
            return names(tmp_path) and client.processing()[workers()["first"]]

        machines.wait(busy)
        first.kill()
        assert len(names(tmp_path)) < len(SEEDS)
        machines.worker("third")
        machines.wait(lambda: workers().keys() == {"second", "third"})
        assert not grid.done(), "the third came too late"
        found = grid.result(timeout=60)
    assert max(running) == 2
    assert scores(found) == scores(serial)
    assert names(tmp_path) == sorted(f"{record.key}.json" for record in serial)


def test_any_executor_of_dask_and_two_grids_at_once(machines, serial, tmp_path):
    with cluster(machines.address) as executor, ThreadPoolExecutor(2) as threads:
        executor.client.wait_for_workers(1)
        own = executor.client.get_executor(pure=False)
        both = [
            threads.submit(run_grid, [LONGER], [0, 1], TINY, own, tmp_path, runs=True)
            for _ in range(2)
        ]
        found = [grid.result(timeout=60) for grid in both]
    assert scores(found[0]) == scores(found[1]) == scores(serial[:2])
    keys = [record.key for record in serial[:2]]
    assert names(tmp_path) == sorted([*keys, *(f"{key}.json" for key in keys)])
    assert found[0][0].run().seed == 0


def test_the_traceback_of_a_worker_is_told(machines, tmp_path):
    empty = replace(TINY, train=())
    with cluster(machines.address) as executor, pytest.raises(GridError) as caught:
        run_grid([QUICK], [0], empty, executor, tmp_path)
    told = str(caught.value)
    assert "seed 0: steps_per_epoch=2" in told
    assert "train.py" in told and "ValueError: data set 'synthetic-tiny': 0 training videos" in told


def test_the_command_runs_on_a_cluster(machines, tmp_path):
    process = start(
        "-s", "steps_per_epoch=2", "--seeds", 2, "--out", tmp_path, "--scheduler", machines.address
    )
    told, warned = finish(process)
    found = run_grid([fig_4(QUICK)], range(2), TINY, out=tmp_path / "here")
    assert names(tmp_path / "here") == [name for name in names(tmp_path) if name != "here"]
    assert scores(run_grid([fig_4(QUICK)], range(2), TINY, out=tmp_path)) == scores(found)
    assert "│ 4 iterations │     2 │" in told and warned == ""


def test_a_cluster_that_loses_its_scheduler_fails_the_units(tmp_path):
    folder = tmp_path / "dask"
    folder.mkdir()
    lone = Machines(folder)
    try:
        with cluster(lone.address) as executor, ThreadPoolExecutor(1) as thread:
            grid = thread.submit(run_grid, [QUICK], [0, 1], TINY, executor, tmp_path / "out")
            threading.Timer(1, lone.processes[0].kill).start()
            with pytest.raises(GridError, match="the executor gave it up"):
                grid.result(timeout=60)
    finally:
        lone.processes[0].kill()
        lone.processes[0].wait()
