"""One digest for each config of the book: a change of any number of the method changes one.

Usage: python tools/golden.py    (a minute; writes tests/golden.json, after VERSION was raised)

Each config trains for a few steps on small data under pinned kernels; its digest is of the weights
and of the detections. The tests compare, so that no number can change under the same VERSION.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from amslib import Config, load, train
from amslib.experiments import ledger, paper_grid
from amslib.kernels import can_be_pinned
from amslib.method import VERSION
from amslib.run import Run
from amslib.workers import processes

FILE = Path(__file__).parents[1] / "tests" / "golden.json"
QUICK = dict(steps_per_epoch=5, epochs_zero=2, epochs=1)


def configs() -> list[Config]:
    """Every config that the book trains, each once, with a short schedule."""
    alternatives = [c for others in ledger().values() for c in others.values()]
    short = [
        replace(c, **QUICK, iterations=min(c.iterations, 1)) for c in (*paper_grid(), *alternatives)
    ]
    return list(dict.fromkeys(short))


def digests() -> dict[str, str]:
    """By the fields that are not the default; to be called under pinned kernels."""
    data, found = load("synthetic-tiny"), {}
    for config, run in zip(configs(), train(data, configs(), seed=0, device="cpu"), strict=True):
        name = ", ".join(f"{k}={v}" for k, v in config.changes().items() if k not in QUICK)
        found[name] = _digest(run, data.test)
    return found


def _digest(run: Run, videos) -> str:
    digest = hashlib.sha256()
    for streams in run.states:
        for branches in streams.values():
            for state in branches.values():
                for p in state.values():
                    digest.update(p.numpy().tobytes())
    digest.update(repr(run.predict(videos, device="cpu")).encode())
    return digest.hexdigest()[:16]


def main() -> None:
    if not can_be_pinned():
        raise SystemExit("kernels cannot be pinned on this machine; see amslib/kernels.py")
    with processes(1) as pool:
        found = pool.submit(digests).result()
    FILE.write_text(json.dumps({"version": VERSION, "digests": found}, indent=1) + "\n")
    print(f"{len(found)} digests of version {VERSION} written to {FILE}")


if __name__ == "__main__":
    main()
