"""The experiments of the paper as one batched model, and one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import replace
from math import ceil
from statistics import mean

import torch
from rates import Pace
from watch import Total, Watch, of_schedule

from amslib import Config, Dataset, experiments, load, train
from amslib.train import groups_of
from amslib.workers import processes

STEPS = 4
CORES = 2  # `make reproduce` spreads a grid over them, one thread each
STREAMS, ROUNDS = 2, 3


def short(config: Config) -> Config:
    return replace(config, steps_per_epoch=STEPS, epochs_zero=1, epochs=1)


def total(
    data: Dataset, configs: Iterable[Config], pace: Callable[[], float] | None = None
) -> Total:
    """Of the default schedule, from a few steps of every phase."""
    with Watch(pace) as watch:
        train(data, [short(config) for config in configs], device="cpu")
    return of_schedule(watch.phases(STEPS), zero=max(config.branches for config in configs))


def one_by_one(data: Dataset, configs: Iterable[Config]) -> float:
    """Seconds of the configs one after the other."""
    return sum(total(data, [config]).seconds for config in configs)


def side_by_side(pool: Executor, data: Dataset, configs: Iterable[Config]) -> float:
    """Seconds of the batched model while there is another one on each of the other cores."""
    together = pool.map(total, [data] * CORES, [configs] * CORES)
    return max(one.seconds for one in together)


def test_grid(benchmark, figures, one_thread):
    """What is compared takes turns, so that a slow minute of the machine is in all of it."""
    data = load("synthetic").only("flow")
    grid = experiments.paper_grid()
    (_,) = groups_of(grid)  # so a stream of a seed is one model
    apart, together, on_all, batched = [], [], [], []
    with processes(CORES) as pool:

        def others():
            apart.append(one_by_one(data, grid))
            together.append(side_by_side(pool, data, grid))
            torch.set_num_threads(CORES)
            on_all.append(one_by_one(data, grid))
            torch.set_num_threads(1)

        benchmark.pedantic(
            lambda: batched.append(total(data, grid, Pace())), setup=others, rounds=ROUNDS
        )
    seconds = mean(of.seconds for of in batched)
    rate = mean(of.rate for of in batched)
    operations = batched[0].operations
    name = f"{len(grid)} configs as one model, one stream and seed, one thread"
    figures.share(name, operations, seconds, rate, "sgemm (1 thread)", None)
    figures.times("the same, against one after the other", mean(apart), seconds, 4)
    models = experiments.SEEDS * STREAMS
    whole = ceil(models / CORES) * mean(together)
    name = (
        f"the paper's grid, training only: {models} such models (both streams, "
        f"{experiments.SEEDS} seeds), {CORES} at a time on {CORES} cores"
    )
    figures.rows.append(
        dict(
            name=name,
            seconds=whole,
            share=models * operations / whole / rate / CORES,
            of="sgemm (1 thread) on each",
            limit=1200,
        )
    )
    name = "the same, against one config after the other on one core or all, as is faster"
    figures.times(name, models * min(mean(apart), mean(on_all)), whole, None)
    parts = batched[0].parts
    figures.parts["the grid, default data"] = {
        part: sum(of.parts[part] for of in batched) / ROUNDS / seconds for part in parts
    }
