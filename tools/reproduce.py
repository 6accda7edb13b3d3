"""Compute every record that the book reads, and say by how much the numbers have changed.

Usage: python tools/reproduce.py [--anew]    (a few minutes on a CPU)

What `results/` lacks is computed, what the book does not read is deleted from it; without --anew,
a call that was interrupted goes on where it stopped. `make notebooks` then updates the chapters.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from amslib import Config, load, records, run_grid


class Grid(NamedTuple):
    """Every config with every seed on one data set."""

    dataset: str
    configs: tuple[Config, ...]
    seeds: tuple[int, ...]


# Config and seed are what the parameters cells of the chapters say.
GRIDS = (
    Grid("synthetic-tiny", (Config(steps_per_epoch=20),), (0,)),  # 03_mutual_supervision
    Grid("synthetic", (Config(),), (0,)),  # 04_end_to_end
)


def reproduce(grids: Iterable[Grid], anew: bool = False) -> list[str]:
    """Make `results/` hold the records of some grids and nothing else.

    Args:
        grids: what to compute.
        anew: also compute what is there already.

    Returns:
        One line a record: mean mAP, and how far it is from that of the record it replaces.
    """
    folder, keys = records.COMMITTED, set()
    before = _scores(folder)
    if anew:
        _keep(folder, keys)
    for grid in grids:
        dataset, progress = load(grid.dataset), sys.stderr.isatty()
        found = run_grid(grid.configs, grid.seeds, dataset, out=folder, progress=progress)
        keys |= {record.key for record in found}
    _keep(folder, keys)
    return [_line(now, before.get(name)) for name, now in _scores(folder).items()]


def _scores(folder: Path) -> dict[str, tuple[str, np.ndarray]]:
    """Label and mAP (iterations, n) of each record, by config, seed and data set."""
    scores = {}
    for path in sorted(folder.glob("*.json")):
        about = json.loads(path.read_text())
        what = [about["config"], about["seed"], about["dataset"]["name"]]
        label = f"{path.stem}  {about['dataset']['name']}, seed {about['seed']}"
        maps = np.array([scored["mAP"] for scored in about["iterations"]])
        scores[json.dumps(what, sort_keys=True)] = (label, maps)
    return scores


def _line(now: tuple[str, np.ndarray], was: tuple[str, np.ndarray] | None) -> str:
    label, maps = now
    line = f"{label}: mean mAP {100 * maps[-1].mean():.2f}"
    if was is None or was[1].shape != maps.shape:
        return f"{line}, new"
    moved, mean = 100 * np.abs(maps - was[1]).max(), 100 * was[1][-1].mean()
    return f"{line}, before {mean:.2f}; no mAP has moved more than {moved:.2g}"


def _keep(folder: Path, keys: set[str]) -> None:
    """Delete the records, and the runs beside them, whose key is not among these."""
    for path in folder.glob("[0-9a-f]" * 16 + "*"):
        if path.stem not in keys:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--anew", action="store_true", help="compute what is there already, too")
    print("\n".join(reproduce(GRIDS, parser.parse_args().anew)))
