"""Peak memory, of a process of its own."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
from data import detections, noise

from amslib import Config, Video, evaluate, train

STATUS = Path("/proc/self/status")


def peak(work: Callable[..., int], *args) -> int | None:
    """Most bytes that `work(*args)` adds to a fresh process that has imported amslib, without those
    that it returns; None where the system does not tell.
    """
    if not sys.platform.startswith("linux"):
        return None
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        return fresh.submit(_peak, work, torch.get_num_threads(), *args).result()


def _peak(work: Callable[..., int], threads: int, *args) -> int:
    torch.set_num_threads(threads)
    before = _highest()
    given = work(*args)
    return _highest() - before - given


def _highest() -> int:
    """Of this process; `getrusage` would tell the peak of the parent where that was higher."""
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", STATUS.read_text()).group(1))


def training(lengths: list[int], classes: int, width: int, hidden: int, members: int) -> int:
    """A few steps of every phase; returns the bytes of the features it was given."""
    data = noise(lengths, classes, width)
    short = dict(steps_per_epoch=2, epochs_zero=1, epochs=1, iterations=1, hidden=hidden)
    train(data, [Config(eta=1 / (1 + i), **short) for i in range(members)], device="cpu")
    return 4 * width * sum(lengths)


def evaluation(videos: list[Video], count: int) -> int:
    """Scores `count` detections; nothing of it is given."""
    evaluate(detections(videos, count), videos)
    return 0
