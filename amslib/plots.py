"""House style of the book's figures, and the drawings its chapters share.

`figure` starts a figure and every other function draws what it is given on an Axes; none of them
computes a result, but for the intervals of `trend`. The horizontal axis is time in snippets,
snippet t centred at t, except in `trend`, `effects`, `verdicts` and `schedule`. Only this module
imports matplotlib and seaborn.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle

from torch import Tensor

from .statistics import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED, Estimate, estimate

INLINE = "module://matplotlib_inline.backend_inline"


@contextmanager
def _quietly(name: str) -> Iterator[None]:
    """Keep a library's log below errors to itself."""
    log = logging.getLogger(name)
    level = log.level
    log.setLevel(logging.ERROR)
    yield
    log.setLevel(level)


def _in_a_page() -> bool:
    """Whether this is a Jupyter kernel in which nothing has chosen a backend yet."""
    ipython = sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    return hasattr(shell, "kernel") and "matplotlib.pyplot" not in sys.modules


# Where its folder cannot be written, Matplotlib makes a temporary one, with a font cache to fill,
# and says so on stderr, which would become part of a page.
with _quietly("matplotlib"):
    if _in_a_page():  # any other backend, which MPLBACKEND may ask for, loses the figures of a page
        os.environ["MPLBACKEND"] = INLINE
        import matplotlib

        matplotlib.use(INLINE)  # where something has imported it before
    import matplotlib.pyplot as plt
    import seaborn
    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection

# Okabe and Ito's colours, told apart by every kind of colour vision, darkest contrast first
BLUE, VERMILLION, GREEN, PURPLE, ORANGE = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"
PALETTE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE)
DASHES = ("-", "--", "-.", ":", (0, (6, 2, 1, 2, 1, 2)))  # a second cue beside colour
GREY, INK = "#8c8c8c", "#222222"
BAND, CORE = "#f7ebd6", "#ecd3a3"  # ground truth, behind everything, and its cores
WIDTH = 6.0  # inches; narrow, so that labels stay readable on a phone

Spans = Sequence[tuple[float, float]]  # stretches of time

STYLE = {
    "figure.dpi": 100,
    "figure.facecolor": "white",  # opaque: the pages have a dark mode
    "axes.facecolor": "white",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelsize": 12,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}


def figure(*heights: float) -> list[Axes]:
    """Start a figure of stacked panels with one time axis, in the house style.

    Args:
        *heights: of the panels in inches, top to bottom; one of 2.6 if none is given.

    Returns:
        One Axes a panel.
    """
    heights = heights or (2.6,)
    seaborn.set_theme(style="ticks", palette=PALETTE, rc=STYLE)
    _, axes = plt.subplots(
        len(heights),
        figsize=(WIDTH, sum(heights)),
        sharex=True,
        squeeze=False,
        height_ratios=heights,
        layout="constrained",
    )
    return list(axes[:, 0])


def segments(ax: Axes, spans: Iterable[tuple[float, float]], label: str | None = None) -> None:
    """Shade (start, end) stretches of the time axis, in snippets; `label` names them once."""
    for i, (start, end) in enumerate(spans):
        ax.axvspan(start, end, color=BAND, linewidth=0, zorder=0, label=None if i else label)


def curves(ax: Axes, named: Mapping[str, Tensor], x: Tensor | None = None) -> None:
    """Lines over time, each with its own colour and dashes.

    Args:
        ax: where to draw.
        named: label and values (T,) of each line, five at most.
        x: times (T,) of the values; None: the snippets 0, 1, .., T - 1.
    """
    for (label, values), color, dash in zip(named.items(), PALETTE, DASHES, strict=False):
        at = range(len(values)) if x is None else x
        ax.plot(at, values, label=label, color=color, linestyle=dash)


def dots(ax: Axes, x: Tensor, values: Tensor, label: str | None = None) -> None:
    """Single values (T,) at the times (T,) where they were read."""
    ax.plot(x, values, "o", color=INK, markersize=3, label=label)


def mapping(ax: Axes, edges: Tensor, g: Tensor, positions: Tensor) -> None:
    """Inverse transform sampling: the curve G and each sample's way to it and down to its time.

    Args:
        ax: where to draw; its lower limits become the ends of the ways.
        edges: times of G's values, shape (N,).
        g: G there, rising from 0 to 1, shape (N,).
        positions: sampled times, shape (T,); sample j comes from the height (j + 1/2) / T.
    """
    heights = [(j + 0.5) / len(positions) for j in range(len(positions))]
    left = float(edges[0])
    ax.hlines(heights, left, positions, color=GREY, linewidth=0.6)
    ax.vlines(positions, 0, heights, color=BLUE, linewidth=0.9)
    ax.plot(edges, g, color=INK)
    ax.set_xlim(left, float(edges[-1]))
    ax.set_ylim(0, 1)


def warp(ax: Axes, positions: Tensor) -> None:
    """Join each evenly spaced sample (above) with the time where it is read (below).

    Args:
        ax: where to draw; its vertical axis gets the two rows.
        positions: sampled times, shape (T,).
    """
    for j, position in enumerate(positions.tolist()):
        ax.plot([j, position], [1, 0], color=GREY, linewidth=0.7)
    ax.plot(range(len(positions)), [1] * len(positions), "|", color=GREY, markersize=9)
    ax.plot(positions, [0] * len(positions), "|", color=BLUE, markersize=9, markeredgewidth=1.5)
    ax.set_ylim(-0.2, 1.2)
    ax.set_yticks([1, 0], ["original", "sampled"])


def cores(ax: Axes, spans: Iterable[tuple[float, float]], label: str | None = None) -> None:
    """Shade (start, end) stretches darker than `segments` does; draw them after those."""
    for i, (start, end) in enumerate(spans):
        ax.axvspan(start, end, color=CORE, linewidth=0, zorder=0.1, label=None if i else label)


def bars(ax: Axes, rows: Mapping[str, Iterable[tuple[float, float]]]) -> None:
    """Stretches of time as bars, one row a name, the first on top.

    Args:
        ax: where to draw; its vertical axis gets the names.
        rows: name and (start, end) stretches of each row.
    """
    for i, (spans, color) in enumerate(zip(rows.values(), cycle(PALETTE), strict=False)):
        widths = [(start, end - start) for start, end in spans]
        ax.broken_barh(widths, (-i - 0.35, 0.7), facecolor=color, linewidth=0)
    ax.set_ylim(0.5 - len(rows), 0.5)
    ax.set_yticks([-i for i in range(len(rows))], list(rows))


def nine_panels(
    reads: Mapping[str, Tensor],
    cas: Mapping[str, Tensor],
    levels: Mapping[str, float],
    found: Mapping[str, tuple[Spans, Spans]],
    truth: Spans,
    core: Spans = (),
) -> list[Axes]:
    """The paper's Fig. 6: what each branch reads, its CAS, what it finds; at the end the truth.

    Args:
        reads: times (T,) that a branch reads, every n-th drawn, n = T / 100 or 1;
            a name of `cas` that is missing here, such as the fused one, gets no such panel.
        cas: values (T,) by name; three of them, two of which read, make the nine panels.
        levels: threshold of each, drawn as a dotted line.
        found: (start, end) stretches of each in snippets: the right ones, drawn tall, and the
            false ones, drawn low.
        truth: stretches of the actions.
        core: stretches of their cores.

    Returns:
        One Axes a panel, top to bottom.
    """
    heights = [h for name in cas for h in ([0.45] * (name in reads) + [1.0, 0.5])]
    axes = figure(*heights, 0.75)
    rest = iter(axes)
    for (name, values), color in zip(cas.items(), PALETTE, strict=False):
        if name in reads:
            ax = next(rest)
            shown = reads[name][:: max(1, round(len(values) / 100))]
            ax.vlines(shown, 0, 1, color=color, linewidth=0.9)
            ax.set_yticks([0.5], ["reads"])
        ax = next(rest)
        ax.plot(range(len(values)), values, color=color, drawstyle="steps-mid", linewidth=1.4)
        ax.axhline(levels[name], color=INK, linestyle=":", linewidth=1.2)
        ax.set(ylabel=name, ylim=(0, None))
        ax = next(rest)
        for spans, height, strength in zip(found[name], (0.9, 0.4), (1.0, 0.5), strict=True):
            _stretches(ax, spans, height, color, strength)
        ax.set(ylim=(0, 1), yticks=[0.5], yticklabels=["found"])
    last = next(rest)
    _stretches(last, truth, 0.9, INK, 1.0)
    last.set(ylim=(0, 1), yticks=[0.5], yticklabels=["truth"])
    last.set(xlabel="time (snippets)", xlim=(-0.5, len(values) - 0.5))
    for ax in axes:
        segments(ax, truth)
        cores(ax, core)
    last.figure.align_ylabels()
    return axes


def _stretches(ax: Axes, spans: Spans, height: float, color: str, alpha: float) -> None:
    widths = [(start, end - start) for start, end in spans]
    ax.broken_barh(widths, (0, height), facecolor=color, alpha=alpha, linewidth=0)


def trend(
    ax: Axes,
    x: Sequence[float],
    named: Mapping[str, Sequence[Sequence[float]]],
    scale: float = 100,
) -> None:
    """Measured values over a numeric axis: their mean over seeds with its 95 % interval.

    Each seed is a faint line behind; a single seed has no interval, and none is drawn. Lines are
    set a little apart so that their intervals do not hide each other. The vertical axis follows
    the seeds: an interval far wider than they are, as two seeds give, runs out of the frame.

    Args:
        ax: where to draw; its horizontal axis gets a tick at each place.
        x: places on the axis, rising, shape (n,).
        named: label and values (seeds, n) of each line, five at most; nan leaves a gap.
        scale: multiplies the values, by default fractions to percent.
    """
    apart = 0.04 * min((b - a for a, b in zip(x[:-1], x[1:], strict=True)), default=1)
    looks = zip(named.items(), PALETTE, DASHES, strict=False)
    for i, ((label, values), color, dash) in enumerate(looks):
        at = [place + apart * (i - (len(named) - 1) / 2) for place in x]
        for seed in values:
            ax.plot(at, [scale * v for v in seed], color=color, alpha=0.25, linewidth=0.8)
        estimates = [estimate(column) for column in zip(*values, strict=True)]
        means = [scale * e.mean for e in estimates]
        ends = [
            [(x, scale * e.low), (x, scale * e.high)] for x, e in zip(at, estimates, strict=True)
        ]
        ax.add_collection(LineCollection(ends, colors=color, linewidths=1.4), autolim=False)
        ax.plot(at, means, "o", linestyle=dash, color=color, markersize=5, label=label)
    ax.set_xticks(list(x), [f"{place:g}" for place in x])
    ax.margins(y=0.15)


def effects(ax: Axes, rows: Mapping[str, Estimate], scale: float = 100) -> None:
    """Differences with their 95 % intervals, one row each, the first on top, and a line at none.

    A dot is filled where the interval leaves out 0, and open where it does not or where there is
    none, with a single seed. A height of 0.35 inches a row and 0.7 for the axis reads well.

    Args:
        ax: where to draw; its vertical axis gets the names, its horizontal one the differences.
        rows: name and estimate of each difference, see `statistics.paired`.
        scale: multiplies the differences, by default fractions to points.
    """
    at = [-i for i in range(len(rows))]
    estimates = list(rows.values())
    ax.axvline(0, color=GREY, linewidth=1.2, zorder=0)
    for y, e in zip(at, estimates, strict=True):
        ax.plot([scale * e.low, scale * e.high], [y, y], color=BLUE, linewidth=1.8)
        filled = BLUE if e.low > 0 or e.high < 0 else "white"
        ax.plot(scale * e.mean, y, "o", color=BLUE, markerfacecolor=filled, markersize=7)
    ax.set_ylim(0.5 - len(rows), 0.5)
    ax.set_yticks(at, list(rows))


def verdicts(
    ax: Axes,
    rows: Mapping[str, tuple[Estimate, str]],
    margins: Mapping[str, float],
    scale: float = 100,
) -> None:
    """As `effects`, with colour and mark by verdict, and effects of all sizes on one axis.

    The axis is linear from -1 to 1 and logarithmic beyond. 0.3 inches a row and 0.9 for the axis
    and the legend read well.

    Args:
        ax: where to draw.
        rows: name, estimate and verdict of each.
        margins: of those rows that should lie within one, shaded.
        scale: multiplies effects and margins, by default fractions to points.
    """
    looks = {
        SUPPORTED: dict(marker="o", color=BLUE, markerfacecolor=BLUE),
        NOT_SUPPORTED: dict(marker="X", color=VERMILLION, markerfacecolor=VERMILLION),
        INCONCLUSIVE: dict(marker="D", color=INK, markerfacecolor="white"),
    }
    ax.axvline(0, color=GREY, linewidth=1.2, zorder=0)
    for i, (name, (e, verdict)) in enumerate(rows.items()):
        if name in margins:
            half = scale * margins[name]
            ax.broken_barh([(-half, 2 * half)], (-i - 0.5, 1), facecolor=CORE, zorder=0)
        color = looks[verdict]["color"]
        ax.plot([scale * e.low, scale * e.high], [-i, -i], color=color, linewidth=1.8)
        ax.plot(scale * e.mean, -i, markersize=7, **looks[verdict])
    ax.set_xscale("symlog", linthresh=1)
    left, right = ax.get_xlim()
    ticks = [t for t in (-100, -10, -3, -1, 0, 1, 3, 10, 100) if left <= t <= right]
    ax.set_xticks(ticks, [f"{t}" for t in ticks])
    ax.set_xticks([], minor=True)
    ax.set_ylim(0.5 - len(rows), 0.5)
    ax.set_yticks([-i for i in range(len(rows))], list(rows))
    keys = [
        ax.plot([], [], linestyle="", label=verdict, **look)[0] for verdict, look in looks.items()
    ]
    ax.legend(handles=keys, loc="lower center", bbox_to_anchor=(0.3, 1), ncols=3, columnspacing=1)


def schedule(ax: Axes, zero: int, each: int, iterations: int) -> None:
    """The phases of Sec. III-D2: which branch trains in which epochs, and which one teaches it.

    Args:
        ax: where to draw; its horizontal axis becomes epochs.
        zero: epochs of phase zero.
        each: epochs of every later phase.
        iterations: how often phase one and phase two follow.
    """
    height, rows = 0.5, {"base": 1, "supp": 0}
    phases = [(0, zero, "base"), (0, zero, "supp")]
    ax.text(zero / 2, 1.5, "phase zero", ha="center")
    for i in range(iterations):
        start = zero + 2 * each * i
        phases += [(start, each, "supp"), (start + each, each, "base")]
        ax.axvline(start, color=GREY, linewidth=0.8, linestyle=":")
        ax.text(start + each, 1.5, f"{i + 1}" if i else "iteration 1", ha="center")
    for start, length, branch in phases:
        low, color = rows[branch] - height / 2, (BLUE, VERMILLION)[branch == "supp"]
        ax.broken_barh([(start, length)], (low, height), facecolor=color, edgecolor="white")
        if start:  # from the middle of the other row, which is frozen, to this one
            teacher = 1 - rows[branch]
            ends = (start + length / 2, low + height * teacher), (start + length / 2, teacher)
            ax.annotate("", *ends, arrowprops={"arrowstyle": "->", "color": INK, "linewidth": 1.2})
    ax.hlines([1, 0], 0, zero + 2 * each * iterations, color=GREY, linewidth=1.2, zorder=0)
    ax.set_ylim(-0.5, 1.5)
    ax.set_yticks([1, 0], ["base", "supplementary"])
    ax.set_xlabel("epoch")
