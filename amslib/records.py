"""Results that say where they come from: one small JSON file per (config, seed, data set).

A record is named by its content: the config, the seed, the data and the code of the method. What
is recorded for exactly these is read, what is missing is computed; a record made by other code or
for other data is simply another record.
"""

from __future__ import annotations

import ast
import hashlib
import json
import math
import os
import platform
import subprocess
import time
import tomllib
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch

from .config import Config
from .data.video import Dataset, fingerprint
from .device import pick_device
from .diagnostics import Quality, detection_quality, pseudo_label_quality
from .evaluation import ACTIVITYNET_TIOU, THUMOS14_TIOU, Evaluation, evaluate
from .run import Run
from .train import groups_of, train

HERE = Path(__file__).parent
ROOT = HERE.parent
COMMITTED = ROOT / "results"
COMPUTED = ROOT / "runs" / "records"
SAME_NUMBERS = COMMITTED / "same_numbers.toml"  # written by tools/compare_method.py
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# The code that a number depends on; how it is shown or stored is not part of the method.
METHOD = (
    *("batches", "config", "evaluation", "forward", "inference", "learner", "losses", "masks"),
    *(
        "model",
        "objective",
        "overview",
        "packed",
        "phases",
        "randomness",
        "run",
        "sampler",
        "train",
    ),
    *("protocols/activitynet", "protocols/matching", "protocols/tables"),
)
LEVELS = {"thumos14": THUMOS14_TIOU, "activitynet12": ACTIVITYNET_TIOU}


@dataclass(frozen=True)
class Record:
    """What one run of one config, seed and data set scored.

    Args:
        key: names the record; see `record_key`.
        config: what was trained.
        seed: of the run.
        dataset: name and fingerprint of the data.
        iterations: one entry an iteration, 0 first: at each of `LEVELS` of IoU the
            ``Evaluation.to_dict()`` on the test videos, and the "quality" of what is marked.
        made: versions, device, commit and seconds; what may explain a difference.
        folder: where the record lies; a trained run may lie beside it.
    """

    key: str
    config: Config
    seed: int
    dataset: dict
    iterations: list[dict]
    made: dict
    folder: Path

    def map(self, iteration: int = -1) -> np.ndarray:
        """mAP at each IoU threshold of THUMOS14, a fraction, shape (7,)."""
        return self.evaluation(iteration).map

    def evaluation(self, iteration: int = -1, levels: str = "thumos14") -> Evaluation:
        """The whole score on the test videos, at one of the `LEVELS` of IoU."""
        about = self.iterations[iteration][levels]
        per_class = {name: np.array(ap) for name, ap in about["per_class"].items()}
        return Evaluation(about["protocol"], LEVELS[levels], np.array(about["mAP"]), per_class)

    def quality(self, iteration: int = -1) -> dict | None:
        """What the branches mark as action, against the segments; None without any in training.

        Returns:
            ``{"train": {stream: {branch: Quality}}, "test": {"fused": Quality}}``, see
            `diagnostics.pseudo_label_quality` and `diagnostics.detection_quality`.
        """
        about = self.iterations[iteration]["quality"]
        return None if about is None else _qualities(about)

    def run(self) -> Run:
        """The trained run behind the record.

        Raises:
            FileNotFoundError: it was not kept; `run_grid` with ``runs=True`` trains it again.
        """
        return Run.load(self.folder / self.key)


def _qualities(about: dict | list) -> dict | Quality:
    if isinstance(about, dict):
        return {name: _qualities(entry) for name, entry in about.items()}
    return Quality(*(float("nan") if share is None else share for share in about))


def method_fingerprint() -> str:
    """16 hex digits over the method's code; comments, docstrings and layout do not count.

    Code that has recomputed records of earlier code to the last digit goes by the fingerprint of
    that code, see `SAME_NUMBERS`.
    """
    own = code_fingerprint()
    same = tomllib.loads(SAME_NUMBERS.read_text()) if SAME_NUMBERS.is_file() else {}
    return same[own]["as"] if own in same else own


def code_fingerprint() -> str:
    """The method's code alone, whatever it was shown to compute."""
    paths = [HERE / f"{name}.py" for name in METHOD]
    return fingerprint(*(_code(path, path.stat().st_mtime_ns) for path in paths))


@cache
def _code(path: Path, changed: int) -> str:
    return repr(_plain(ast.parse(path.read_text())))


def _plain(node):
    """A syntax tree as tuples, without docstrings; alike in all versions of Python.

    `ast.dump` is not: later versions add fields, empty in most code.
    """
    if isinstance(node, list):
        return [_plain(entry) for entry in node]
    if not isinstance(node, ast.AST):
        return node
    children = dict(ast.iter_fields(node))
    if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
        children["body"] = node.body[1:]
    kept = {name: _plain(v) for name, v in children.items() if v not in (None, [])}
    return type(node).__name__, kept


def record_key(config: Config, seed: int, dataset: Dataset) -> str:
    """16 hex digits; equal config, seed, data and method, equal key."""
    text = f"{config.key} {seed} {dataset.fingerprint} {method_fingerprint()}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def run_grid(
    configs: Sequence[Config],
    seeds: Iterable[int],
    dataset: Dataset,
    executor: Executor | None = None,
    out: str | Path = COMPUTED,
    device: str = "auto",
    progress: bool = False,
    runs: bool = False,
) -> list[Record]:
    """Records of every config and seed: read where they exist, computed where they do not.

    The configs missing for a seed are trained side by side as one batched model.

    Args:
        configs: what to run.
        seeds: of the runs.
        dataset: what to run on.
        executor: any `concurrent.futures.Executor`; a unit of work is a
            seed and the configs that train as one model. None: this process.
        out: folder for new records and their trained runs; the committed ones are looked at first.
        device: see `train`.
        progress: show progress bars on standard error.
        runs: the trained run behind each record is needed, too.

    Returns:
        One record for each seed and config, seeds outermost, both in the order given.
    """
    seeds, jobs = list(seeds), []
    for seed in dict.fromkeys(seeds):
        absent = [c for c in dict.fromkeys(configs) if _find(c, seed, dataset, out, runs) is None]
        for group in groups_of(absent):
            members = [absent[i] for i in group]
            jobs.append((members, seed, dataset, Path(out), device, progress))
    if executor is None:
        for job in jobs:
            _compute(*job)
    else:
        for future in [executor.submit(_compute, *job) for job in jobs]:
            future.result()
    return [_find(config, seed, dataset, out, runs) for seed in seeds for config in configs]


def _find(
    config: Config, seed: int, dataset: Dataset, out: str | Path, runs: bool
) -> Record | None:
    key = record_key(config, seed, dataset)
    for folder in (COMMITTED, Path(out)):
        path = folder / f"{key}.json"
        if path.is_file() and (not runs or (folder / key / "run.json").is_file()):
            about = json.loads(path.read_text())
            about["config"] = Config(**about["config"])
            return Record(**about, folder=folder)
    return None


def _compute(configs, seed, dataset, out, device, progress) -> None:
    start = time.perf_counter()
    runs = train(dataset, configs, seed, device, progress)
    shared = (time.perf_counter() - start) / len(runs)
    done = []
    for config, run in zip(configs, runs, strict=True):
        start = time.perf_counter()
        about = {
            "key": record_key(config, seed, dataset),
            "config": asdict(config),
            "seed": seed,
            "dataset": {"name": dataset.name, "fingerprint": dataset.fingerprint},
            "iterations": [_scores(run, dataset, i, device) for i in range(len(run.states))],
        }
        seconds = round(shared + time.perf_counter() - start, 1)
        done.append((run, about | {"made": _made(device) | {"seconds": seconds}}))
    # only now, so that a call that is interrupted leaves all records of a seed or none
    for run, about in done:
        run.save(out / about["key"])
    for _, about in done:
        # whole or not at all: the final name appears only when the content is complete
        scratch = out / f".{about['key']}.{os.getpid()}"
        scratch.write_text(json.dumps(about) + "\n")
        scratch.replace(out / f"{about['key']}.json")


def _scores(run: Run, dataset: Dataset, iteration: int, device: str) -> dict:
    """An entry of `Record.iterations`."""
    found = run.predict(dataset.test, iteration, device)
    scores = {
        name: _rounded(evaluate(found, dataset.test, tiou).to_dict())
        for name, tiou in LEVELS.items()
    }
    known = [video for video in dataset.train if video.segments]
    quality = None
    if known:
        quality = _rounded(
            {
                "train": pseudo_label_quality(run, known, iteration, device),
                "test": {"fused": detection_quality(run, dataset.test, iteration, device)},
            }
        )
    return scores | {"quality": quality}


def _rounded(entry):
    """Numbers to six decimals, far below what a run can repeat elsewhere; nan as None."""
    if isinstance(entry, dict):
        return {name: _rounded(value) for name, value in entry.items()}
    if isinstance(entry, (list, tuple)):
        return [_rounded(value) for value in entry]
    if isinstance(entry, float):
        return None if math.isnan(entry) else round(entry, 6)
    return entry


def _made(device: str) -> dict:
    """What the numbers may depend on beside the code."""
    return {
        "method": method_fingerprint(),
        "commit": _commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "device": str(pick_device(device)),
        "threads": torch.get_num_threads(),
    }


def _commit() -> str:
    """Short hash of the checkout, with a + if files differ from it; "" outside a checkout."""
    try:
        told = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--exclude=*"]
        return subprocess.run(told, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
