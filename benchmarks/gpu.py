"""What the method costs on a GPU, by one command.

    python benchmarks/gpu.py --out benchmarks/gpu.json

First the rates of the device are measured, and the two floors written down: the arithmetic that
must be done at the rate of products in bf16, and the bytes that must be moved at the rate of a
copy. Then follows what it took, and how fast the products of the grid are while they run. What is
measured is written at once, and a call that was cut off goes on from there; rows of other code of
the method or of another machine are not kept. With --tiny everything is small, to try the command
on any machine.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from arithmetic import Floor, training
from data import thumos
from rates import copy, product
from report import columns, seconds
from torch.profiler import ProfilerActivity, profile
from watch import Watch

from amslib import Config, Dataset, Run, experiments, load, phases, train
from amslib.device import pick_device
from amslib.files import write_whole
from amslib.method import method_fingerprint
from amslib.train import groups_of

BYTES = {"fp32": 4, "bf16": 2}  # of a feature
BIG = ((8192, 8192, 8192), (16384, 1024, 1024))
RUN_SECONDS, GRID_SECONDS, OF_BF16 = 60, 900, 0.4  # wanted of one H200
GRID_PART = 4  # the whole grid takes minutes
FEW = 8  # steps whose kernels are looked at
PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm")


def measure(device: str, tiny: bool, out: Path) -> dict:
    """Everything, see above."""
    data, timeline = _data(tiny)
    if tiny:
        base, seeds = Config(steps_per_epoch=GRID_PART, epochs_zero=1, epochs=1), 2
        rates = _rates(device, ((256, 256, 256),), 2**20)
    else:
        base, seeds = Config(steps_per_epoch=200), experiments.SEEDS
        rates = _rates(device, BIG, 2**32)
    about = _about(device, timeline, data, base, seeds)
    told = {"about": about, "rates": rates, "rows": _rows(about, out)}
    # without dropout, whose masks are other ones on another device
    short = replace(base, dropout=0.0, steps_per_epoch=2, epochs_zero=1, epochs=1, iterations=1)
    told["exact"] = exactness(data, short, device)
    _write(told, out)
    part = replace(base, steps_per_epoch=base.steps_per_epoch // GRID_PART)
    grid = experiments.paper_grid(part)
    told["products"] = products(data, grid, device, rates["bf16"])
    _write(told, out)
    name = (
        f"1/{GRID_PART} of the steps of the paper's grid, {len(grid)} configs, bf16, "
        f"seeds: {seeds}, a process each"
    )
    works = {f"one AMS run, {p}": Work([base], p, device) for p in ("fp32", "bf16")}
    works[name] = Work(grid, "bf16", device)
    measured = {row["name"] for row in told["rows"]}
    for name, work in works.items():
        if name in measured:
            continue
        if len(work.configs) == 1:
            row = timed(name, data, work, 1, rates, RUN_SECONDS)
        else:
            with _processes(seeds, tiny, device) as pool:
                row = timed(name, data, work, seeds, rates, GRID_SECONDS / GRID_PART, pool)
        told["rows"].append(row)
        _write(told, out)
    return told


def _write(told: dict, out: Path) -> None:
    write_whole({out: (json.dumps(told, indent=1) + "\n").encode()})


def _rows(about: dict, out: Path) -> list[dict]:
    """What an earlier call has measured of the same."""
    told = json.loads(out.read_text()) if out.exists() else {}
    was = told.get("about", {}) | {"date": about["date"]}
    if was == about:
        return told["rows"]
    if told:
        changed = [name for name in was.keys() | about.keys() if was.get(name) != about.get(name)]
        print(f"{out} is of another {', '.join(sorted(changed))}: begun anew", file=sys.stderr)
    return []


def _about(device: str, timeline: str, data: Dataset, config: Config, seeds: int) -> dict:
    cuda = pick_device(device).type == "cuda"
    return {
        "date": str(date.today()),
        "code": method_fingerprint(),
        "device": torch.cuda.get_device_name() if cuda else "CPU",
        "torch": torch.__version__,
        "timeline": timeline,
        "training snippets": sum(v.num_snippets for v in data.train),
        "steps an epoch": config.steps_per_epoch,
        "seeds": seeds,
    }


def _rates(device: str, shapes: tuple, size: int) -> dict[str, float]:
    return {
        "fp32": product(torch.float32, device, shapes),
        "bf16": product(torch.bfloat16, device, shapes),
        "copy": copy(device, size),
    }


def floor(data: Dataset, configs: Sequence[Config], item: int) -> Floor:
    """Of all streams, with features of `item` bytes."""
    lengths = np.array([v.num_snippets for v in data.train])
    labels = data.labels(data.train)
    operations = moved = 0.0
    for stream in data.streams:
        width = data.train[0].features[stream].shape[1]
        for group in groups_of(configs):
            one = training(lengths, labels, width, [configs[i] for i in group], item)
            operations, moved = operations + one.operations, moved + one.bytes
    return Floor(operations, moved)


class Work(NamedTuple):
    """What is trained for each seed."""

    configs: list[Config]
    precision: str
    device: str

    def train(self, data: Dataset, seed: int) -> None:
        train(data, self.configs, seed, self.device, precision=self.precision)


def _data(tiny: bool) -> tuple[Dataset, str]:
    return (load("synthetic-tiny"), "generated") if tiny else thumos()


@contextmanager
def _processes(count: int, tiny: bool, device: str) -> Iterator[Executor]:
    """So many, each with the data in memory and the device awake."""
    spawn = multiprocessing.get_context("spawn")
    everyone = spawn.Barrier(count)
    with ProcessPoolExecutor(count, spawn, _begin, (tiny, device, everyone)) as pool:
        # a process starts with a task; none begins before all are ready
        wait([pool.submit(abs, 0) for _ in range(count)])
        yield pool


def _begin(tiny: bool, device: str, everyone) -> None:
    global DATA
    torch.set_num_threads(1)
    DATA = _data(tiny)[0]
    Work([Config(steps_per_epoch=2, epochs_zero=1, epochs=1)], "bf16", device).train(DATA, 0)
    everyone.wait()


def _train(work: Work, seed: int) -> None:
    work.train(DATA, seed)


def timed(
    name: str,
    data: Dataset,
    work: Work,
    seeds: int,
    rates: dict[str, float],
    limit: float,
    pool: Executor | None = None,
) -> dict:
    """Time of a training, everything included, beside its floors."""
    least = floor(data, work.configs, BYTES[work.precision])
    cuda = work.device == "cuda" and pool is None
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    start = perf_counter()
    if pool is None:
        work.train(data, 0)  # ends with a copy to the CPU
    else:
        list(pool.map(partial(_train, work), range(seeds)))
    took = perf_counter() - start
    return {
        "name": name,
        "seconds": took,
        "arithmetic": seeds * least.operations / rates["bf16"],
        "moving": seeds * least.bytes / rates["copy"],
        "share": seeds * least.operations / took / rates["bf16"],
        "limit": limit,
        "peak": torch.cuda.max_memory_allocated() if cuda else None,
    }


def products(data: Dataset, configs: Sequence[Config], device: str, rate: float) -> dict:
    """How fast the matrix products of a batched grid are while they run, in bf16.

    A few steps of an iteration on one stream. They are not captured: each kernel is of the
    operation that launched it.
    """
    few = dict(steps_per_epoch=FEW, epochs_zero=0, epochs=1)
    brief = [replace(c, iterations=min(1, c.iterations), **few) for c in configs]
    work = Work(list(dict.fromkeys(brief)), "bf16", device)
    data = data.only(data.streams[0])
    seen = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device == "cuda")
    with patch.object(phases, "Graphs", lambda step, longest: step):
        work.train(data, 0)  # what is done once
        with Watch() as watch, profile(activities=seen) as profiled:
            work.train(data, 0)
    took = "self_device_time_total" if device == "cuda" else "self_cpu_time_total"
    events = [event for event in profiled.key_averages() if event.key in PRODUCTS]
    spent = sum(getattr(event, took) for event in events) / 1e6
    share = watch.operations / spent / rate
    return {"seconds": spent, "operations": watch.operations, "share": share, "target": OF_BF16}


def exactness(data: Dataset, config: Config, device: str) -> dict:
    """How far the device is from the CPU, from itself, and from float64."""
    here = train(data, config, device="cpu")
    there, again = (train(data, config, device=device) for _ in range(2))
    rough = train(data, config, device=device, precision="bf16")
    video = max(data.test, key=lambda v: v.num_snippets)
    return {
        "losses, device against CPU": _losses_apart(there, here),
        "losses, bf16 against CPU": _losses_apart(rough, here),
        "base CAS, device against float64": _cas_apart(there, video, device),
        "base CAS, CPU against float64": _cas_apart(here, video, "cpu"),
        "two runs are bitwise equal": _same(there, again),
    }


def _losses_apart(one: Run, other: Run) -> float:
    """Largest difference of the losses of an epoch, relative to the larger of 1 and the loss."""
    terms = [
        (a[term], b[term])
        for a, b in zip(one.history, other.history, strict=True)
        for term in ("classification", "coactivity", "localization")
    ]
    return max(abs(a - b) / max(1, abs(b)) for a, b in terms)


def _cas_apart(run: Run, video, device: str) -> float:
    """Largest difference of the CAS of the base branch from the same in float64."""
    apart = 0.0
    for stream, cas in run.cas(video, device=device).items():
        p = {k: v[0].double().numpy() for k, v in run.states[-1][stream]["base"].items()}
        hidden = np.maximum(video.features[stream] @ p["weight1"] + p["bias1"], 0)
        logits = hidden @ p["weight2"] + p["bias2"]
        e = np.exp(logits - logits.max(-1, keepdims=True))
        apart = max(apart, float(np.abs(cas["base"].numpy() - e / e.sum(-1, keepdims=True)).max()))
    return apart


def _same(one: Run, other: Run) -> bool:
    pairs = [
        (p, other.states[i][stream][branch][name])
        for i, streams in enumerate(one.states)
        for stream, branches in streams.items()
        for branch, state in branches.items()
        for name, p in state.items()
    ]
    return all(torch.equal(a, b) for a, b in pairs) and one.history == other.history


def table(told: dict) -> str:
    """The short table."""
    head = ["", "time", "arithmetic", "moving", "times the higher floor", "of bf16", "wanted"]
    lines = [
        [
            row["name"],
            seconds(row["seconds"]),
            seconds(row["arithmetic"]),
            seconds(row["moving"]),
            f"{row['seconds'] / max(row['arithmetic'], row['moving']):.1f}",
            f"{row['share']:.1%}",
            seconds(row["limit"]),
        ]
        for row in told["rows"]
    ]
    rates = [f"{name} {rate / 1e12:.3g} T/s" for name, rate in told["rates"].items()]
    exact = [
        f"{what}: {('yes' if x else 'no') if isinstance(x, bool) else f'{x:.1e}'}"
        for what, x in told["exact"].items()
    ]
    about = ", ".join(f"{name} {value}" for name, value in told["about"].items())
    fast = "products of the grid, while they run: {share:.1%} of bf16, wanted {target:.0%}"
    text = [about, ", ".join(rates), "", columns([head, *lines]), ""]
    return "\n".join([*text, fast.format_map(told["products"]), *exact])


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="a json file to write")
    parser.add_argument("--device", default="cuda", help="cuda or cpu")
    parser.add_argument("--tiny", action="store_true", help="everything small, as a trial")
    given = parser.parse_args(words)
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no CUDA device; try --device cpu --tiny")
    print(table(measure(given.device, given.tiny, given.out)))


if __name__ == "__main__":
    main()
