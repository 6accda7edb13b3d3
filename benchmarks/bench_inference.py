"""From the features of the test set to proposals."""

from __future__ import annotations

import torch
from arithmetic import inference
from data import WIDTH
from rates import beside, product

from amslib import Config, Run
from amslib.model import initial_parameters

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
    run = untrained(wide.classes, wide.streams)
    timed = beside(benchmark, lambda: len(run.predict(wide.test, device="cpu")), product)
    rows = sum(v.num_snippets for v in wide.test)
    operations = inference(rows, Config(), WIDTH, len(wide.classes), len(wide.streams))
    name = f"inference and {timed.results[0]:,} proposals, {rows:,} snippets"
    figures.share(name, operations, timed.seconds, timed.rate, "sgemm", 0.7)
