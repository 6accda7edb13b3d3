"""What this machine can do at best, measured beside what is compared with it."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import NamedTuple

import torch

PRODUCTS = ((4096, 1024, 1024), (2048, 2048, 2048))  # the first is about a training step's
BYTES = 2**28  # of a copy: more than any cache holds
REPEATS = 3


def best(work: Callable[[], object], device: str = "cpu") -> float:
    """Seconds that `work` takes, the best of a few times."""
    seconds = []
    for _ in range(REPEATS):
        start = perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(perf_counter() - start)
    return min(seconds)


def product(dtype: torch.dtype = torch.float32, device: str = "cpu", shapes=PRODUCTS) -> float:
    """Operations a second of a matrix product, sgemm in float32: the best of several sizes."""
    rates = []
    for n, k, m in shapes:
        # a GPU is faster on numbers that are all the same
        a, b = (torch.randn(size, dtype=dtype, device=device) for size in ((n, k), (k, m)))
        out = a @ b
        rates.append(
            2 * n * k * m / best(lambda a=a, b=b, out=out: torch.mm(a, b, out=out), device)
        )
    return max(rates)


def copy(device: str = "cpu", size: int = BYTES) -> float:
    """Bytes a second of a copy; each byte counts once as read and once as written."""
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    return 2 * size / best(lambda: target.copy_(source), device)


class Timed(NamedTuple):
    """The best round of something, what each round gave back, and the best rate around them."""

    seconds: float
    results: list
    rate: float


def beside(
    benchmark, work: Callable[[], object], rate: Callable[[], float], rounds: int = 2
) -> Timed:
    """Time `work` with pytest-benchmark; `rate` is measured before and after each round."""
    rates, results = [], []
    benchmark.pedantic(
        lambda: results.append(work()), setup=lambda: rates.append(rate()), rounds=rounds
    )
    rates.append(rate())
    return Timed(benchmark.stats.stats.min, results, max(rates))
