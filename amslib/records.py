"""Results that say where they come from: one small JSON file per (config, seed, data set).

A record is named by its content: the config, the seed, the data and the code of the method. What
is recorded for exactly these is read, what is missing is computed; a record made by other code or
for other data is simply another record.
"""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .config import Config
from .data.video import Dataset
from .diagnostics import Quality, fused_quality, pseudo_label_quality
from .evaluation import ACTIVITYNET_TIOU, THUMOS14_TIOU, Evaluation, evaluate
from .inference import fuse
from .machine import described
from .method import VERSION, method_fingerprint
from .run import Run
from .saved import ABOUT, WEIGHTS
from .train import train

ROOT = Path(__file__).parents[1]
COMMITTED = ROOT / "results"
COMPUTED = ROOT / "runs" / "records"
OTHER_VERSION = "a worker's amslib is another version; install the same everywhere"
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
        made: method, commit, what `machine.described` tells of the machine (of all, where several
            took part), members, so many configs trained as one model (among others the last digits
            are others), and seconds: what may explain a difference. Records of earlier versions
            tell less.
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
        """The whole score on the test videos, at one of the `LEVELS` of IoU.

        Raises:
            IndexError: the run has no such iteration.
            KeyError: unknown levels.
        """
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


def record_key(config: Config, seed: int, dataset: Dataset) -> str:
    """16 hex digits; equal config, seed, data and `method.VERSION`, equal key.

    Of the config only what is not the default counts: a new field changes no key.
    """
    changes = json.dumps(config.changes(), sort_keys=True)
    text = f"ams {VERSION} {changes} {seed} {dataset.identity}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def find(key: str, out: str | Path = COMPUTED, runs: bool = False) -> Record | None:
    """The record of a `record_key`: a committed one, or one in `out`.

    Args:
        key: of the record.
        out: folder of computed records.
        runs: only one with its trained run beside it will do.

    Raises:
        ValueError: the file of that name is no record, or another one's.
    """
    for folder in (COMMITTED, Path(out)):
        path = folder / f"{key}.json"
        if path.is_file() and (not runs or (folder / key / ABOUT).is_file()):
            return _read(path)
    return None


def _read(path: Path) -> Record:
    try:
        about = json.loads(path.read_text())
        about["config"] = Config(**about["config"])
        record = Record(**about, folder=path.parent)
        if record.key != path.stem:
            raise ValueError(f"it calls itself {record.key!r}")
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as reason:
        text = f"{path}: not the record of that name ({reason}). Delete it, to compute it again"
        raise ValueError(text) from reason
    return record


# Yields lists of tasks, none of which needs another of its list, and is sent their results.
Course = Generator[list[Callable], list, dict[str, bytes]]


def course(
    configs: Sequence[Config],
    seed: int,
    dataset: Dataset,
    device: str,
    runs: bool,
    progress: bool = False,
) -> Course:
    """How the records of configs that train side by side are made, wherever the tasks are done:
    first each stream trains, then each config is scored.

    Args:
        configs, seed, dataset, device, progress: those of `train`.
        runs: the files of the trained runs, too.

    Returns:
        Content by file name, relative to the folder of records; a run before its record.
    """
    streams = dataset.streams or ("",)  # which `train` refuses
    trained = yield [
        partial(_trained, configs, seed, dataset, stream, device, progress) for stream in streams
    ]
    members = list(zip(*trained, strict=True))  # the streams of each config
    # few tasks, for the data go along with each
    count = min(len(streams), len(configs))
    tasks = [partial(_scored, members[i::count], seed, dataset, device, runs) for i in range(count)]
    del trained, members  # large
    scored = yield tasks
    return {name: content for files in scored for name, content in files.items()}


class _Stream(NamedTuple):
    """A config that has trained on a stream, side by side with others.

    Args:
        key: of its record, by the code that has trained it.
        files: what `Run.save` writes.
        made: what `_made` tells of the machine.
        members: how many configs trained.
        seconds: of this one.
    """

    key: str
    files: dict[str, bytes]
    made: dict
    members: int
    seconds: float


def _trained(
    configs: Sequence[Config], seed: int, dataset: Dataset, stream: str, device: str, progress: bool
) -> list[_Stream]:
    start = time.perf_counter()
    runs = train(dataset.only(stream), configs, seed, device, progress)
    seconds = (time.perf_counter() - start) / len(runs)
    count, made = len(runs), _made(device)
    keys = [record_key(config, seed, dataset) for config in configs]
    return [
        _Stream(key, _saved(run), made, count, seconds) for key, run in zip(keys, runs, strict=True)
    ]


def _scored(
    members: Iterable[Sequence[_Stream]], seed: int, dataset: Dataset, device: str, runs: bool
) -> dict[str, bytes]:
    """The files of the records of some configs, each trained on every stream."""
    files: dict[str, bytes] = {}
    for streams in members:
        start = time.perf_counter()
        run = _joined([_loaded(stream.files) for stream in streams])
        key = record_key(run.config, seed, dataset)
        if any(stream.key != key for stream in streams):
            raise ValueError(f"{OTHER_VERSION} ({key}, {[stream.key for stream in streams]})")
        about = {
            "key": key,
            "config": asdict(run.config),
            "seed": seed,
            "dataset": {"name": dataset.name, "fingerprint": dataset.identity},
            "iterations": [_scores(run, dataset, i, device) for i in range(len(run.states))],
        }
        seconds = sum(stream.seconds for stream in streams) + time.perf_counter() - start
        about["made"] = {
            **_together([*(stream.made for stream in streams), _made(device)]),
            "members": streams[0].members,
            "seconds": round(seconds, 1),
        }
        if runs:
            files |= {f"{key}/{name}": content for name, content in _saved(run).items()}
        files[f"{key}.json"] = (json.dumps(about) + "\n").encode()
    return files


def _together(made: Sequence[dict]) -> dict:
    """What is told of all machines that took part: the value of an entry, or all there are in a
    text.
    """
    told = {}
    for name in dict.fromkeys(name for one in made for name in one):
        values = [one.get(name, "none") for one in made]
        each = [value for i, value in enumerate(values) if value not in values[:i]]
        told[name] = each[0] if len(each) == 1 else "; ".join(map(str, each))
    return told


def _joined(parts: Sequence[Run]) -> Run:
    """One run of runs on a stream each."""
    run = Run(parts[0].config, parts[0].classes, parts[0].seed)
    for states in zip(*(part.states for part in parts), strict=True):
        run.states.append({stream: state for one in states for stream, state in one.items()})
    run.history = [row for part in parts for row in part.history]
    return run


def _saved(run: Run) -> dict[str, bytes]:
    """What `Run.save` writes; run.json, which says that a run is there, comes last."""
    with tempfile.TemporaryDirectory() as folder:
        run.save(folder)
        return {name: (Path(folder) / name).read_bytes() for name in (WEIGHTS, ABOUT)}


def _loaded(files: dict[str, bytes]) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        return Run.load(folder)


def _scores(run: Run, dataset: Dataset, iteration: int, device: str) -> dict:
    """An entry of `Record.iterations`."""
    looked = run.all_cas(dataset.test, iteration, device=device)
    fused = [(video, fuse(cas, run.config.beta)) for video, cas in looked]
    found = run.cut(fused)
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
                "test": {"fused": fused_quality(run, fused)},
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
    """What the numbers may depend on beside config, seed and data."""
    return {"method": method_fingerprint(), "commit": _commit(), **described(device)}


def _commit() -> str:
    """Short hash of the checkout, with a + if files differ from it; "" outside a checkout."""
    try:
        told = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--exclude=*"]
        return subprocess.run(told, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
