"""Many configs and seeds: a record is read where it exists and computed where it does not."""

from __future__ import annotations

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
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from .config import Config
from .data.video import Dataset
from .files import check_writable, write_once
from .records import COMPUTED, Record, compute, find, record_key
from .train import groups_of

GOES_ON = "what is finished is kept; the same call goes on from there"


class Unit(NamedTuple):
    """A seed and the configs that train as one model with it."""

    configs: tuple[Config, ...]
    seed: int

    def __str__(self) -> str:
        """What differs from the default config: "seed 0: eta=0.5; sampler=none"."""
        return f"seed {self.seed}: {'; '.join(map(_changes, self.configs))}"


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
        told = [f"{failure.unit}\n{failure.reason}" for failure in failures]
        head = f"{len(told)} of {total} units failed; {GOES_ON}"
        super().__init__("\n\n".join([head, *told]))


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

    The configs missing for a seed that can train as one batched model are a unit of work. Its
    records are written by this process as soon as it ends.

    Args:
        configs: what to run.
        seeds: of the runs.
        dataset: what to run on. Workers generate generated data and open features on disk
            themselves, from the same path.
        executor: any `concurrent.futures.Executor`, e.g. of `dask.distributed`; None: this process.
        out: folder for new records; the committed ones are looked at first.
        device: see `train`.
        progress: tell on standard error how far the grid is.
        runs: the trained run behind each record is needed, too, and kept beside it.

    Returns:
        One record for each seed and config, seeds outermost, both in the order given.

    Raises:
        GridError: units failed, each named with its traceback; the others were finished first.
        OSError: no records can be written to `out`; told before anything is trained.
    """
    seeds, configs = list(seeds), list(configs)
    wanted = [(config, seed) for seed in seeds for config in configs]
    keys = {pair: record_key(*pair, dataset) for pair in dict.fromkeys(wanted)}
    units = _units([pair for pair, key in keys.items() if find(key, out, runs) is None])
    if units:
        check_writable(Path(out))
        job = partial(_job, dataset=dataset, device=device, runs=runs)
        try:
            _compute(units, job, executor, keys, Path(out), progress)
        except KeyboardInterrupt as stop:
            stop.add_note(GOES_ON)
            raise
    return [find(keys[pair], out, runs) for pair in wanted]


def _units(absent: Sequence[tuple[Config, int]]) -> list[Unit]:
    units = []
    for seed in dict.fromkeys(seed for _, seed in absent):
        members = [config for config, s in absent if s == seed]
        groups = groups_of(members)
        units += [Unit(tuple(members[i] for i in group), seed) for group in groups]
    return units


def _job(
    unit: Unit, dataset: Dataset, device: str, runs: bool, progress: bool = False
) -> dict[str, bytes]:
    """What a worker does: content by file name, which the caller of `run_grid` writes."""
    return compute(unit.configs, unit.seed, dataset, device, progress, runs)


def _compute(
    units: Sequence[Unit],
    job: Callable,
    executor: Executor | None,
    keys: dict,
    out: Path,
    progress: bool,
) -> None:
    failures = []
    with _Line(len(units), progress) as line:
        ended = _here(units, partial(job, progress=progress), line)
        if executor is not None:
            ended = _elsewhere(units, job, executor, line)
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


def _here(units: Sequence[Unit], job: Callable, line: _Line) -> Iterator[tuple[Unit, Callable]]:
    """Each unit with a function that computes it."""
    for unit in units:
        line.show(running=1)
        yield unit, partial(job, unit)


def _elsewhere(
    units: Sequence[Unit], job: Callable, executor: Executor, line: _Line
) -> Iterator[tuple[Unit, Callable]]:
    """Each unit, once it has ended, with a function that returns its result; others go on."""
    waiting: dict[Future, Unit] = {}
    try:
        for unit in units:
            waiting[_submit(executor, job, unit)] = unit
        while waiting:
            line.show(_running(executor, waiting))
            done, _ = wait(waiting, timeout=1, return_when=FIRST_COMPLETED)
            for future in done:
                yield waiting.pop(future), future.result
    finally:
        for future in waiting:
            future.cancel()


def _submit(executor: Executor, job: Callable, unit: Unit) -> Future:
    """A future also where the executor has broken since the last unit."""
    try:
        return executor.submit(job, unit)
    except BrokenExecutor as error:
        future: Future = Future()
        future.set_exception(error)
        return future


def _running(executor: Executor, futures: Iterable[Future]) -> int:
    """How many units run: what the executor itself tells, or else its futures do.

    A pool of processes says "running" of one future more than it has processes.
    """
    if hasattr(executor, "running"):
        return executor.running()
    running = sum(future.running() for future in futures)
    return min(running, getattr(executor, "_max_workers", running))


def _keep(files: dict[str, bytes], keys: Sequence[str], out: Path) -> None:
    names = {name for name in files if "/" not in name}
    if names != {f"{key}.json" for key in keys}:
        raise ValueError(
            f"a worker made the records {sorted(names)}, but {sorted(keys)} were asked for: its "
            "amslib is another version; install the same everywhere"
        )
    for name, content in files.items():
        write_once(out / name, content)


def _changes(config: Config) -> str:
    default = asdict(Config())
    changed = [f"{k}={v}" for k, v in asdict(config).items() if v != default[k]]
    return ", ".join(changed) or "the default config"


def _reason(error: Exception) -> str:
    if isinstance(error, BrokenExecutor):
        return f"a worker process died, of a signal or for lack of memory ({error})"
    if isinstance(error, CancelledError):
        return "the executor gave it up; is its scheduler still there?"
    return "".join(traceback.format_exception(error)).rstrip()


class _Line:
    """One line on standard error that says how far a grid is."""

    def __init__(self, total: int, progress: bool):
        self.total, self.counts = total, {"finished": 0, "running": 0, "failed": 0}
        self.start, self.last = time.monotonic(), 0.0  # seconds from the start to the last end
        self.bar = tqdm(total=total, disable=not progress, bar_format="{desc}")

    def __enter__(self) -> _Line:
        return self

    def __exit__(self, *_) -> None:
        self.show(0)
        self.bar.close()

    def show(self, running: int) -> None:
        """`running` units run now."""
        self.counts["running"] = running
        told = ", ".join(f"{count} {what}" for what, count in self.counts.items())
        so_far, left = time.monotonic() - self.start, "?"
        if ended := self.counts["finished"] + self.counts["failed"]:
            left = tqdm.format_interval(max(0, self.total * self.last / ended - so_far))
        text = f"grid of {self.total}: {told}; {tqdm.format_interval(so_far)} so far, {left} left"
        self.bar.set_description_str(text)

    def finished(self) -> None:
        self._end("finished")

    def failed(self, unit: Unit, error: Exception) -> None:
        if not self.bar.disable:
            self.bar.write(f"failed: {unit}: {error!r}", file=self.bar.fp)
        self._end("failed")

    def _end(self, how: str) -> None:
        self.counts[how] += 1
        self.last = time.monotonic() - self.start
        self.show(max(0, self.counts["running"] - 1))
