"""Trained runs on disk: ``run.json`` and ``run.safetensors``. Reading them executes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from .config import Config
from .files import write_whole
from .model import PARAMETERS, num_logits
from .parameters import clip

FORMAT = 1
WEIGHTS, ABOUT = "run.safetensors", "run.json"
DATA = "data.json"  # what a run of the command line was trained on, see `source`


def write_run(folder: Path, config: Config, about: dict, states: list[dict]) -> None:
    """Write the `states` of a run, its config and other plain data.

    What the folder says of the data of an earlier run is removed.

    Raises:
        OSError: they cannot be written; on a full disk, a run that was there stays.
    """
    tensors = {
        f"{iteration}/{stream}/{branch}/{name}": p
        for iteration, streams in enumerate(states)
        for stream, branches in streams.items()
        for branch, state in branches.items()
        for name, p in state.items()
    }
    text = json.dumps({"format": FORMAT, "config": asdict(config), **about}, indent=1) + "\n"
    files = {folder / WEIGHTS: save(tensors), folder / ABOUT: text.encode()}
    write_whole(files, outdated=[folder / DATA])


def read_run(folder: Path) -> tuple[Config, dict, list[dict]]:
    """Config, plain data and states that `write_run` wrote.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the files are of another format, damaged, or not of one run.
    """
    for name in (ABOUT, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder / name}: no such file; pass a folder written by `train --out`"
            )
    try:
        about = json.loads((folder / ABOUT).read_text())
        if about["format"] != FORMAT:
            raise ValueError(f"format {about['format']}, expected {FORMAT}")
        config = Config(**about["config"])
        _check(about)
        with safe_open(folder / WEIGHTS, "pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        return config, about, _states(tensors, config, len(about["classes"]))
    except Exception as error:
        raise ValueError(
            f"{folder}: not a readable run ({clip(error)}); delete it and train again"
        ) from error


def _check(about: dict) -> None:
    """The plain data of `Run.save`.

    Raises:
        ValueError: one is missing, or of another kind.
    """
    if type(about.get("seed")) is not int:
        raise ValueError("no whole number as its seed")
    for name, kind in (("classes", str), ("history", dict)):
        entries = about.get(name)
        if not isinstance(entries, list) or not all(isinstance(one, kind) for one in entries):
            raise ValueError(f"no list of {kind.__name__} as its {name}")


def _states(tensors: Mapping[str, Tensor], config: Config, classes: int) -> list[dict]:
    """From "iteration/stream/branch/name" keys back to ``[iteration][stream][branch][name]``.

    Raises:
        ValueError: the keys or shapes are not those of the config.
    """
    streams = sorted({key.split("/")[1] for key in tensors})
    iterations, branches = range(config.iterations + 1), ("base", "supp")[: config.branches]
    wanted = len(iterations) * len(streams) * len(branches) * len(PARAMETERS)
    if not wanted or len(tensors) != wanted:
        raise ValueError(f"{len(tensors)} weights; expected {wanted or 'some'}")
    return [
        {
            stream: {
                branch: _fitting(tensors, f"{iteration}/{stream}/{branch}", config, classes)
                for branch in branches
            }
            for stream in streams
        }
        for iteration in iterations
    ]


def _fitting(tensors: Mapping[str, Tensor], place: str, config: Config, classes: int) -> dict:
    """Parameters of one branch, see `model.Branches`."""
    state = {name: tensors[f"{place}/{name}"] for name in PARAMETERS}
    shapes = [tuple(p.shape) for p in state.values()]
    width, logits = shapes[0][1:2], num_logits(config, classes)
    hidden = (config.hidden,) if config.hidden else width
    expected = [(1, *width, *hidden), (1, 1, *hidden), (1, *hidden, logits), (1, 1, logits)]
    if shapes != expected:
        raise ValueError(f"the weights {place} have shapes {shapes}; expected {expected}")
    return state
