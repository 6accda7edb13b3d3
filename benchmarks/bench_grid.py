"""The experiments of the paper as one batched model, and one after the other."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import ceil

from rates import beside, product
from watch import Watch, of_schedule

from amslib import Config, experiments, load, train
from amslib.train import groups_of

STEPS = 4
CORES = 2  # `make reproduce` spreads its units over them, one thread each
STREAMS, ROUNDS = 2, 2


def short(config: Config) -> Config:
    return replace(config, steps_per_epoch=STEPS, epochs_zero=1, epochs=1)


def total(data, configs):
    """Of the default schedule, from a few steps of every phase."""
    with Watch() as watch:
        train(data, [short(config) for config in configs], device="cpu")
    return of_schedule(watch.phases(STEPS), zero=max(config.branches for config in configs))


def test_grid(benchmark, figures, one_thread):
    data = load("synthetic").only("flow")
    grid = experiments.paper_grid()
    timed = beside(benchmark, partial(total, data, grid), product, ROUNDS)
    batched = min(timed.results, key=lambda of: of.seconds)
    one_by_one = sum(min(total(data, [config]).seconds for _ in range(ROUNDS)) for config in grid)
    name = f"{len(grid)} configs as one model, one stream and seed, one thread"
    figures.share(name, batched.operations, batched.seconds, timed.rate, "sgemm (1 thread)", None)
    figures.times("the same, against one after the other", one_by_one, batched.seconds, 4)
    (_,) = groups_of(grid)  # so a seed is one unit of `run_grid`, which no two cores share
    turns = ceil(experiments.SEEDS / CORES)
    figures.rows.append(
        dict(
            name=(
                f"the paper's grid, training only, {experiments.SEEDS} seeds on {CORES} cores "
                f"in {turns} rounds"
            ),
            seconds=turns * STREAMS * batched.seconds,
            share=batched.operations / batched.seconds / timed.rate,
            of="sgemm (1 thread)",
            limit=1200,
        )
    )
    figures.parts["the grid, default data"] = {
        part: seconds / batched.seconds for part, seconds in batched.parts.items()
    }
