"""What a training does when, seen from outside: the library itself holds no timer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from statistics import harmonic_mean
from time import perf_counter
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from arithmetic import Sizes, look, step

from amslib import Config, objective, phases, steps
from amslib.batches import PairSampler, Store
from amslib.learner import Learner
from amslib.model import Branches

WHOLE = "whole passes"  # over the training set, between the phases
OTHER = "the rest"
PARTS = {
    "batching": [(PairSampler, "draw"), (PairSampler, "shared"), (Store, "batch")],
    "features": [(phases, "read")],
    "sampler": [(phases.StreamTrainer, "_positions")],
    "alignment": [(phases, "alignment"), (objective, "interpolate")],
    "dropout": [(steps.Step, "_forward")],  # but for what the other parts take of it
    "pseudo-labels": [(phases, "_taught")],
    "products": [(torch, "baddbmm"), (torch, "bmm")],  # of both layers, forward and backward
    "forward pass": [(Branches, "forward")],  # but for its products, as the next
    "backward pass": [(torch.Tensor, "backward")],
    "losses": [(steps, "loss_terms")],
    "optimiser": [(torch.optim.Adam, "step")],
    WHOLE: [(phases, f"whole_{what}") for what in ("base_cas", "supp_cas", "positions", "labels")],
}


@contextmanager
def after_steps(act: Callable[[], None]) -> Iterator[None]:
    """Call a function after every optimiser step."""
    original = Learner.step

    def followed(self, loss):
        original(self, loss)
        act()

    with patch.object(Learner, "step", followed):
        yield


class Mark(NamedTuple):
    """Totals when a step has ended: seconds, operations that had to be done, seconds by part."""

    seconds: float
    operations: float
    parts: dict[str, float]


class Watch:
    """Marks the end of each step of a training that runs while this is entered.

    Args:
        pace: done after each step, in time that is not the training's; what the machine does at
            best in the moment, operations a second.
    """

    def __init__(self, pace: Callable[[], float] | None = None):
        self.pace, self.rates, self.away = pace, [], 0.0
        self.marks: list[Mark] = []
        self.operations, self.parts = 0.0, Counter()
        self.inside: list[str] = []

    def __enter__(self) -> Watch:
        with ExitStack() as stack:
            for part, places in PARTS.items():
                for owner, name in places:
                    timed = self._timed(part, getattr(owner, name))
                    stack.enter_context(patch.object(owner, name, timed))
            counted = self._counted(Branches.forward)
            stack.enter_context(patch.object(Branches, "forward", counted))
            stack.enter_context(after_steps(self._mark))
            self.leave = stack.pop_all()
        self._mark()
        return self

    def __exit__(self, *error) -> None:
        self.leave.close()

    def _mark(self) -> None:
        now = perf_counter()
        self.marks.append(Mark(now - self.away, self.operations, dict(self.parts)))
        self.rates.append(self.pace() if self.pace else float("nan"))
        self.away += perf_counter() - now

    def _timed(self, part: str, function: Callable) -> Callable:
        """A part inside another is not counted in it; what whole passes call is theirs."""

        def timed(*args, **kwargs):
            if self.inside[:1] == [WHOLE]:
                return function(*args, **kwargs)
            start, own = perf_counter(), self.parts.total()
            self.inside.append(part)
            result = function(*args, **kwargs)
            self.inside.pop()
            within = self.parts.total() - own
            self.parts[part] += perf_counter() - start - within
            return result

        return timed

    def _counted(self, forward: Callable) -> Callable:
        def counted(model, x, *rest, **named):
            members, width, hidden = model.weight1.shape
            size = Sizes(width, hidden, model.weight2.shape[-1])
            of = step if torch.is_grad_enabled() else look
            self.operations += of(x.shape[-2], size, members)
            return forward(model, x, *rest, **named)

        return counted

    def phases(self, length: int) -> list[Phase]:
        """What was seen of each phase of `length` steps of one model."""
        stamps = np.array([mark.seconds for mark in self.marks])
        done = np.array([mark.operations for mark in self.marks])
        found = []
        for start in range(0, len(self.marks) - 1, length):
            first, last = self.marks[start + 1], self.marks[start + length]
            inner = slice(start + 1, start + length + 1)
            parts = {p: (last.parts[p] - first.parts.get(p, 0)) / (length - 1) for p in last.parts}
            steps = np.diff(stamps[inner])
            before = stamps[start + 1] - stamps[start] - steps.mean()
            operations = float(np.diff(done[inner]).mean())
            between = float(done[start + 1] - done[start] - operations)
            rate = harmonic_mean(self.rates[inner])
            found.append(Phase(steps, operations, parts, max(before, 0.0), between, rate))
        return found


class Phase(NamedTuple):
    """Seconds of each step but the first, mean operations and seconds by part of a step, what it
    took to get from the phase before to the first step, seconds and operations, and the mean rate
    of the products after the steps, nan without.
    """

    steps: np.ndarray
    operations: float
    parts: dict[str, float]
    before: float
    between: float
    rate: float


class Total(NamedTuple):
    """Seconds, operations, seconds by part, and the rate that the products after the steps had."""

    seconds: float
    operations: float
    parts: dict[str, float]
    rate: float


def of_schedule(seen: list[Phase], zero: int) -> Total:
    """What the default schedule takes on one stream, from a few steps of each of its phases, the
    first `zero` of which belong to phase zero.
    """
    config, parts, seconds, operations, least = Config(), Counter(), 0.0, 0.0, 0.0
    for i, phase in enumerate(seen):
        steps = config.steps_per_epoch * (config.epochs_zero if i < zero else config.epochs)
        of_steps = float(phase.steps.mean())
        seconds += steps * of_steps + phase.before
        done = steps * phase.operations + phase.between
        operations += done
        least += done / phase.rate
        parts.update({name: steps * each for name, each in phase.parts.items()})
        parts[OTHER] += steps * (of_steps - sum(phase.parts.values()))
        parts[WHOLE] += phase.before
    return Total(seconds, operations, dict(parts), operations / least)
