"""The experiments of the paper as one batched model, and one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from math import ceil

import torch
from rates import beside, product
from watch import Total, Watch, of_schedule

from amslib import Config, Dataset, experiments, load, train
from amslib.train import groups_of
from amslib.workers import processes

STEPS = 4
CORES = 2  # `make reproduce` spreads a grid over them, one thread each
STREAMS, ROUNDS = 2, 2


def short(config: Config) -> Config:
    return replace(config, steps_per_epoch=STEPS, epochs_zero=1, epochs=1)


def total(data: Dataset, configs: Iterable[Config]) -> Total:
    """Of the default schedule, from a few steps of every phase."""
    with Watch() as watch:
        train(data, [short(config) for config in configs], device="cpu")
    return of_schedule(watch.phases(STEPS), zero=max(config.branches for config in configs))


def one_by_one(data: Dataset, configs: Iterable[Config]) -> float:
    """Seconds of the configs one after the other."""
    return sum(min(total(data, [c]).seconds for _ in range(ROUNDS)) for c in configs)


def side_by_side(data: Dataset, configs: Iterable[Config]) -> float:
    """Seconds of the batched model while there is another one on each of the other cores."""
    with processes(CORES) as pool:
        rounds = [list(pool.map(total, [data] * CORES, [configs] * CORES)) for _ in range(ROUNDS)]
    return min(max(one.seconds for one in together) for together in rounds)


def test_grid(benchmark, figures, one_thread):
    data = load("synthetic").only("flow")
    grid = experiments.paper_grid()
    (_,) = groups_of(grid)  # so a stream of a seed is one model
    timed = beside(benchmark, partial(total, data, grid), product, ROUNDS)
    batched = min(timed.results, key=lambda of: of.seconds)
    name = f"{len(grid)} configs as one model, one stream and seed, one thread"
    figures.share(name, batched.operations, batched.seconds, timed.rate, "sgemm (1 thread)", None)
    apart = one_by_one(data, grid)
    figures.times("the same, against one after the other", apart, batched.seconds, 4)
    models = experiments.SEEDS * STREAMS
    whole = ceil(models / CORES) * side_by_side(data, grid)
    name = (
        f"the paper's grid, training only: {models} such models (both streams, "
        f"{experiments.SEEDS} seeds), {CORES} at a time on {CORES} cores"
    )
    figures.rows.append(
        dict(
            name=name,
            seconds=whole,
            share=models * batched.operations / whole / timed.rate / CORES,
            of="sgemm (1 thread) on each",
            limit=1200,
        )
    )
    torch.set_num_threads(CORES)  # `one_thread` puts it back
    apart = models * min(apart, one_by_one(data, grid))
    name = "the same, against one config after the other on one core or all, as is faster"
    figures.times(name, apart, whole, None)
    figures.parts["the grid, default data"] = {
        part: seconds / batched.seconds for part, seconds in batched.parts.items()
    }
