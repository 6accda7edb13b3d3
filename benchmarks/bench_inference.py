"""From the features of the test set to proposals."""

from __future__ import annotations

from itertools import cycle
from statistics import harmonic_mean

import torch
from arithmetic import inference
from data import WIDTH
from rates import Pace

from amslib import Config, Run
from amslib.model import initial_parameters

PARTS, SWEEPS = 8, 2  # of the test set, and how often it is looked at
PRODUCTS = 3  # before each part
SHARPNESS = 30  # of untrained logits, so that there are many proposals


def untrained(classes: tuple[str, ...], streams: tuple[str, ...]) -> Run:
    """What it takes to look does not depend on what was learnt."""
    config, run = Config(), Run(Config(), classes, 0)
    for stream in streams:
        generator = torch.Generator().manual_seed(0)
        states = {}
        for branch in ("base", "supp"):
            states[branch] = initial_parameters(config, WIDTH, len(classes), generator)
            states[branch]["weight2"] *= SHARPNESS
        run.add(0, stream, states, {})
    return run


def test_inference(benchmark, wide, figures):
    run, pace, rates, found = untrained(wide.classes, wide.streams), Pace(), [], []
    parts = cycle([wide.test[i::PARTS] for i in range(PARTS)])

    def setup():
        rates.extend(pace() for _ in range(PRODUCTS))
        return (next(parts),), {}

    def look(videos):
        found.append(len(run.predict(videos, device="cpu")))

    benchmark.pedantic(look, setup=setup, rounds=SWEEPS * PARTS, warmup_rounds=1)
    rows = sum(v.num_snippets for v in wide.test)
    operations = inference(rows, Config(), WIDTH, len(wide.classes), len(wide.streams))
    name = f"inference and {sum(found[-PARTS:]):,} proposals, {rows:,} snippets"
    seconds = benchmark.stats.stats.total / SWEEPS
    figures.share(name, operations, seconds, harmonic_mean(rates), "sgemm", 0.7)
