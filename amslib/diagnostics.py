"""Looks at a trained run from outside: its losses in time, its pseudo-labels against the truth.

Beside `evaluate` this is the only place that looks at segments; nothing of it enters training.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .config import Config
from .data.video import Video
from .losses import pseudo_labels
from .phases import TERMS
from .run import Run


class Quality(NamedTuple):
    """Of pseudo-labels, as shares in [0, 1]; nan where there is nothing to take a share of.

    Args:
        precision: of the positive snippets, those that lie in an action.
        recall: of the snippets of actions, those that are positive.
        core: recall on the cores of the actions, see `parts`.
        hard: recall on the rest of the actions.
        action: of all snippets, those of actions: the precision of labels drawn at random.
        positive: of all snippets, the positive ones: the recall of as many drawn at random.
    """

    precision: float
    recall: float
    core: float
    hard: float
    action: float
    positive: float


def parts(video: Video, label: str) -> dict[str, Tensor]:
    """Which snippets of a video show a class: those whose centre lies in one of its segments.

    Args:
        video: with features; from the generator it also knows the cores of its segments.
        label: name of the class.

    Returns:
        Flags (T,) "action" and, where the cores are known, its parts "core" and "hard".

    >>> video = Video("v", {"rgb": torch.zeros(4, 8)}, ("Dive",), ((0.9, 2.0, "Dive"),))
    >>> parts(video, "Dive")
    {'action': tensor([False,  True,  True, False])}
    """
    mine = [i for i, (_, _, name) in enumerate(video.segments) if name == label]
    action = _covered(video, [video.segments[i][:2] for i in mine])
    if "core" not in video.metadata:
        return {"action": action}
    core = action & _covered(video, [video.metadata["core"][i] for i in mine])
    return {"action": action, "core": core, "hard": action & ~core}


def _covered(video: Video, spans: Iterable[tuple[float, float]]) -> Tensor:
    """Snippets (T,) whose centre lies in one of the (start_s, end_s)."""
    centres = (torch.arange(video.num_snippets) + 0.5) * video.snippet_seconds
    inside = [(centres >= start) & (centres < end) for start, end in spans]
    return torch.stack([torch.zeros_like(centres, dtype=torch.bool), *inside]).any(0)


def pseudo_label_quality(
    run: Run, videos: Sequence[Video], iteration: int = -1
) -> dict[str, dict[str, Quality]]:
    """Eq. 8 after an iteration, against the segments that training never sees.

    The classes of each video are known, as in training; they also steer the sampler.

    Args:
        run: what was trained.
        videos: with features, labels and segments.
        iteration: 0 is phase zero, -1 the last.

    Returns:
        ``quality[stream][branch]``, every (video, class of the video, snippet) counting once.
    """
    rows: dict[str, dict[str, list[Tensor]]] = {}
    for video in videos:
        labels = torch.tensor([float(name in video.labels) for name in run.classes])
        for stream, branches in run.cas(video, iteration, labels).items():
            for branch, cas in branches.items():
                positive = pseudo_labels(cas, labels, run.config.threshold_factor).bool()
                for name in video.labels:
                    row = _flags(positive[:, run.classes.index(name)], parts(video, name))
                    rows.setdefault(stream, {}).setdefault(branch, []).append(row)
    return {
        stream: {branch: _quality(torch.cat(flags, -1)) for branch, flags in branches.items()}
        for stream, branches in rows.items()
    }


def _flags(positive: Tensor, part: dict[str, Tensor]) -> Tensor:
    """Positive, action, core and hard snippets, (4, T); no core and no hard one if not known."""
    unknown = torch.zeros_like(positive)
    names = ("core", "hard")
    return torch.stack([positive, part["action"], *(part.get(name, unknown) for name in names)])


def _quality(flags: Tensor) -> Quality:
    positive, action, core, hard = flags
    whole = torch.ones_like(positive)
    pairs = [(action, positive), (positive, action), (positive, core), (positive, hard)]
    return Quality(*(_share(a, b) for a, b in [*pairs, (action, whole), (positive, whole)]))


def _share(these: Tensor, of: Tensor) -> float:
    """How many of some snippets are also these; nan of none."""
    return float((these & of).sum().double() / of.sum())


def loss_curves(history: Iterable[dict], config: Config) -> dict[str, dict[str, Tensor]]:
    """The losses on one axis of epochs, on which phase zero of both branches runs side by side.

    Args:
        history: `Run.history`.
        config: of the run.

    Returns:
        ``curves[stream][branch]`` of shape (epochs, 3), terms in the order of `phases.TERMS`; nan
        in epochs in which the branch is frozen.
    """
    curves: dict[str, dict[str, Tensor]] = {}
    total = config.epochs_zero + 2 * config.epochs * config.iterations
    for row in history:
        branches = curves.setdefault(row["stream"], {})
        curve = branches.setdefault(row["branch"], torch.full((total, len(TERMS)), torch.nan))
        curve[_epoch(row, config)] = torch.tensor([row[term] for term in TERMS])
    return curves


def _epoch(row: dict, config: Config) -> int:
    """Of the whole run: the supplementary branch trains first in each iteration."""
    if row["iteration"] == 0:
        return row["epoch"]
    phase = 2 * (row["iteration"] - 1) + (row["branch"] == "base")
    return config.epochs_zero + config.epochs * phase + row["epoch"]
