"""Counts what each step of a training does, from outside. Counts have no noise: a test can fail
on one where it cannot on a time.
"""

from __future__ import annotations

import gc
import sys

import numpy as np
import torch
from data import noise
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils._python_dispatch import TorchDispatchMode
from watch import after_steps

from amslib import Config, Dataset, train
from amslib.model import Branches

STEPS = 4  # of each phase
PHASES = ("zero base", "zero supp", "supp", "base")
MARK = "end of step"


def dataset(videos=24, classes=4, snippets=24, width=6) -> Dataset:
    """Videos of `snippets` to 2 `snippets` snippets, one class each."""
    return noise([snippets + i % snippets for i in range(videos)], classes, width)


def config(**changes) -> Config:
    """One iteration, so that each of `PHASES` is trained once; one epoch of `STEPS`."""
    # of 64 units dropout always leaves some: no two snippets have equal logits
    short = dict(steps_per_epoch=STEPS, epochs_zero=1, epochs=1, iterations=1, hidden=64)
    return Config(**{**short, **changes})


def by_phase(marks: list[int]) -> dict[str, list[int]]:
    """What was counted from one step of a phase to the next, given the totals after all steps."""
    between = np.diff(np.reshape(marks, (len(PHASES), STEPS)), axis=1)
    return dict(zip(PHASES, between.tolist(), strict=True))


class _Operations(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        return func(*args, **(kwargs or {}))


def operations(data: Dataset, configs) -> dict[str, list[int]]:
    """Tensor operations of each step, those of the backward pass included."""
    marks, mode = [], _Operations()
    with mode, after_steps(lambda: marks.append(mode.count)):
        train(data, configs, device="cpu")
    return by_phase(marks)


def python_calls(data: Dataset, configs) -> dict[str, list[int]]:
    """Calls of each step that the interpreter makes, of Python functions and of C functions."""
    marks, count = [], 0

    def called(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    with after_steps(lambda: marks.append(count)):
        before, collects = sys.getprofile(), gc.isenabled()
        gc.disable()  # whose callbacks, as those of hypothesis, would be counted
        sys.setprofile(called)
        try:
            train(data, configs, device="cpu")
        finally:
            sys.setprofile(before)
            if collects:
                gc.enable()
    return by_phase(marks)


class _Gathers(TorchDispatchMode):
    """Rows taken by index out of tables as wide as the features; no other table is so wide."""

    def __init__(self, width: int):
        super().__init__()
        self.width, self.rows = width, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if "embedding" in name or name in ("index_select", "index", "gather"):
            table = args[0]
            if table.ndim == 2 and table.shape[-1] == self.width:
                index = next(a for a in args[1:] if isinstance(a, torch.Tensor))
                self.rows += index.numel()
        return func(*args, **(kwargs or {}))


def rows_read(data: Dataset, configs) -> dict[str, list[int]]:
    """Rows of features that each step takes out of the store."""
    width = data.train[0].features["rgb"].shape[1]
    marks, mode = [], _Gathers(width)
    with mode, after_steps(lambda: marks.append(mode.rows)):
        train(data, configs, device="cpu")
    return by_phase(marks)


def passes(data: Dataset, configs) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """(Members, snippets) of each pass through the backbone, to train and to look."""
    trained, looked, forward = [], [], Branches.forward

    def seen(self, x, *rest, **named):
        kind = trained if torch.is_grad_enabled() else looked
        kind.append((len(self.weight1), x.shape[-2]))
        return forward(self, x, *rest, **named)

    Branches.forward = seen
    try:
        train(data, configs, device="cpu")
    finally:
        Branches.forward = forward
    return trained, looked


def allocations(data: Dataset, configs) -> dict[str, list[tuple[int, int]]]:
    """Of each step: how often torch allocates memory, and the most bytes it holds at once."""

    def mark():
        with record_function(MARK):
            pass

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        with after_steps(mark):
            train(data, configs, device="cpu")
    events = sorted(profiled.profiler.kineto_results.events(), key=lambda e: e.start_ns())
    held, taken, peak, steps = 0, 0, 0, []
    for event in events:
        if event.name() == MARK:
            steps.append((taken, peak))
            taken, peak = 0, held
        elif event.name() == "[memory]":
            held += event.nbytes()
            taken, peak = taken + (event.nbytes() > 0), max(peak, held)
    grouped = np.reshape(steps, (len(PHASES), STEPS, 2))[:, 1:].tolist()
    return dict(zip(PHASES, grouped, strict=True))
