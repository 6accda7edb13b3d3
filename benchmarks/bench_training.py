"""Training at the scale of THUMOS14."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from rates import PRODUCTS, Pace, product
from watch import Watch, of_schedule

from amslib import Config, train

STEPS = 12
SHORT = Config(steps_per_epoch=STEPS, epochs_zero=1, epochs=1, iterations=1)
PHASES = ("phase zero", "phase zero, supplementary", "phase one", "phase two")
STREAM = "flow"
BRIEF = ((512, 512, 512),)  # a product that does not last even where bf16 is emulated
TERMS = ("classification", "coactivity", "localization")


def watched(benchmark, data, precision: str):
    """A run, and what was seen of its phases; after each step there is a product."""
    with Watch(Pace()) as watch:
        run = benchmark.pedantic(
            train, (data, SHORT), dict(device="cpu", precision=precision), rounds=1
        )
    return run, watch.phases(STEPS)


def _whole(seen):
    """Of the default schedule: its later iterations cost what the first one does."""
    later = seen[2:] * Config().iterations
    return of_schedule([*seen[:2], *later], zero=2)


def test_fp32(benchmark, wide, figures):
    _, seen = watched(benchmark, wide.only(STREAM), "fp32")
    for name, phase in zip(PHASES, seen, strict=True):
        seconds = float(phase.steps.mean())
        figures.share(
            f"a step of {name}, fp32", phase.operations, seconds, phase.rate, "sgemm", None
        )
    whole = _whole(seen)
    figures.share(
        "training one stream, fp32", whole.operations, whole.seconds, whole.rate, "sgemm", 0.85
    )
    figures.parts["one model, full scale"] = {
        name: seconds / whole.seconds for name, seconds in whole.parts.items()
    }


def test_bf16(benchmark, wide, figures):
    """Only where products are the faster for it: elsewhere it would take an hour."""
    slow = product(torch.bfloat16, shapes=BRIEF) < product(shapes=BRIEF)
    shapes = BRIEF if slow else PRODUCTS
    figures.rates["products in bf16"] = [product(torch.bfloat16, shapes=shapes)]
    if slow:
        pytest.skip("products in bf16 are slower than in fp32 on this processor")
    data = wide.only(STREAM)
    run, seen = watched(benchmark, data, "bf16")
    whole = _whole(seen)
    figures.share(
        "training one stream, bf16", whole.operations, whole.seconds, whole.rate, "sgemm", None
    )
    exact = train(data, SHORT, device="cpu")
    figures.about["bf16 changes the last losses by"] = f"{_distance(run, exact):.1e}"


def _distance(run, exact) -> float:
    """Largest relative difference of the losses of the last phase."""
    pairs = [(run.history[-1][term], exact.history[-1][term]) for term in TERMS]
    return float(max(np.abs(a - b) / abs(b) for a, b in pairs if b))
