"""Compute the records that the book reads, and say by how much the numbers have changed.

Usage: python tools/reproduce.py [--anew] [GRID ...]    (default: all of GRIDS)

What `results/` lacks is computed, what the book does not read is deleted from it; without --anew,
a call that was interrupted goes on where it stopped. `make notebooks` then updates the chapters.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from amslib import Config, Dataset, experiments, load, records, run_grid
from amslib.parameters import unknown
from amslib.workers import processes


@cache
def _generated(dataset: str, options: tuple) -> Dataset:
    return load(dataset, **dict(options))


class Grid(NamedTuple):
    """Every config with every seed on one data set.

    Args:
        dataset: what `load` takes.
        configs: what to run.
        seeds: of the runs.
        options: of `load`.
        kept: (config, seed) whose trained run a chapter reads, beside the record.
    """

    dataset: str
    configs: tuple[Config, ...]
    seeds: tuple[int, ...]
    options: dict = {}
    kept: tuple[tuple[Config, int], ...] = ()

    def load(self) -> Dataset:
        """The data set, generated once for all that ask for it."""
        return _generated(self.dataset, tuple(self.options.items()))

    def keys(self, of: Iterable[tuple[Config, int]] | None = None) -> list[str]:
        """Of all records, or of some (config, seed)."""
        data = self.load()
        of = itertools.product(self.configs, self.seeds) if of is None else of
        return [records.record_key(config, seed, data) for config, seed in of]

    def run(self, executor: Executor | None, folder: Path) -> None:
        """Compute what is missing; first what is kept, so that it is trained once."""
        for config, seed in self.kept:
            run_grid([config], [seed], self.load(), executor, folder, runs=True)
        run_grid(self.configs, self.seeds, self.load(), executor, folder)


AMS, TINY = Config(), experiments.TINY
PAPER = tuple(experiments.paper_grid(AMS))
ALTERNATIVES = [c for others in experiments.ledger(AMS).values() for c in others.values()]
GRIDS = {
    # chapter 3
    "tiny": [Grid("synthetic-tiny", (TINY,), (0,), kept=((TINY, 0),))],
    # chapters 4 to 12 and 14; the other seeds need not wait for the run that is kept
    "paper": [
        Grid("synthetic", PAPER, (0,), kept=((AMS, 0),)),
        Grid("synthetic", PAPER, tuple(range(1, experiments.SEEDS))),
    ],
    # the ledger
    "ledger": [Grid("synthetic", tuple(ALTERNATIVES), tuple(range(experiments.LEDGER_SEEDS)))],
    # chapter 13
    "doses": [
        Grid(
            "synthetic",
            tuple(experiments.table_3(AMS)[row] for row in "BEF"),
            tuple(range(experiments.DOSE_SEEDS)),
            {"incompleteness": dose},
        )
        for dose in experiments.DOSES
        if dose != 0.6  # the default data, whose records "paper" holds
    ],
}


def reproduce(
    grids: Sequence[Grid],
    anew: bool = False,
    others: bool = False,
    executor: Executor | None = None,
) -> list[str]:
    """Make `results/` hold the records of some grids.

    Args:
        grids: what to compute.
        anew: also compute what is there already.
        others: leave the records of other grids; else they are deleted.
        executor: of `run_grid`; all grids share it. None: this process.

    Returns:
        One line a record: mean mAP, and how far it is from that of the record it replaces.
    """
    folder = records.COMMITTED
    before = _scores(folder)
    wanted = {key for grid in grids for key in grid.keys()}
    if anew:
        _delete(folder, lambda key: key in wanted)
    if not others:
        _delete(folder, lambda key: key not in wanted)
    if executor is None:
        for grid in grids:
            grid.run(None, folder)
    else:
        with ThreadPoolExecutor(len(grids)) as threads:
            jobs = [threads.submit(grid.run, executor, folder) for grid in grids]
            try:
                for job in tqdm(as_completed(jobs), total=len(jobs), unit="grid", disable=None):
                    job.result()
            except KeyboardInterrupt:  # what is finished is kept
                executor.shutdown(wait=False, cancel_futures=True)
                raise
    kept = {key for grid in grids for key in grid.keys(grid.kept)}
    _delete(folder, lambda key: key in wanted - kept, "*/")
    now = {what: entry for what, entry in _scores(folder).items() if entry[0][:16] in wanted}
    return [_line(entry, before.get(what)) for what, entry in now.items()]


def _scores(folder: Path) -> dict[str, tuple[str, np.ndarray]]:
    """Label and mAP (iterations, n) of each record, by config, seed and data set."""
    scores = {}
    for path in sorted(folder.glob("*.json")):
        about = json.loads(path.read_text())
        what = [about["config"], about["seed"], about["dataset"]]
        label = f"{path.stem}  {about['dataset']['name']}, seed {about['seed']}"
        maps = np.array([scored["thumos14"]["mAP"] for scored in about["iterations"]])
        scores[json.dumps(what, sort_keys=True)] = (label, maps)
    return scores


def _line(now: tuple[str, np.ndarray], was: tuple[str, np.ndarray] | None) -> str:
    label, maps = now
    line = f"{label}: mean mAP {100 * maps[-1].mean():.2f}"
    if was is None or was[1].shape != maps.shape:
        return f"{line}, new"
    moved, mean = 100 * np.abs(maps - was[1]).max(), 100 * was[1][-1].mean()
    return f"{line}, before {mean:.2f}; no mAP has moved more than {moved:.2g}"


def _delete(folder: Path, unwanted: Callable[[str], bool], pattern: str = "*") -> None:
    """Delete records, and the runs beside them, by their keys."""
    for path in folder.glob(pattern):
        if re.fullmatch("[0-9a-f]{16}", path.stem) and unwanted(path.stem):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    told = f"any of {', '.join(GRIDS)}; all if none is named"
    parser.add_argument("grids", nargs="*", metavar="GRID", help=told)
    parser.add_argument("--anew", action="store_true", help="compute what is there already, too")
    given = parser.parse_args(words)
    for name in given.grids:
        if name not in GRIDS:
            parser.error(unknown(name, GRIDS, "grid"))
    names = set(given.grids) or set(GRIDS)
    chosen = [grid for name in GRIDS if name in names for grid in GRIDS[name]]
    with processes() as executor:
        lines = reproduce(chosen, given.anew, names != set(GRIDS), executor)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
