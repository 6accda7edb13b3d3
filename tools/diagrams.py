"""Boxes and arrows: the frameworks and the pipeline of the paper's Figs 1 and 2, drawn anew.

Coordinates are inches, the origin bottom left.
"""

from __future__ import annotations

from collections.abc import Iterable

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from amslib.plots import BLUE, GREEN, INK, VERMILLION

WIDTH = 5.4  # narrow enough to be read on a phone
DIM = "#666666"
FILL = {BLUE: "#e5f0f8", GREEN: "#e3f4ee", VERMILLION: "#fbeadf", INK: "#f4f4f4"}
HEIGHT = 0.46  # of a box


def canvas(height: float) -> Axes:
    """An empty sheet."""
    fig = plt.figure(figsize=(WIDTH, height), facecolor="white")
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, WIDTH), ylim=(0, height))
    ax.axis("off")
    return ax


def box(
    ax: Axes, x: float, y: float, text: str, color: str = INK, width=0.95, height=HEIGHT
) -> None:
    """A labelled box centred at (x, y)."""
    corner = (x - width / 2, y - height / 2)
    style = "round,pad=0,rounding_size=0.07"
    ax.add_patch(
        FancyBboxPatch(corner, width, height, style, facecolor=FILL[color], edgecolor=color)
    )
    ax.text(x, y, text, ha="center", va="center", fontsize=10, color=INK, linespacing=1.15)


def arrow(ax: Axes, *points: tuple[float, float], color: str = INK, dashed: bool = False) -> None:
    """An arrow along straight lines through the points."""
    *path, last = points
    line = "--" if dashed else "-"
    if len(path) > 1:
        ax.plot(*zip(*path, strict=True), color=color, linestyle=line, linewidth=1.5)
    head = dict(arrowstyle="-|>", mutation_scale=13, shrinkA=0, shrinkB=0)
    patch = FancyArrowPatch(path[-1], last, color=color, linestyle=line, linewidth=1.5, **head)
    ax.add_patch(patch)


def note(ax: Axes, x: float, y: float, text: str, color: str = INK, ha="center") -> None:
    """Text without a box."""
    ax.text(x, y, text, ha=ha, va="center", fontsize=9.5, color=color, linespacing=1.15)


def _row(ax: Axes, y: float, cells: Iterable[tuple[float, str, str]]) -> None:
    """Boxes at one height, each fed by the one before."""
    cells = list(cells)
    for x, text, color in cells:
        box(ax, x, y, text, color)
    for (left, *_), (right, *_) in zip(cells, cells[1:], strict=False):
        arrow(ax, (left + 0.48, y), (right - 0.48, y))


def frameworks() -> Figure:
    """Fig. 1: what each kind of method learns from."""
    ax = canvas(6.0)
    xs = (0.6, 1.98, 3.36, 4.74)
    names = ("video", "classifier", "CAS", "proposals")
    for title, y in (("(a) classification-based", 5.45), ("(b) self-training", 3.85)):
        note(ax, 0.12, y + 0.45, title, ha="left")
        _row(ax, y, [(x, name, INK) for x, name in zip(xs, names, strict=True)])
        arrow(ax, (xs[1], y - 0.54), (xs[1], y - 0.23), color=DIM)
        note(ax, xs[1], y - 0.65, "video labels", DIM)
    arrow(ax, (xs[2], 4.08), (xs[2], 4.25), (xs[1], 4.25), (xs[1], 4.08), dashed=True)
    note(ax, (xs[1] + xs[2]) / 2, 4.37, "its own pseudo-labels")
    note(ax, 0.12, 2.8, "(c) adaptive mutual supervision", ha="left")
    _mutual(ax, xs, base=2.35, supp=0.75)
    return ax.figure


def _mutual(ax: Axes, xs: tuple, base: float, supp: float) -> None:
    low, high = base - HEIGHT / 2, supp + HEIGHT / 2
    first = [(xs[0], "video", INK), (xs[1], "base\nbranch", BLUE), (xs[2], "base\nCAS", BLUE)]
    _row(ax, base, [*first, (xs[3], "proposals", INK)])
    second = [(xs[1], "suppl.\nbranch", GREEN), (xs[2], "suppl.\nCAS", GREEN)]
    _row(ax, supp, [(xs[0], "adaptive\nsampler", VERMILLION), *second])
    arrow(ax, (xs[0] - 0.2, low), (xs[0] - 0.2, high))
    arrow(ax, (xs[2] + 0.48, supp), (xs[3] + 0.3, supp), (xs[3] + 0.3, low))
    # the base CAS steers the sampler
    x, y = xs[0] + 0.2, base - 0.5
    arrow(ax, (xs[2] - 0.3, low), (xs[2] - 0.3, y), (x, y), (x, high), color=VERMILLION)
    # each CAS teaches the other branch
    x, y, dashed = xs[2] + 0.15, base - 0.72, dict(color=VERMILLION, dashed=True)
    arrow(ax, (x, low), (x, y), (xs[1] + 0.15, y), (xs[1] + 0.15, high), **dashed)
    arrow(ax, (x, high), (x, y - 0.25), (xs[1] - 0.15, y - 0.25), (xs[1] - 0.15, low), **dashed)
    note(ax, x + 0.12, y - 0.13, "mutual\npseudo-labels", VERMILLION, ha="left")
    arrow(ax, (xs[1], 0.24), (xs[1], supp - 0.23), color=DIM)
    note(ax, xs[1], 0.13, "video labels, for both branches", DIM)


def pipeline() -> Figure:
    """Fig. 2 with the numbers of the equations: one stream, one iteration."""
    ax = canvas(7.3)
    left, right, wide = 1.35, 4.05, 1.9
    columns = {
        left: [
            (6.95, "features $F_{orig}$\n$T \\times D$", INK),
            (5.5, "base branch\nEq. 1", BLUE),
            (4.2, "CAS $M_{base}$", BLUE),
            (2.6, "loss of base branch\nEqs 9–11", BLUE),
        ],
        right: [
            (5.05, "suppl. branch\nEq. 3", GREEN),
            (4.2, "alignment, Eq. 7\nCAS $M_{supp}$", GREEN),
            (2.6, "loss of suppl. branch\nEqs 9–11", GREEN),
        ],
    }
    for x, boxes in columns.items():
        for y, text, color in boxes:
            box(ax, x, y, text, color, wide)
        for (above, *_), (below, *_) in zip(boxes, boxes[1:], strict=False):
            arrow(ax, (x, above - 0.23), (x, below + 0.23))
    steps = "adaptive sampler, Eq. 2\nweights $w$, Eq. 4\ntimes $K$, Eq. 5\nfeatures, Eq. 6"
    box(ax, right, 6.63, steps, VERMILLION, wide, 1.1)
    arrow(ax, (left + 0.95, 6.95), (right - 0.95, 6.95))
    arrow(ax, (right, 6.08), (right, 5.28))
    arrow(ax, (left + 0.95, 4.3), (2.7, 4.3), (2.7, 6.35), (right - 0.95, 6.35), color=VERMILLION)
    # pseudo-labels cross over
    dashed = dict(color=VERMILLION, dashed=True)
    arrow(
        ax,
        (left + 0.6, 3.97),
        (left + 0.6, 3.62),
        (right - 0.6, 3.2),
        (right - 0.6, 2.83),
        **dashed,
    )
    arrow(
        ax,
        (right - 0.6, 3.97),
        (right - 0.6, 3.62),
        (left + 0.6, 3.2),
        (left + 0.6, 2.83),
        **dashed,
    )
    note(ax, 2.7, 3.72, "pseudo-labels, Eq. 8", VERMILLION)
    # both streams and branches meet at test time
    box(ax, 2.7, 1.45, "fusion of branches and\nstreams $M_{final}$, Eq. 12", INK, 2.2)
    box(ax, 2.7, 0.45, "proposals $(s, e, c, p)$\nSec. III-E", INK, 2.2)
    arrow(ax, (left - 0.95, 4.2), (0.2, 4.2), (0.2, 1.45), (1.58, 1.45), color=DIM)
    arrow(ax, (right + 0.95, 4.2), (5.2, 4.2), (5.2, 1.45), (3.82, 1.45), color=DIM)
    arrow(ax, (2.7, 1.22), (2.7, 0.68), color=DIM)
    note(ax, 2.7, 2.07, "video labels $y$", DIM)
    for x, corner in ((2.12, left + 0.4), (3.28, right - 0.4)):
        arrow(ax, (x, 2.07), (corner, 2.07), (corner, 2.37), color=DIM)
    note(ax, 0.9, 1.1, "at test time", DIM)
    return ax.figure
