"""Plots draw what they are given, and the explorer shows what the library computes."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from helpers import close

import amslib
from amslib import plots, sample_positions, sampling_weights
from amslib.explorer import eta_explorer
from amslib.statistics import Estimate, estimate

plots.plt.switch_backend("agg")  # no window

M = torch.tensor([0.1, 0.5, 0.9, 0.3, 0.0], dtype=torch.float64)
POSITIONS = torch.tensor([-0.08, 0.84, 2.19, 3.28, 4.11], dtype=torch.float64)
ETAS = (0.0, 0.75, 2.0)


@pytest.fixture
def ax():
    (ax,) = plots.figure()
    yield ax
    plots.plt.close(ax.figure)


def lines(ax):
    return [line.get_xydata() for line in ax.lines]


def test_only_plots_imports_a_plotting_library():
    package = Path(amslib.__file__).parent
    importers = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in getattr(node, "names", [])] if is_import(node) else []
            names += [getattr(node, "module", None) or ""] if is_import(node) else []
            if any(name.split(".")[0] in ("matplotlib", "seaborn") for name in names):
                importers.add(path.name)
    assert importers == {"plots.py"}


def is_import(node):
    return isinstance(node, (ast.Import, ast.ImportFrom))


def test_figure_is_opaque_and_shares_its_time_axis():
    top, bottom = plots.figure(2.0, 1.0)
    assert top.figure.get_facecolor() == (1, 1, 1, 1) == top.get_facecolor()
    assert tuple(top.figure.get_size_inches()) == (plots.WIDTH, 3.0)
    top.set_xlim(3, 4)
    assert bottom.get_xlim() == (3, 4)
    plots.plt.close(top.figure)


def test_curves(ax):
    plots.curves(ax, {"m": M, "twice": 2 * M})
    close([xy[:, 1] for xy in lines(ax)], torch.stack([M, 2 * M]))
    close(lines(ax)[0][:, 0], range(5))
    assert [line.get_label() for line in ax.lines] == ["m", "twice"]
    assert len({(line.get_color(), line.get_linestyle()) for line in ax.lines}) == 2


def test_curves_at_other_times(ax):
    plots.curves(ax, {"m": M}, x=POSITIONS)
    close(lines(ax)[0], torch.stack([POSITIONS, M], -1))


def test_dots(ax):
    plots.dots(ax, POSITIONS, M)
    close(lines(ax)[0], torch.stack([POSITIONS, M], -1))
    assert ax.lines[0].get_linestyle() == "None"


def test_segments(ax):
    spans = [(0.5, 2.0), (3.0, 4.5)]
    plots.segments(ax, spans, "action")
    boxes = [patch.get_extents().transformed(ax.transData.inverted()) for patch in ax.patches]
    close([[box.x0, box.x1] for box in boxes], spans)
    assert ax.get_legend_handles_labels()[1] == ["action"]


def test_cores_lie_over_the_segments(ax):
    plots.segments(ax, [(1, 4)])
    plots.cores(ax, [(2, 3)], "core")
    low, high = ax.patches
    assert (high.get_x(), high.get_width()) == (2, 1) and high.get_zorder() > low.get_zorder()
    assert high.get_facecolor() != low.get_facecolor() and high.get_label() == "core"


def test_bars_are_rows_of_stretches(ax):
    plots.bars(ax, {"truth": [(1, 4), (6, 7)], "found": []})
    truth, found = ([p.get_extents().bounds for p in c.get_paths()] for c in ax.collections)
    assert [(x, width) for x, _, width, _ in truth] == [(1, 3), (6, 1)] and not found
    assert [label.get_text() for label in ax.get_yticklabels()] == ["truth", "found"]
    low, high = ax.get_ylim()
    assert all(low < y and y + height < high for _, y, _, height in truth)


def test_nine_panels_are_those_of_fig_6():
    cas = {"base": M, "supp.": M / 2, "fused": 3 * M / 4}
    found = {name: ([(0.5, 2.5)], [(i, i + 0.5)]) for i, name in enumerate(cas)}
    panels = plots.nine_panels(
        {"base": torch.arange(5), "supp.": POSITIONS},
        cas,
        dict.fromkeys(cas, 0.2),
        found,
        truth=[(0.5, 3.0)],
        core=[(1, 2)],
    )
    assert len(panels) == 9
    close([line.vertices[0, 0] for line in panels[3].collections[0].get_paths()], POSITIONS)
    for i, (name, values) in zip((1, 4, 6), cas.items(), strict=True):
        curve, level = lines(panels[i])
        close(curve, torch.stack([torch.arange(5), values], -1))
        assert panels[i].get_ylabel() == name and (level[:, 1] == 0.2).all()
        right, false = (c.get_paths()[0].get_extents() for c in panels[i + 1].collections)
        assert [(box.x0, box.x1) for box in (right, false)] == [
            stretch[0] for stretch in found[name]
        ]
        assert right.height > false.height
    assert panels[8].collections[0].get_paths()[0].get_extents().intervalx.tolist() == [0.5, 3.0]
    assert all(len(ax.patches) == 2 for ax in panels)  # actions and cores behind every panel
    plots.plt.close(panels[0].figure)


SEEDS = [[0.1, 0.4, 0.3], [0.3, 0.5, 0.3]]  # two seeds at three places


def ends(lines):
    return [path.vertices for path in lines.get_paths()]


def test_trend_is_mean_and_interval_over_faint_seeds(ax):
    plots.trend(ax, [0, 1, 3], {"mAP": SEEDS})
    *seeds, mean = ax.lines
    close([line.get_ydata() for line in seeds], 100 * torch.tensor(SEEDS).double(), 1e-5)
    assert [line.get_alpha() for line in seeds] == [0.25, 0.25] and mean.get_label() == "mAP"
    close(mean.get_xydata(), [[0, 20], [1, 45], [3, 30]])
    expected = [estimate(column) for column in zip(*SEEDS, strict=True)]
    for x, e, line in zip([0, 1, 3], expected, ends(ax.collections[0]), strict=True):
        close(line, [[x, 100 * e.low], [x, 100 * e.high]])
    assert ax.get_legend_handles_labels()[1] == ["mAP"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "1", "3"]


def test_trends_stand_beside_each_other_and_are_told_apart(ax):
    plots.trend(ax, [0, 0.25], {"a": [[1, 2]], "b": [[3, 4]]}, scale=1)
    a, b = (line for line in ax.lines if line.get_alpha() is None)
    assert (a.get_color(), a.get_linestyle()) != (b.get_color(), b.get_linestyle())
    close(a.get_xdata() + b.get_xdata(), [0, 0.5])
    assert a.get_xdata()[0] < 0 < b.get_xdata()[0] < 0.025
    close(a.get_ydata(), [1, 2])


def test_trend_of_one_seed_or_place_has_no_interval(ax):
    plots.trend(ax, [0.75], {"mAP": [[0.4]]})
    close(ax.lines[-1].get_xydata(), [[0.75, 40]])
    assert torch.tensor(ends(ax.collections[0])[0])[:, 1].isnan().all()
    ax.figure.canvas.draw()


def test_an_interval_wider_than_the_seeds_does_not_widen_the_axis(ax):
    plots.trend(ax, [0, 1], {"mAP": [[0.4, 0.5], [0.41, 0.52]]})
    low, high = ax.get_ylim()
    assert 35 < low < 40 and 52 < high < 57
    assert ends(ax.collections[0])[0][0, 1] < low


def test_effects_are_rows_with_intervals(ax):
    rows = {
        "up": Estimate(0.02, 0.01, 0.01, 0.03, 5),
        "down": Estimate(-0.02, 0.01, -0.03, -0.01, 5),
        "unsure": Estimate(0.01, 0.01, -0.01, 0.03, 5),
        "one seed": estimate([0.01]),
    }
    plots.effects(ax, rows)
    assert [label.get_text() for label in ax.get_yticklabels()] == list(rows)
    zero, *marks = ax.lines
    spans, dots = marks[::2], marks[1::2]
    close(zero.get_xdata(), [0, 0])
    close([dot.get_xydata()[0] for dot in dots], [[2, 0], [-2, -1], [1, -2], [1, -3]])
    filled = [dot.get_markerfacecolor() != "white" for dot in dots]
    assert filled == [True, True, False, False]
    close([span.get_xdata() for span in spans[:3]], [[1, 3], [-3, -1], [-1, 3]])
    assert [set(span.get_ydata()) for span in spans] == [{0}, {-1}, {-2}, {-3}]
    ax.figure.canvas.draw()


def test_verdicts_have_a_colour_and_a_mark_each(ax):
    rows = {
        "yes": (Estimate(0.05, 0.01, 0.04, 0.06, 5), "supported"),
        "no": (Estimate(-0.2, 0.01, -0.3, -0.1, 5), "not supported"),
        "one seed": (estimate([0.004]), "inconclusive"),
    }
    plots.verdicts(ax, rows, {"one seed": 0.01})
    assert [label.get_text() for label in ax.get_yticklabels()] == list(rows)
    marks = ax.lines[2:7:2]  # after zero, a span and a mark a row
    close([mark.get_xydata()[0] for mark in marks], [[5, 0], [-20, -1], [0.4, -2]])
    close([span.get_xdata() for span in ax.lines[1:5:2]], [[4, 6], [-30, -10]])
    assert len({mark.get_marker() for mark in marks}) == len({m.get_color() for m in marks}) == 3
    (band,) = ax.collections
    close(band.get_paths()[0].get_extents().bounds, [-1, -2.5, 2, 1])
    keys = ax.get_legend().legend_handles
    for mark, key, (_, verdict) in zip(marks, keys, rows.values(), strict=True):
        assert (mark.get_marker(), verdict) == (key.get_marker(), key.get_label())
    ax.figure.canvas.draw()


def test_schedule_alternates(ax):
    plots.schedule(ax, zero=20, each=5, iterations=2)
    blocks = [path.get_extents().bounds for c in ax.collections[:6] for path in c.get_paths()]
    spans = [(x, x + width, "supp" if y < 0.5 else "base") for x, y, width, _ in blocks]
    assert spans[:2] == [(0, 20, "base"), (0, 20, "supp")]
    assert spans[2:4] == [(20, 25, "supp"), (25, 30, "base")]
    assert spans[4:] == [(30, 35, "supp"), (35, 40, "base")]
    arrows = [(a.xyann, a.xy) for a in ax.texts if hasattr(a, "xyann")]
    for (x, start), (x_end, end) in arrows:
        assert x == x_end and (start, end > 0.5) == ((1, False) if x in (22.5, 32.5) else (0, True))
    assert len(arrows) == 4


def test_mapping_joins_even_heights_with_the_positions(ax):
    edges, g = torch.linspace(-0.5, 4.5, 6), torch.linspace(0, 1, 6)
    plots.mapping(ax, edges, g, POSITIONS)
    close(lines(ax)[0], torch.stack([edges, g], -1), 1e-6)
    across, down = ([path.vertices for path in c.get_paths()] for c in ax.collections)
    heights = [0.1, 0.3, 0.5, 0.7, 0.9]
    close(across, [[[-0.5, h], [p, h]] for p, h in zip(POSITIONS, heights, strict=True)])
    close(down, [[[p, 0], [p, h]] for p, h in zip(POSITIONS, heights, strict=True)])


def test_warp_joins_each_snippet_with_its_position(ax):
    plots.warp(ax, POSITIONS)
    *joins, above, below = lines(ax)
    close(joins, [[[j, 1], [p, 0]] for j, p in enumerate(POSITIONS)])
    close(above[:, 0], range(5))
    close(below[:, 0], POSITIONS)


@pytest.fixture(scope="module")
def html():
    return eta_explorer(M, ETAS, start=0.75, spans=[(0.5, 2.5)])


def parsed(html):
    """The explorer as a tree: it is well-formed, so that no browser has to guess."""
    return ElementTree.fromstring(html)


def frames(html):
    return json.loads(parsed(html).find("script[@type='application/json']").text)


def test_explorer_frames_are_the_samplers(html):
    for eta, frame in zip(ETAS, frames(html), strict=True):
        w = sampling_weights(M, eta)
        assert frame["eta"] == f"{eta:.2f}"
        assert frame["positions"] == [round(p, 2) for p in sample_positions(w).tolist()]
        close(frame["density"], w / w.sum() * 5, 2e-3)
    assert "∞ : 1" in frames(html)[0]["note"] and "2.2 : 1" in frames(html)[1]["note"]


def test_explorer_follows_factor():
    coarse = frames(eta_explorer(M, ETAS, start=0.0, factor=2))[1]["positions"]
    expected = sample_positions(sampling_weights(M, 0.75), 2)
    assert coarse == [round(p, 2) for p in expected.tolist()]
    assert coarse != frames(eta_explorer(M, ETAS, start=0.0))[1]["positions"]


def test_explorer_starts_on_the_frame_drawn_without_a_script(html):
    tree = parsed(html)
    slider, first = tree.find("label/input"), frames(html)[1]
    assert (slider.get("value"), slider.get("max")) == ("1", "2")
    assert tree.find("label/output").text == first["eta"] == "0.75"
    assert tree.find("p").text == first["note"] and "0.75" in tree.find("noscript/p").text
    fan = tree.findall("svg/g[@data-part='fan']/line")
    scale = [(float(line.get("x2")) - 6) / 468 * 5 - 0.5 for line in fan]
    close(scale, first["positions"], 1e-2)


def test_explorer_can_be_used_with_a_keyboard_and_a_screen_reader(html):
    tree = parsed(html)
    slider = tree.find("label/input")
    assert slider.get("type") == "range" and slider.get("aria-valuetext") == "η = 0.75"
    assert tree.find("label").get("for") == tree.find("label/output").get("for")
    assert tree.find("label").get("for") == slider.get("id")
    assert tree.find("p").get("id") == slider.get("aria-describedby")
    assert tree.find("svg").get("aria-label") and tree.find("svg").get("role") == "img"


def test_explorer_needs_nothing_from_elsewhere_and_is_the_same_each_time(html):
    assert "http" not in html and "import" not in html and "$" not in html
    assert html == eta_explorer(M, ETAS, start=0.75, spans=[(0.5, 2.5)])


def test_explorer_is_small():
    etas = [i / 20 for i in range(41)]
    assert len(eta_explorer(torch.linspace(0, 1, 60), etas, start=0.75).encode()) < 60_000


def test_explorer_of_a_constant_cas():
    frame = frames(eta_explorer(torch.zeros(4), [0.0], start=0.0))[0]
    assert frame["positions"] == [0, 1, 2, 3] and frame["density"] == [1, 1, 1, 1]


def test_explorer_refuses_a_start_that_is_no_frame():
    with pytest.raises(ValueError, match="start=0.5 is not one of the 3 etas"):
        eta_explorer(M, ETAS, start=0.5)
