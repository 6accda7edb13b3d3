"""How time and memory grow with snippets, videos, classes, members and detections."""

from __future__ import annotations

from time import perf_counter

import pytest
from data import detections, noise
from memory import peak, training
from watch import Watch

from amslib import Config, evaluate, train

STEPS, WIDTH, VIDEOS, SNIPPETS, CLASSES = 8, 256, 100, 100, 20
DOUBLINGS = (1, 2, 4, 8)


def cost(snippets=SNIPPETS, videos=VIDEOS, batch_size=10, classes=CLASSES, members=1):
    """Seconds of the fastest step of phase one, all are alike, and of what precedes the phase."""
    data = noise([snippets] * videos, classes, WIDTH)
    short = dict(steps_per_epoch=STEPS, epochs_zero=1, epochs=1, iterations=1)
    configs = [Config(eta=1 / (1 + i), batch_size=batch_size, **short) for i in range(members)]
    with Watch() as watch:
        train(data, configs, device="cpu")
    phase = watch.phases(STEPS)[2]
    return float(phase.steps.min()), phase.before


AXES = {  # size that grows, its first value, powers that a step and a pass may grow with
    "snippets a video": ("snippets", SNIPPETS, 1, 1),
    "videos a batch": ("batch_size", 10, 1, None),
    "training videos": ("videos", VIDEOS, 0, 1),
    "classes": ("classes", 10, 1, 1),
    "members": ("members", 1, 1, 1),
}


@pytest.mark.parametrize("axis", AXES)
def test_time(benchmark, figures, one_thread, axis):
    field, first, of_step, of_pass = AXES[axis]
    sizes = [first * factor for factor in DOUBLINGS]
    costs = benchmark.pedantic(lambda: [cost(**{field: size}) for size in sizes], rounds=1)
    steps, passes = (list(values) for values in zip(*costs, strict=True))
    figures.grows("a training step", axis, sizes, steps, of_step)
    if of_pass is not None:
        figures.grows("what precedes a phase", axis, sizes, passes, of_pass)


def test_evaluation(benchmark, figures, wide):
    sizes = [12_500 * factor for factor in DOUBLINGS]

    def measure(count):
        found = detections(wide.test, count)
        seconds = []
        for _ in range(3):
            start = perf_counter()
            evaluate(found, wide.test)
            seconds.append(perf_counter() - start)
        return min(seconds)

    values = benchmark.pedantic(lambda: [measure(size) for size in sizes], rounds=1)
    figures.grows("evaluation", "detections", sizes, values, 1)


@pytest.mark.parametrize("axis", ["snippets a video", "members"])
def test_memory(benchmark, figures, axis):
    factors = {"snippets a video": (1, 0), "members": (0, 1)}[axis]

    def measure(factor):
        snippets = SNIPPETS * (factor if factors[0] else 4)
        members = factor if factors[1] else 1
        return peak(training, [snippets] * VIDEOS, CLASSES, WIDTH, WIDTH, members)

    values = benchmark.pedantic(lambda: [measure(factor) for factor in DOUBLINGS], rounds=1)
    if None not in values:
        first = SNIPPETS if factors[0] else 1
        figures.grows("peak memory", axis, [first * f for f in DOUBLINGS], values, 1)


def test_full_scale(benchmark, figures, wide):
    lengths = [v.num_snippets for v in wide.train]
    used = benchmark.pedantic(
        lambda: peak(training, lengths, len(wide.classes), 1024, 1024, 1), rounds=1
    )
    figures.peak("training one stream at full scale, above its features as given", used)
