"""What this machine can do at best, measured beside what is compared with it."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

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


class Pace:
    """sgemm between other work: a call is one product, and gives its operations a second.

    Of the sizes, the one that is the fastest when this is made.
    """

    def __init__(self):
        n, k, m = max(PRODUCTS, key=lambda shape: product(shapes=(shape,)))
        self.operations = 2 * n * k * m
        self.a, self.b, self.out = torch.randn(n, k), torch.randn(k, m), torch.empty(n, m)

    def __call__(self) -> float:
        start = perf_counter()
        torch.mm(self.a, self.b, out=self.out)
        return self.operations / (perf_counter() - start)


def copy(device: str = "cpu", size: int = BYTES) -> float:
    """Bytes a second of a copy; each byte counts once as read and once as written."""
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    return 2 * size / best(lambda: target.copy_(source), device)
