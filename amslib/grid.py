"""Many configs and seeds: a record is read where it exists and computed where it does not."""

from __future__ import annotations

import math
import os
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from contextlib import closing, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from .config import Config
from .data.video import Dataset
from .device import pick_device
from .files import check_writable, write_once
from .kernels import PINNED_HERE, can_be_pinned
from .parameters import clip
from .records import COMPUTED, OTHER_VERSION, Course, Record, course, find, record_key
from .saved import ABOUT, WEIGHTS
from .train import groups_of
from .workers import pinned_process

SHOWN = 5  # configs of a unit and failures that a message names
GOES_ON = "what is finished is kept; the same call goes on from there"
RECORDS = "AMSLIB_RECORDS"  # set to "committed" by the tests, which read records and make none


class Unit(NamedTuple):
    """A seed and the configs that train as one model with it."""

    configs: tuple[Config, ...]
    seed: int

    def __str__(self) -> str:
        """What differs from the default config: "seed 0: eta=0.5; sampler=none"."""
        told = [_changes(config) for config in self.configs[:SHOWN]]
        if more := len(self.configs) - len(told):
            told.append(f"and {more} more configs")
        return f"seed {self.seed}: {'; '.join(told)}"


@dataclass(frozen=True)
class Failure:
    """A unit that has no records, and why: a traceback, also of another machine."""

    unit: Unit
    reason: str


class GridError(RuntimeError):
    """Some units of a grid failed; the records of all others are written.

    Args:
        failures: one for each unit that failed.
        total: how many units there were.
    """

    def __init__(self, failures: Sequence[Failure], total: int):
        self.failures = tuple(failures)
        told = [f"{failure.unit}\n{failure.reason}" for failure in failures[:SHOWN]]
        if more := len(failures) - len(told):
            told.append(f"and {more} more failed")
        head = f"{len(failures)} of {total} units failed; {GOES_ON}"
        super().__init__("\n\n".join([head, *told]))


class MissingRecordsError(FileNotFoundError):
    """Records would have to be computed where only committed ones may be read."""


def run_grid(
    configs: Sequence[Config],
    seeds: Iterable[int],
    dataset: Dataset,
    executor: Executor | None = None,
    out: str | Path = COMPUTED,
    device: str = "auto",
    progress: bool = False,
    runs: bool = False,
) -> list[Record]:
    """Records of every config and seed: read where they exist, computed where they do not.

    The configs missing for a seed that can train as one batched model are a unit of work. Workers
    share it: each stream trains on its own, then each config is scored. Its records are written by
    this process as soon as it ends.

    Args:
        configs: what to run.
        seeds: of the runs.
        dataset: what to run on. Workers generate generated data and open features on disk
            themselves, from the same path.
        executor: any `concurrent.futures.Executor`, e.g. a `workers.Cluster`, whose kernels are as
            they are; None: one process with pinned kernels, see `kernels`, or this one where it has
            them or they cannot be pinned. There are as many units under way as it has workers; all
            at once if it does not say how many.
        out: folder for new records; the committed ones are looked at first.
        device: see `train`.
        progress: tell on standard error how far the grid is.
        runs: the trained run behind each record is needed, too, and kept beside it.

    Returns:
        One record for each seed and config, seeds outermost, both in the order given.

    Raises:
        MissingRecordsError: records are missing, `out` is the default, and the environment
            variable ``AMSLIB_RECORDS`` is "committed", as it is in tests of chapters.
        GridError: units failed, each named with its traceback; the others were finished first.
        OSError: no records can be written to `out`; told before anything is trained.
    """
    seeds, configs = list(seeds), list(configs)
    wanted = [(config, seed) for seed in seeds for config in configs]
    keys = {pair: record_key(*pair, dataset) for pair in dict.fromkeys(wanted)}
    absent = [pair for pair, key in keys.items() if find(key, out, runs) is None]
    if absent and Path(out) == COMPUTED and os.environ.get(RECORDS) == "committed":
        raise MissingRecordsError(_missing(absent, len(keys), dataset, runs))
    units = _units(absent)
    if units:
        check_writable(Path(out))
        begin = partial(course, dataset=dataset, device=device, runs=runs)
        fresh = executor is None and _needs_fresh_process(device)
        try:
            with pinned_process() if fresh else nullcontext(executor) as workers:
                _compute(units, begin, workers, keys, Path(out), progress)
        except KeyboardInterrupt as stop:
            stop.add_note(GOES_ON)
            raise
    return [find(keys[pair], out, runs) for pair in wanted]


def _needs_fresh_process(device: str) -> bool:
    """Whether the kernels are to be pinned, and cannot be any more in this process."""
    return pick_device(device).type == "cpu" and can_be_pinned() and not PINNED_HERE


def _missing(absent: Sequence[tuple[Config, int]], total: int, dataset: Dataset, runs: bool) -> str:
    config, seed = absent[0]
    kind = "records with their trained runs" if runs else "records"
    return (
        f"{len(absent)} of {total} {kind} of {dataset.name} are not in results/ "
        f"(first: {Unit((config,), seed)}): run `make reproduce` (for chapter 13 and the "
        "Differences page `make reproduce-all`), then `make notebooks`"
    )


def _units(absent: Sequence[tuple[Config, int]]) -> list[Unit]:
    units = []
    for seed in dict.fromkeys(seed for _, seed in absent):
        members = [config for config, s in absent if s == seed]
        groups = groups_of(members)
        units += [Unit(tuple(members[i] for i in group), seed) for group in groups]
    return units


def _compute(
    units: Sequence[Unit],
    begin: Callable[..., Course],
    executor: Executor | None,
    keys: dict,
    out: Path,
    progress: bool,
) -> None:
    failures = []
    with _Line(len(units), progress) as line:
        ended = _here(units, partial(begin, progress=progress), line)
        if executor is not None:
            ended = _elsewhere(units, begin, executor, line)
        with closing(ended):
            for unit, result in ended:
                try:
                    _keep(result(), [keys[config, unit.seed] for config in unit.configs], out)
                except Exception as error:
                    failures.append(Failure(unit, _reason(error)))
                    line.failed(unit, error)
                else:
                    line.finished()
    if failures:
        raise GridError(failures, len(units))


def _here(units: Sequence[Unit], begin: Callable, line: _Line) -> Iterator[tuple[Unit, Callable]]:
    """Each unit with a function that computes it."""
    for unit in units:
        line.show(at_work=1)
        yield unit, partial(_follow, begin(*unit))


def _follow(steps: Course) -> dict[str, bytes]:
    """The end of a course, whose tasks are done here."""
    results = None
    while True:
        try:
            tasks = steps.send(results)
        except StopIteration as end:
            return end.value
        results = [task() for task in tasks]


def _elsewhere(
    units: Sequence[Unit], begin: Callable, executor: Executor, line: _Line
) -> Iterator[tuple[Unit, Callable]]:
    """Each unit, once it has ended, with a function that returns its result; others go on."""
    coming, going = iter(units), []
    try:
        while True:
            while len(going) < _workers(executor) and (unit := next(coming, None)):
                going.append(_Going(unit, begin(*unit), partial(_submit, executor)))
            if not going:
                return
            waiting = [future for one in going for future in one.pending]
            line.show(_running(executor, waiting))
            wait(waiting, timeout=1, return_when=FIRST_COMPLETED)
            for one in [one for one in going if one.ended()]:
                going.remove(one)
                yield one.unit, one.result
    finally:
        for one in going:
            one.cancel()


class _Going:
    """A unit under way.

    Args:
        unit: what is computed.
        steps: its course.
        submit: hands a task to a worker.
    """

    def __init__(self, unit: Unit, steps: Course, submit: Callable[[Callable], Future]):
        self.unit, self.steps, self.submit = unit, steps, submit
        self.result: Callable[[], dict[str, bytes]] | None = None
        self.futures = self.pending = [submit(task) for task in steps.send(None)]

    def ended(self) -> bool:
        """Whether there is a `result`, or an error that it raises. Submits what can be done now."""
        self.pending = [future for future in self.futures if not future.done()]
        for future in self.futures:
            if future not in self.pending and (future.cancelled() or future.exception()):
                self.result = future.result
                self.cancel()
                return True
        if not self.pending:
            self._go_on([future.result() for future in self.futures])
        return self.result is not None

    def _go_on(self, results: list) -> None:
        try:
            self.futures = [self.submit(task) for task in self.steps.send(results)]
            self.pending = self.futures
        except StopIteration as end:
            files = end.value
            self.result = lambda: files
        except Exception as error:  # of this unit alone
            self.result = _failed(error).result

    def cancel(self) -> None:
        """Take back what has not begun."""
        for future in self.futures:
            future.cancel()


def _workers(executor: Executor) -> float:
    """How many units are under way at a time: with more, the first would not be finished first."""
    if hasattr(executor, "workers"):
        return max(1, executor.workers())
    return getattr(executor, "_max_workers", math.inf)


def _submit(executor: Executor, task: Callable) -> Future:
    """A future also where the executor takes nothing any more."""
    try:
        return executor.submit(task)
    except Exception as error:
        return _failed(error)


def _failed(error: Exception) -> Future:
    future: Future = Future()
    future.set_exception(error)
    return future


def _running(executor: Executor, futures: Iterable[Future]) -> int:
    """How many tasks run: what the executor itself tells, or else its futures do.

    A pool of processes says "running" of one future more than it has processes.
    """
    if hasattr(executor, "running"):
        return executor.running()
    running = sum(future.running() for future in futures)
    return min(running, getattr(executor, "_max_workers", running))


def _keep(files: dict[str, bytes], keys: Sequence[str], out: Path) -> None:
    records = {f"{key}.json" for key in keys}
    runs = {f"{key}/{name}" for key in keys for name in (WEIGHTS, ABOUT)}
    if not records <= files.keys() <= records | runs:
        raise ValueError(
            f"{OTHER_VERSION} (it made {sorted(files)}, asked for were {sorted(keys)})"
        )
    for name, content in files.items():
        write_once(out / name, content)


def _changes(config: Config) -> str:
    return ", ".join(f"{k}={v}" for k, v in config.changes().items()) or "the default config"


def _reason(error: Exception) -> str:
    if isinstance(error, BrokenExecutor):
        return f"a worker process died, of a signal or for lack of memory ({error})"
    if isinstance(error, CancelledError):
        return "the executor gave it up; is its scheduler still there?"
    return "".join(traceback.format_exception(error)).rstrip()


class _Line:
    """One line on standard error that says how far a grid is."""

    def __init__(self, total: int, progress: bool):
        self.total, self.counts, self.at_work = total, {"finished": 0, "failed": 0}, 0
        self.start, self.last = time.monotonic(), 0.0  # seconds from the start to the last end
        self.bar = tqdm(total=total, disable=not progress, bar_format="{desc}")

    def __enter__(self) -> _Line:
        return self

    def __exit__(self, *_) -> None:
        self.show(0)
        self.bar.close()

    def show(self, at_work: int) -> None:
        """So many workers are at work now."""
        self.at_work = at_work
        told = ", ".join(f"{count} {what}" for what, count in self.counts.items())
        so_far, left = time.monotonic() - self.start, "?"
        if ended := sum(self.counts.values()):
            left = tqdm.format_interval(max(0, self.total * self.last / ended - so_far))
        text = (
            f"grid of {self.total}: {told}, {at_work} at work; "
            f"{tqdm.format_interval(so_far)} so far, {left} left"
        )
        self.bar.set_description_str(text)

    def finished(self) -> None:
        self._end("finished")

    def failed(self, unit: Unit, error: Exception) -> None:
        if not self.bar.disable:
            self.bar.write(f"failed: {unit}: {clip(repr(error))}", file=self.bar.fp)
        self._end("failed")

    def _end(self, how: str) -> None:
        self.counts[how] += 1
        self.last = time.monotonic() - self.start
        self.show(self.at_work)
