"""Looks at a trained run from outside: its losses in time, its pseudo-labels against the truth.

Beside `evaluate` this is the only place that looks at segments; nothing of it enters training.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .config import Config
from .data.video import Video, label_flags
from .device import own_settings
from .inference import fuse
from .inputs import require_times
from .losses import location_threshold
from .phases import TERMS
from .run import Run


class Quality(NamedTuple):
    """Of snippets marked as action, as shares in [0, 1]; nan where there is nothing to share.

    Args:
        precision: of the positive snippets, those that lie in an action.
        recall: of the snippets of actions, those that are positive.
        core: recall on the cores of the actions, see `parts`.
        hard: recall on the rest of the actions.
        context: of the snippets that show the habitual context of the class, the positive ones.
        complete: how much of an action is positive, mean over actions.
        action: of all snippets, those of actions: the precision of labels drawn at random.
        positive: of all snippets, the positive ones: the recall of as many drawn at random.
    """

    precision: float
    recall: float
    core: float
    hard: float
    context: float
    complete: float
    action: float
    positive: float


def parts(video: Video, label: str) -> dict[str, Tensor]:
    """Which snippets of a video show a class: those whose centre lies in one of its segments.

    Args:
        video: with features; from the generator it also knows the cores of its segments and
            where it shows the context of a class.
        label: name of the class.

    Returns:
        Flags (T,) "action" and, where the cores are known, its parts "core" and "hard", and
        "context", the snippets of the class's context.

    >>> video = Video("v", {"rgb": torch.zeros(4, 8)}, ("Dive",), ((0.9, 2.0, "Dive"),))
    >>> parts(video, "Dive")
    {'action': tensor([False,  True,  True, False])}
    """
    mine = [i for i, (_, _, name) in enumerate(video.segments) if name == label]
    action = _inside(video, [video.segments[i][:2] for i in mine]).any(0)
    if "core" not in video.metadata:
        return {"action": action}
    core = action & _inside(video, [video.metadata["core"][i] for i in mine]).any(0)
    found = {"action": action, "core": core, "hard": action & ~core}
    if "context" in video.metadata:
        spans = [span[:2] for span in video.metadata["context"] if span[2] == label]
        any_action = _inside(video, [span[:2] for span in video.segments]).any(0)
        found["context"] = _inside(video, spans).any(0) & ~any_action
    return found


def _inside(video: Video, spans: Sequence[tuple[float, float]]) -> Tensor:
    """Snippets whose centre lies in each (start_s, end_s): (S, T)."""
    # in NumPy, which is several times faster on so few numbers
    centres = np.arange(video.num_snippets, dtype=np.float32) + np.float32(0.5)
    centres = centres * np.float32(video.snippet_seconds) + np.float32(video.offset_seconds)
    start, end = np.array(spans, np.float32).reshape(-1, 2, 1).swapaxes(0, 1)
    return torch.from_numpy((centres >= start) & (centres < end))


@own_settings()
def pseudo_label_quality(
    run: Run, videos: Sequence[Video], iteration: int = -1, device: str = "auto"
) -> dict[str, dict[str, Quality]]:
    """Eq. 8 after an iteration, against the segments that training never sees.

    The classes of each video are known, as in training; they also steer the sampler.

    Args:
        run: what was trained.
        videos: with features, labels and segments.
        iteration: 0 is phase zero, -1 the last.
        device: "auto" or a torch device.

    Returns:
        ``quality[stream][branch]``, every (video, class of the video, snippet) counting once.
    """
    tallies: dict[str, dict[str, _Tally]] = {}
    for video, cas in run.all_cas(videos, iteration, known=True, device=device):
        truth = _truths(run, video)
        for stream, branches in cas.items():
            for branch, values in branches.items():
                tally = tallies.setdefault(stream, {}).setdefault(branch, _Tally())
                _count(tally, values, truth, run.config)
    return {
        stream: {branch: tally.quality() for branch, tally in branches.items()}
        for stream, branches in tallies.items()
    }


@own_settings()
def detection_quality(
    run: Run, videos: Sequence[Video], iteration: int = -1, device: str = "auto"
) -> Quality:
    """The fused CAS above theta_loc, as it is cut into detections, for the videos' true classes.

    The sampler is steered as at test time. Arguments are those of `pseudo_label_quality`.
    """
    looked = run.all_cas(videos, iteration, device=device)
    return fused_quality(run, ((video, fuse(cas, run.config.beta)) for video, cas in looked))


@own_settings()
def fused_quality(run: Run, fused: Iterable[tuple[Video, Tensor]]) -> Quality:
    """`detection_quality` of videos, each with its fused CAS (T, C)."""
    tally = _Tally()
    for video, cas in fused:
        _count(tally, cas, _truths(run, video), run.config)
    return tally.quality()


def _count(tally: _Tally, cas: Tensor, truth: Sequence[tuple[int, _Truth]], config: Config) -> None:
    threshold = location_threshold(cas, config.threshold_factor, scope=config.threshold_scope)
    positive = (cas > threshold).float()
    for k, true in truth:
        tally.add(positive[:, k], true)


def _truths(run: Run, video: Video) -> list[tuple[int, _Truth]]:
    """What is known about each class of a video, by its index; a label named twice counts once."""
    label_flags([video], run.classes)  # refuses labels that are no class
    require_times(video.id, video.snippet_seconds, video.duration, video.offset_seconds)
    names = dict.fromkeys(video.labels)
    return [(run.classes.index(name), _Truth(video, name)) for name in names]


class _Truth:
    """What is known about one class in one video: flags (5, T) and its S instances (S, T)."""

    def __init__(self, video: Video, label: str):
        part = parts(video, label)
        unknown = torch.zeros_like(part["action"])
        names = ("action", "core", "hard", "context")
        whole = torch.ones_like(unknown)
        flags = torch.stack([*(part.get(name, unknown) for name in names), whole])
        spans = [s[:2] for s in video.segments if s[2] == label]
        instances = _inside(video, spans)
        self.flags = flags.float()
        self.instances = instances[instances.any(1)].float()


class _Tally:
    """Counts behind a `Quality`: positive and all snippets of each part, coverage of instances."""

    def __init__(self):
        self.positive = self.all = torch.zeros(5, dtype=torch.float64, device="cpu")
        self.covered = self.instances = 0.0

    def add(self, positive: Tensor, true: _Truth) -> None:
        """Count the snippets (T,) marked 1 of one class in one video."""
        self.positive = self.positive + true.flags @ positive
        self.all = self.all + true.flags.sum(1)
        self.covered += float((true.instances @ positive / true.instances.sum(1)).sum())
        self.instances += len(true.instances)

    def quality(self) -> Quality:
        """The shares."""
        action, core, hard, context, whole = (self.positive / self.all).tolist()
        precision = float(self.positive[0] / self.positive[4])
        complete = self.covered / self.instances if self.instances else float("nan")
        share = float(self.all[0] / self.all[4])
        return Quality(precision, action, core, hard, context, complete, share, whole)


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
    total = config.epochs_zero + config.branches * config.epochs * config.iterations
    for row in history:
        branches = curves.setdefault(row["stream"], {})
        curve = branches.setdefault(row["branch"], _no_losses(total))
        curve[_epoch(row, config)] = torch.tensor(
            [row[term] for term in TERMS], dtype=torch.float32, device="cpu"
        )
    return curves


def _no_losses(epochs: int) -> Tensor:
    return torch.full((epochs, len(TERMS)), torch.nan, dtype=torch.float32, device="cpu")


def _epoch(row: dict, config: Config) -> int:
    """Of the whole run."""
    if row["iteration"] == 0:
        return row["epoch"]
    order = ("supp", "base")[-config.branches :]
    phase = config.branches * (row["iteration"] - 1) + order.index(row["branch"])
    return config.epochs_zero + config.epochs * phase + row["epoch"]
