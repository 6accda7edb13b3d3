"""Training: one config, or many side by side as one batched model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path

import torch
from tqdm import tqdm

from .batches import Store, check_values
from .checkpoint import Checkpoint
from .config import Config
from .data.video import Dataset
from .device import own_settings, pick_device
from .inputs import require_distinct, require_streams
from .keeper import Done, Keeper
from .machine import keep_memory
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

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


@own_settings(gradients=True)
def train(
    dataset: Dataset,
    config: Config | Sequence[Config] = Config(),  # noqa: B008 (frozen)
    seed: int = 0,
    device: str = "auto",
    progress: bool = False,
    precision: str = "fp32",
    checkpoint: str | Path | None = None,
    checkpoint_seconds: float = 60.0,
) -> Run | list[Run]:
    """Train AMS, or any of its ablations, on the video-level labels of `dataset.train`.

    A list of configs is trained side by side as one batched model. All members see the same
    batches, crops, initial weights and dropout masks, and share phase zero: differences between
    them come from the configs alone; which others ride along changes last digits at most.

    Args:
        dataset: only features and labels of the training videos are used, never segments.
        config: one config gives a `Run`, a list of configs a list of runs in its order.
        seed: of everything random. Same seed, machine and number of threads: bitwise the same.
        device: "auto" (CUDA if there is one, else the CPU) or any torch device.
        progress: show a progress bar on standard error.
        precision: "fp32", or "bf16" for the features and the products of the two layers; sampler,
            losses, parameters and optimiser stay in float32.
        checkpoint: a folder to save in where training stands, now and then and when it is told to
            stop (Ctrl-C, SIGTERM). The same call goes on from there, and ends bitwise equal to one
            never interrupted; once training has ended, it returns the same run at once. The files
            stay until they are deleted.
        checkpoint_seconds: between two checkpoints.

    Returns:
        The trained branches of every stream and iteration, with the history of the losses.

    Raises:
        ValueError: no training videos, or none with features; videos in memory whose features or
            labels cannot be used, see `Store`; a video given twice; unknown precision; a device
            that is not there; a checkpoint that is damaged or of other work.
        FloatingPointError: a loss is no longer finite; names the step, the term and the videos.
        StoppedError: training was told to stop, and saved where it stands.
    """
    configs = [config] if isinstance(config, Config) else list(config)
    if not dataset.train or not dataset.streams:
        raise ValueError(
            f"data set {dataset.name!r}: {len(dataset.train)} training videos with streams "
            f"{dataset.streams}; training needs at least one of each"
        )
    if precision not in PRECISIONS:
        raise ValueError(
            f"precision={precision!r}; expected one of {', '.join(map(repr, PRECISIONS))}"
        )
    keep_memory()
    target = pick_device(device)
    twins = _twins(configs)
    trained = list(twins)
    groups = groups_of(trained)
    kept = None
    if checkpoint is not None:
        kept = Checkpoint(checkpoint, _work(dataset, trained, seed, target, precision))
    steps = sum(_steps([trained[i] for i in group]) for group in groups) * len(dataset.streams)
    labels = dataset.labels(dataset.train)
    _check_streams(dataset)
    with (
        Keeper(kept, checkpoint_seconds) as keeper,
        tqdm(total=steps, initial=keeper.steps, disable=not progress, unit="step") as bar,
    ):

        def after_step(trainer: StreamTrainer) -> None:
            bar.update()
            keeper.after_step(trainer)

        for stream in dataset.streams:
            if all(keeper.finished(stream, number) for number in range(len(groups))):
                continue
            store = Store(dataset.train, stream, labels, target, PRECISIONS[precision])
            for number, group in enumerate(groups):
                if keeper.finished(stream, number):
                    continue
                members = [trained[i] for i in group]
                trainer = StreamTrainer(members, store, stream, seed, after_step)
                keeper.begin(stream, number, trainer)
                for iteration in trainer.iterations():
                    keeper.done.append(_done(stream, number, iteration, trainer))
        done = keeper.done
    runs = [Run(c, dataset.classes, seed) for c in configs]
    for one in done:
        for row, member in enumerate(one.members):
            states = {b: {n: p[row : row + 1] for n, p in s.items()} for b, s in one.states.items()}
            order = sorted(one.losses, reverse=one.iteration > 0)  # as they trained
            curves = {branch: one.losses[branch][row] for branch in order}
            for i in twins[trained[groups[one.group][member]]]:
                if one.iteration <= configs[i].iterations:
                    runs[i].add(one.iteration, one.stream, states, curves)
    return runs[0] if isinstance(config, Config) else runs


def _check_streams(dataset: Dataset) -> None:
    """Refuse the features of any stream before the first is trained on."""
    require_distinct(dataset.train)
    require_streams(dataset.train, dataset.streams)
    for video in dataset.train:
        more = sorted(set(video.features) - set(dataset.streams))
        if more:
            raise ValueError(
                f"video {video.id}: {more[0]} features, which {dataset.train[0].id} lacks; give "
                "all training videos the same streams"
            )
    for stream in dataset.streams[1:]:  # a store looks at its own, and that of the first is next
        check_values(dataset.train, stream)


def _done(stream: str, group: int, iteration: int, trainer: StreamTrainer) -> Done:
    states = {
        branch: {name: p.cpu() for name, p in learner.model.state().items()}
        for branch, learner in trainer.learners.items()
    }
    return Done(stream, group, iteration, list(trainer.members), states, dict(trainer.losses))


def _work(
    dataset: Dataset, configs: Sequence[Config], seed: int, device: torch.device, precision: str
) -> dict:
    """What tells one training from another."""
    return {
        "configs": [asdict(config) for config in configs],
        "seed": seed,
        "dataset": [dataset.name, dataset.identity],
        "device": device.type,
        "precision": precision,
    }


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
