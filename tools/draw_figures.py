"""Draw the pictures of the book's pages and of the README into `book/_static`.

Usage: python tools/draw_figures.py [NAME ...]    (all: about two minutes, for a training run)

The curves come from the library: one AMS iteration on the flow stream of the default data, and one
test video of it. Nothing is drawn by hand but boxes and arrows.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import numpy as np
import torch
from diagrams import DIM, WIDTH, frameworks, pipeline
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Polygon

from amslib import (
    Config,
    Dataset,
    Video,
    aggregate,
    load,
    pseudo_labels,
    sample_positions,
    sampling_weights,
    train,
)
from amslib.plots import BLUE, GREEN, INK, ORANGE, VERMILLION

STATIC = Path(__file__).parents[1] / "book" / "_static"
SHOWN = "synthetic_test_0198"  # short, three instances
HARD = "#f7dfae"
PAGE = {
    "font.size": 10,
    "svg.hashsalt": "ams",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",
    "lines.linewidth": 1.8,
}


def shown(dataset: Dataset) -> Video:
    """The test video in the pictures."""
    return next(v for v in dataset.test if v.id == SHOWN)


def spans(video: Video) -> dict[str, list[tuple[float, float]]]:
    """Instances and their cores, in snippets, snippet t from t - 1/2 to t + 1/2."""
    seconds = {"hard": [(s, e) for s, e, _ in video.segments], "core": video.metadata["core"]}
    step = video.snippet_seconds
    return {k: [(s / step - 0.5, e / step - 0.5) for s, e in v] for k, v in seconds.items()}


def shade(ax: Axes, video: Video) -> None:
    """Instances behind a curve, the core darker."""
    for part, color in (("hard", HARD), ("core", ORANGE)):
        for start, end in spans(video)[part]:
            ax.axvspan(start, end, color=color, linewidth=0, zorder=0)


def ten_seconds() -> Figure:
    """The paper in ten seconds: base CAS, weights, the video at another speed, the other CAS."""
    dataset = load("synthetic").only("flow")  # the picture needs one stream
    video, config = shown(dataset), Config(iterations=1)
    labels = torch.from_numpy(dataset.labels([video])[0])
    run = train(dataset, config, seed=0, device="cpu")
    before = run.cas(video, 0, labels, device="cpu")["flow"]["base"]
    after = run.cas(video, 1, labels, device="cpu")["flow"]["supp"]
    weights = sampling_weights(aggregate(before, labels), config.eta)
    positions = sample_positions(weights, config.factor)

    fig = plt.figure(figsize=(WIDTH, 6.1))
    grid = dict(left=0.1, right=0.87, top=0.9, bottom=0.05, hspace=0.62)
    axes = fig.subplots(4, 1, gridspec_kw=dict(height_ratios=(1, 0.8, 1, 1), **grid))
    titles = (
        "1  The base branch sees the core of an action",
        "2  Sampling weights: the opposite",
        "3  The video is slowed down where it sees little",
        "4  The supplementary branch, fed with that, sees more",
    )
    for ax, title in zip(axes, titles, strict=True):
        ax.set_title(title, loc="left", fontsize=10.5, pad=5)
        ax.set(xlim=(-0.5, video.num_snippets - 0.5), xticks=[])
    k = dataset.classes.index(video.labels[0])
    for ax, cas, color in ((axes[0], before, BLUE), (axes[3], after, GREEN)):
        shade(ax, video)
        ax.plot(cas[:, k], color=color)
        ax.set(ylim=(0, 1.05), yticks=[0, 1], ylabel="CAS")
        _taught(ax, pseudo_labels(cas, labels)[:, k], color)
    shade(axes[1], video)
    axes[1].plot(weights, color=VERMILLION)
    axes[1].set(ylim=(0, None), ylabel="weight")
    _film(axes[2], video, positions)
    axes[3].set_xlabel("time", labelpad=12)
    _lessons(fig, axes[0], axes[3])
    return fig


def _taught(ax: Axes, labels: torch.Tensor, color: str) -> None:
    """The pseudo-labels as bars below the axis."""
    for t in torch.nonzero(labels)[:, 0].tolist():
        ax.axvspan(t - 0.5, t + 0.5, -0.13, -0.03, color=color, linewidth=0, clip_on=False)


def _film(ax: Axes, video: Video, positions: torch.Tensor) -> None:
    """The video as it is (above) and as it is read (below), joined where phases begin and end."""
    read = np.arange(len(positions))
    for part, color in (("hard", HARD), ("core", ORANGE)):
        for start, end in spans(video)[part]:
            first, last = np.interp([start, end], positions, read)
            for y in ((0.72, 1), (0, 0.28)):
                x = (start, end) if y[1] == 1 else (first, last)
                ax.fill_between(x, *y, color=color, linewidth=0)
            joined = [(start, 0.72), (end, 0.72), (last, 0.28), (first, 0.28)]
            ax.add_patch(Polygon(joined, color=color, alpha=0.45, linewidth=0))
    for y, times in ((0.72, read), (0, read)):
        ax.vlines(times - 0.5, y, y + 0.28, color=INK, linewidth=0.25)
        ax.hlines((y, y + 0.28), -0.5, len(read) - 0.5, color=INK, linewidth=0.8)
    ax.set(ylim=(-0.02, 1.02), yticks=[0.86, 0.14], yticklabels=["film", "read"])
    ax.tick_params(left=False)
    ax.spines[:].set_visible(False)


def _lessons(fig: Figure, above: Axes, below: Axes) -> None:
    """5: each branch teaches the other. And the key to the colours."""
    high, low = (ax.get_position().y0 for ax in (above, below))
    style = dict(mutation_scale=14, color=VERMILLION, linewidth=1.5, linestyle="--")
    for x, arrow in ((0.895, "-|>"), (0.925, "<|-")):
        ends = (x, high), (x, low)
        fig.add_artist(FancyArrowPatch(*ends, arrowstyle=arrow, **style))
    fig.text(0.965, (high + low) / 2, "5  Each teaches the other", rotation=270, va="center")
    fig.text(0.1, 0.965, "an action:", fontsize=9.5, va="center")
    for x, color, text in ((0.26, ORANGE, "core"), (0.39, HARD, "hard phases")):
        fig.add_artist(plt.Rectangle((x, 0.955), 0.03, 0.02, color=color))
        fig.text(x + 0.04, 0.965, text, fontsize=9.5, va="center")
    fig.text(0.64, 0.965, "bars: pseudo-labels", fontsize=9.5, va="center", color=DIM)


def world() -> Figure:
    """What each stream of one generated video shows of its class."""
    dataset = load("synthetic")
    video = shown(dataset)
    fig, axes = plt.subplots(2, 1, figsize=(WIDTH, 3.4), sharex=True, layout="constrained")
    for ax, stream, color in zip(axes, dataset.streams, (BLUE, GREEN), strict=True):
        shade(ax, video)
        ax.plot(likeness(dataset, video, stream), color=color)
        ax.axhline(0, color=DIM, linewidth=0.6)
        ax.set(ylabel=f"{stream}: cosine", ylim=(-0.6, 1))
    axes[-1].set(xlabel="time (snippets)", xlim=(-0.5, video.num_snippets - 0.5))
    return fig


def likeness(dataset: Dataset, video: Video, stream: str) -> np.ndarray:
    """Cosine of each snippet (T,) with the mean core of its class in the training videos, both
    measured from the mean of all training snippets.
    """
    mean = np.mean([v.features[stream].mean(0) for v in dataset.train], 0)
    label = video.labels[0]
    core = [
        v.features[stream][round(s / v.snippet_seconds) : round(e / v.snippet_seconds)]
        for v in dataset.train
        for (_, _, name), (s, e) in zip(v.segments, v.metadata["core"], strict=True)
        if name == label
    ]
    direction = np.concatenate(core).mean(0) - mean
    x = video.features[stream] - mean
    return x @ direction / np.linalg.norm(x, axis=1) / np.linalg.norm(direction)


FIGURES = {
    "ten-seconds": ten_seconds,
    "frameworks": frameworks,
    "pipeline": pipeline,
    "world": world,
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    matplotlib.use("svg")
    matplotlib.rcParams.update(PAGE)
    for name in sys.argv[1:] or FIGURES:
        FIGURES[name]().savefig(STATIC / f"{name}.svg", metadata={"Date": None})
