"""Training: one config, or many side by side as one batched model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

from tqdm import tqdm

from .batches import Store
from .config import Config
from .data.video import Dataset
from .device import pick_device
from .phases import StreamTrainer
from .run import Run

# What members of one batched model may differ in: fields that phase zero does not use.
FREE = {
    *("branches", "sampler", "aggregation", "eta", "factor", "positions", "supervision"),
    *("threshold_factor", "threshold_scope", "location_axis", "localization_weight", "iterations"),
    *("test_classes", "beta", "class_threshold", "score"),
}
# What plays no part in training at all: configs that differ in these only are trained once.
AFTERWARDS = ("test_classes", "beta", "class_threshold", "score")


def train(
    dataset: Dataset,
    config: Config | Sequence[Config] = Config(),  # noqa: B008 (frozen)
    seed: int = 0,
    device: str = "auto",
    progress: bool = False,
) -> Run | list[Run]:
    """Train AMS, or any of its ablations, on the video-level labels of `dataset.train`.

    A list of configs is trained side by side as one batched model. All members see the same
    batches, crops, initial weights and dropout masks, and share phase zero: differences between
    them come from the configs alone, and none depends on which others ride along.

    Args:
        dataset: only features and labels of the training videos are used, never segments.
        config: one config gives a `Run`, a list of configs a list of runs in its order.
        seed: of everything random. Same seed and machine: bitwise the same result.
        device: "auto" (CUDA if there is one, else the CPU) or any torch device.
        progress: show a progress bar on standard error.

    Returns:
        The trained branches of every stream and iteration, with the history of the losses.

    Raises:
        ValueError: no training videos, or none with features.
        FloatingPointError: a loss is no longer finite.
    """
    configs = [config] if isinstance(config, Config) else list(config)
    if not dataset.train or not dataset.streams:
        raise ValueError(
            f"data set {dataset.name!r}: {len(dataset.train)} training videos with streams "
            f"{dataset.streams}; training needs at least one of each"
        )
    labels = dataset.labels(dataset.train)
    runs = [Run(c, dataset.classes, seed) for c in configs]
    twins = _twins(configs)
    trained = list(twins)
    groups = groups_of(trained)
    steps = sum(_steps([trained[i] for i in group]) for group in groups) * len(dataset.streams)
    with tqdm(total=steps, disable=not progress, unit="step") as bar:
        for stream in dataset.streams:
            store = Store(dataset.train, stream, labels, pick_device(device))
            for group in groups:
                trainer = StreamTrainer([trained[i] for i in group], store, stream, seed, bar)
                for iteration, (members, learners, losses) in enumerate(trainer.iterations()):
                    for row, member in enumerate(members):
                        states = {b: learners[b].model.state(row) for b in learners}
                        curves = {b: curve[row] for b, curve in losses.items()}
                        for i in twins[trained[group[member]]]:
                            if iteration <= configs[i].iterations:
                                runs[i].add(iteration, stream, states, curves)
    return runs[0] if isinstance(config, Config) else runs


def _twins(configs: Sequence[Config]) -> dict[Config, list[int]]:
    """Indices of configs that train alike, by the one that trains longest."""
    alike: dict[Config, list[int]] = {}
    for i, config in enumerate(configs):
        training = {name: getattr(Config(), name) for name in AFTERWARDS}
        alike.setdefault(replace(config, iterations=0, **training), []).append(i)
    return {
        configs[max(same, key=lambda i: configs[i].iterations)]: same for same in alike.values()
    }


def groups_of(configs: Sequence[Config]) -> list[list[int]]:
    """Indices of configs that can be members of one batched model."""
    bound = [f.name for f in fields(Config) if f.name not in FREE]
    groups: dict[tuple, list[int]] = {}
    for i, config in enumerate(configs):
        groups.setdefault(tuple(getattr(config, name) for name in bound), []).append(i)
    return list(groups.values())


def _steps(group: Sequence[Config]) -> int:
    """Optimiser steps on one stream, for the progress bar."""
    c, branches = group[0], max(config.branches for config in group)
    zero = branches if c.supp_init == "basic" else 1
    later = branches * max(config.iterations for config in group)
    return c.steps_per_epoch * (zero * c.epochs_zero + later * c.epochs)
