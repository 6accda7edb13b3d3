"""Everything that a run of the benchmarks measured."""

from __future__ import annotations

from datetime import date

import numpy as np

from amslib.machine import described
from amslib.method import method_fingerprint


class Figures:
    """What was measured: everything that the chapter shows."""

    def __init__(self):
        # made before a fixture sets one thread: "threads" is that of rows whose names tell none
        self.about = {
            "date": str(date.today()),
            "code": method_fingerprint(),
            **described("cpu"),
        }
        self.rates: dict[str, list[float]] = {}  # each as it was beside a figure
        self.rows: list[dict] = []
        self.parts: dict[str, dict[str, float]] = {}
        self.growth: list[dict] = []
        self.memory: list[dict] = []

    def share(
        self, name: str, amount: float, seconds: float, rate: float, of: str, target: float | None
    ) -> None:
        """A time as the share of a rate that it reached.

        Args:
            amount: operations or bytes that had to be.
            rate: what the machine did in the same run, a second.
            of: name of the rate.
            target: the share wanted.
        """
        self.rates.setdefault(of, []).append(rate)
        share = amount / seconds / rate
        self.rows.append(dict(name=name, seconds=seconds, share=share, of=of, target=target))

    def times(self, name: str, slow: float, fast: float, target: float | None) -> None:
        """How many times as fast something is, in seconds of the default schedule."""
        self.rows.append(dict(name=name, seconds=fast, times=slow / fast, target=target))

    def within(self, name: str, seconds: float, limit: float, rate: float, amount: float) -> None:
        """Seconds against a limit in seconds, and the bytes at hand as a share of the copy rate."""
        self.rates.setdefault("copy", []).append(rate)
        share = amount / seconds / rate
        self.rows.append(dict(name=name, seconds=seconds, limit=limit, share=share, of="copy"))

    def grows(self, cost: str, of: str, sizes: list[int], values: list[float], most: float) -> None:
        """A cost against a size; `most` is the power it may grow with."""
        slope = float(np.polyfit(np.log(sizes), np.log(values), 1)[0])
        self.growth.append(
            dict(cost=cost, of=of, sizes=sizes, values=values, slope=slope, most=most)
        )

    def peak(self, name: str, size: int | None, limit: float | None = None) -> None:
        """Bytes."""
        self.memory.append(dict(name=name, bytes=size, limit=limit))
