"""Recompute committed records with changed code of the method, and compare every digit.

    python tools/compare_method.py             all records of seed 0: an hour of one core
    python tools/compare_method.py --data synthetic-tiny       seconds, to begin with

Where all of seed 0 are equal, the code is entered in `results/same_numbers.toml` and the records
stand; where one is not, nothing is written and they have to be made anew (`make reproduce-all`). It
compares on one thread, as the records were made, and on the kind of CPU they were made on.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Sequence
from functools import partial

from reproduce import GRIDS
from tqdm import tqdm

from amslib import Config, load, records, train
from amslib.method import SAME_NUMBERS, code_fingerprint, method_fingerprint
from amslib.records import COMMITTED
from amslib.train import groups_of
from amslib.workers import processes

SEED = 0  # whose records are compared
FILE_HEAD = (
    "# Code of the method (see METHOD in amslib/method.py) that gave the same numbers, digit\n"
    "# by digit, as the code that the records here were made with.\n"
    "# Written by tools/compare_method.py.\n"
)


def committed(dataset) -> list[dict]:
    """Contents of the records of a data set and seed 0."""
    contents = [json.loads(path.read_text()) for path in sorted(COMMITTED.glob("*.json"))]
    mark = dataset.fingerprint
    return [c for c in contents if c["seed"] == SEED and c["dataset"]["fingerprint"] == mark]


def differing(data: str, contents: Sequence[dict]) -> list[str]:
    """Keys of the records that come out otherwise now."""
    groups = sorted(trained_together(data, contents), key=len, reverse=True)
    with processes() as pool:
        found = pool.map(partial(_differing, data), groups)
        told = tqdm(found, total=len(groups), unit="group", disable=not sys.stderr.isatty())
        return [key for keys in told for key in keys]


def _differing(data: str, group: Sequence[dict]) -> list[str]:
    dataset = load(data)
    runs = train(dataset, [Config(**content["config"]) for content in group], SEED, "cpu")
    wrong = []
    for content, run in zip(group, runs, strict=True):
        again = [records._scores(run, dataset, k, "cpu") for k in range(len(run.states))]
        if json.loads(json.dumps(again)) != content["iterations"]:
            wrong.append(content["key"])
    return wrong


def trained_together(data: str, contents: Sequence[dict]) -> list[list[dict]]:
    """As `make reproduce-all` trains them: among other members the last digits are others."""
    by_config = {Config(**content["config"]): content for content in contents}
    groups = []
    for grid in itertools.chain(*GRIDS.values()):
        if (grid.dataset, grid.options) != (data, {}) or SEED not in grid.seeds:
            continue
        kept = [config for config, s in grid.kept if s == SEED]
        rest = [config for config in grid.configs if config not in kept]
        for part in (kept, rest):
            groups += [[by_config.pop(part[i]) for i in group] for group in groups_of(part)]
    if by_config:
        raise ValueError(f"no grid of tools/reproduce.py has {list(by_config)}")
    return groups


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="synthetic", help="synthetic or synthetic-tiny")
    chosen = parser.parse_args()
    contents = committed(load(chosen.data))
    methods = {content["made"]["method"] for content in contents}
    if len(methods) != 1:
        sys.exit(f"{len(contents)} records of {chosen.data}, of the methods {sorted(methods)}")
    (made_by,) = methods
    wrong = differing(chosen.data, contents)
    if wrong:
        sys.exit(f"{len(wrong)} of {len(contents)} records differ: {', '.join(wrong)}")
    if chosen.data == "synthetic" and made_by != method_fingerprint():
        enter(made_by, [content["key"] for content in contents])
    print(f"{len(contents)} records are equal to the last digit")


def enter(made_by: str, keys: list[str]) -> None:
    """Add the present code to `SAME_NUMBERS`."""
    text = SAME_NUMBERS.read_text() if SAME_NUMBERS.is_file() else FILE_HEAD
    rows = "".join(f'  "{key}",\n' for key in keys)
    text += f'\n["{code_fingerprint()}"]\nas = "{made_by}"\nrecomputed = [\n{rows}]\n'
    SAME_NUMBERS.write_text(text)


if __name__ == "__main__":
    main()
