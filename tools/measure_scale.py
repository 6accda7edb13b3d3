"""ActivityNet1.2's timeline at full width: what training takes when features do not fit in memory.

    python tools/measure_scale.py ANNOTATIONS FOLDER

ANNOTATIONS are real ones with durations, e.g. W-TALC's ActivityNet1.2-Annotations. FOLDER is made
and filled with generated features (10 GB; kept for another run). The generator's features are
lifted to the full width by a fixed random map, one video at a time. Then a few steps of every
phase are trained in a process of their own, first reading a batch ahead, then, where the machine
has the memory, with everything in memory; what they took goes to book/_static/scale.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np

from amslib import Dataset, load
from amslib.data import convert
from amslib.machine import described
from amslib.method import method_fingerprint

OUT = Path(__file__).parents[1] / "book" / "_static" / "scale.json"
NARROW, WIDE = 32, 1024
TRAINING = """
import json, resource, sys, time
import torch
from amslib import Config, batches, load, train
folder, resident = sys.argv[1], float(sys.argv[2])
batches.RESIDENT = resident
config = Config(steps_per_epoch=50, epochs_zero=1, epochs=1, iterations=1)
start = time.perf_counter()
data = load(folder)
loaded = time.perf_counter()
run = train(data, config, progress=sys.stderr.isatty())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({
    "load_seconds": loaded - start,
    "train_seconds": time.perf_counter() - loaded,
    "peak_bytes": peak,
    "steps": 2 * 4 * config.steps_per_epoch,
    "threads": torch.get_num_threads(),
    "losses": run.history[-1],
}))
"""


class Lifted(Mapping):
    """Features at another width: each row times a matrix, computed when asked for."""

    def __init__(self, narrow: Mapping[str, np.ndarray], lifts: Mapping[str, np.ndarray]):
        self.narrow, self.lifts = narrow, lifts

    def __getitem__(self, stream: str) -> np.ndarray:
        return self.narrow[stream] @ self.lifts[stream]

    def __iter__(self) -> Iterator[str]:
        return iter(self.narrow)

    def __len__(self) -> int:
        return len(self.narrow)


def lifted(dataset: Dataset, rng: np.random.Generator) -> Dataset:
    """The data set at full width, nothing of it computed yet."""
    size = NARROW, WIDE
    lifts = {s: rng.normal(size=size).astype(np.float32) / NARROW for s in dataset.streams}
    parts = [
        tuple(replace(v, features=Lifted(v.features, lifts)) for v in part)
        for part in (dataset.train, dataset.test)
    ]
    return replace(dataset, train=parts[0], test=parts[1])


def measure(folder: Path, resident: float) -> dict:
    """What a short training takes, in a process of its own."""
    told = subprocess.run(
        [sys.executable, "-c", TRAINING, str(folder), str(resident)], stdout=subprocess.PIPE
    )
    told.check_returncode()
    return json.loads(told.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("annotations", type=Path)
    parser.add_argument("folder", type=Path)
    chosen = parser.parse_args()
    if not chosen.folder.exists():
        narrow = load("synthetic", timeline=chosen.annotations, width=NARROW)
        convert(
            lifted(narrow, np.random.default_rng(0)), chosen.folder, progress=sys.stderr.isatty()
        )
    dataset = load(chosen.folder)
    videos = (*dataset.train, *dataset.test)
    about = {
        "date": str(date.today()),
        "code": method_fingerprint(),
        "made": described("cpu"),
        "videos": {"train": len(dataset.train), "test": len(dataset.test)},
        "classes": len(dataset.classes),
        "snippets": {
            "train": sum(v.num_snippets for v in dataset.train),
            "test": sum(v.num_snippets for v in dataset.test),
        },
        "width": WIDE,
        "bytes": sum(4 * WIDE * v.num_snippets for v in videos) * len(dataset.streams),
        "streamed": measure(chosen.folder, 0),
        "resident": measure(chosen.folder, float("inf")),
    }
    OUT.write_text(json.dumps(about, indent=1) + "\n")
    OUT.with_suffix(".md").write_text(page(about))


def page(about: dict) -> str:
    """The numbers as the book shows them."""
    count, snippets, gigabyte = about["videos"], about["snippets"], 1e9
    lines = [
        f"{count['train']} training and {count['test']} test videos, {snippets['train']:,} and "
        f"{snippets['test']:,} snippets of {about['width']} numbers in two streams: "
        f"{about['bytes'] / gigabyte:.1f} GB.",
        "",
        "| features | peak resident memory | time |",
        "|:--|--:|--:|",
    ]
    for name, key in (("read a batch ahead", "streamed"), ("in memory", "resident")):
        peak, seconds = about[key]["peak_bytes"] / gigabyte, about[key]["train_seconds"]
        lines.append(f"| {name} | {peak:.1f} GB | {seconds:.0f} s |")
    same = about["streamed"]["losses"] == about["resident"]["losses"]
    lines += ["", f"The losses of the last epoch are {'equal' if same else 'NOT equal'}."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
