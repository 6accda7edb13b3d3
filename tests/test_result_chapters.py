"""What chapters 5-9 and 12-16 say follows from the numbers they show, whatever the parameters."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import data_folders
import nbformat
import numpy as np
import papermill
import pytest
from helpers import may_train
from notebook_rules import outputs, text_of
from papermill.exceptions import PapermillExecutionError

from amslib import tables
from amslib.statistics import SUPPORTED, estimate, verdict

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
CHAPTERS = {
    p.stem[:2]: p for n in (5, 6, 7, 8, 9, *range(12, 17)) for p in NOTEBOOKS.glob(f"{n:02}_*")
}
SHORT = {"dataset": "synthetic-tiny", "steps_per_epoch": 1}


def rerun(chapter: str, folder: Path, /, **parameters) -> str:
    """What a chapter prints and shows."""
    with may_train():
        executed = papermill.execute_notebook(
            CHAPTERS[chapter],
            folder / "rerun.ipynb",
            parameters=parameters,
            progress_bar=False,
            cwd=folder,
        )
    return "\n\n".join(text_of(output) for _, output in outputs(executed))


def own_folder(folder: Path, training_segments: bool) -> Path:
    """labels.csv, segments.csv and one stream of features."""
    (folder / "features").mkdir(parents=True)
    labels, segments = [("video", "subset", "labels")], [("video", "start", "end", "label")]
    for video, rows in data_folders.SEGMENTS.items():
        part = data_folders.PARTS[video]
        np.save(folder / "features" / f"{video}.npy", data_folders.features(video, "rgb"))
        labels.append((video, part, ";".join(sorted({row[2] for row in rows}))))
        segments += [(video, *row) for row in rows if training_segments or part == "test"]
    for name, lines in (("labels", labels), ("segments", segments)):
        with open(folder / f"{name}.csv", "w", newline="") as file:
            csv.writer(file).writerows(lines)
    return folder


def rows_of(text: str, name: str) -> dict[str, list[str]]:
    """Cells by heading of the numbered table of that name."""
    (body,) = re.findall(rf"^:name: {name}\n(.*?)^:::$", text, re.MULTILINE | re.DOTALL)
    lines = [line.strip("| ").split(" | ") for line in body.splitlines() if line.startswith("|")]
    return {heading: cells for heading, *cells in lines[2:]}


def flat(text: str) -> str:
    return " ".join(text.split())


# prose

CONSTANTS = {  # thresholds, defaults, the length of a snippet and a name
    *("0.1", "0.3", "0.5", "0.7", "0.75", "0.95", "0.05", "0.64", "1.28", "1.2", "0.9", "0.8"),
}
QUOTED = {"05": {"32.4"}}  # a misprint of the paper


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_no_prose_states_a_result(chapter):
    """A number in a paragraph would stay as it is when the chapter is rerun."""
    cells = nbformat.read(CHAPTERS[chapter], as_version=4).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    prose = re.sub(r"## Exercises.*|```.*?```|\$.*?\$|`[^`]*`", "", prose, flags=re.DOTALL)
    stated = set(re.findall(r"\d+\.\d+", prose)) - CONSTANTS - QUOTED.get(chapter, set())
    typed = re.findall(r"\d+\.\d points|\d+ percentage points|five scores|Five different", prose)
    assert not stated and not typed


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_no_page_counts_one_seed_as_several(chapter):
    sources = [cell.source for cell in nbformat.read(CHAPTERS[chapter], as_version=4).cells]
    assert not re.findall(r"\{seeds\} seeds(?! if)(?!\\)(?![^\n]*if seeds > 1)", "\n".join(sources))


# chapter 12


@pytest.mark.slow
@pytest.mark.parametrize("iteration, stage", [(0, "phase zero"), (1, "iteration 1")])
def test_what_is_read_from_pictures_is_in_the_table(iteration, stage, tmp_path):
    text = rerun("12", tmp_path, iteration=iteration, **SHORT)
    base, supp, fused = (
        [float(x) for x in row] for row in rows_of(text, "tab-all-videos").values()
    )
    assert f"looked at after {stage}" in text and f"this run after {stage}" in text
    assert ("neither branch has learnt" in text) == (iteration == 0)
    assert ("has already learnt" in text) == (iteration > 0)
    said = re.findall(r"^- .*: \*\*(yes|no)\*\*, ([\d.]+) against ([\d.]+)", text, re.MULTILINE)
    pairs = [(supp[2], base[2]), (supp[1], base[1]), (fused[0], base[0]), (fused[1], base[1])]
    assert [(float(a), float(b)) for _, a, b in said] == pairs
    for (answer, *_), (a, b), sign in zip(said, pairs, (1, 1, 1, -1), strict=True):
        assert a == b or (answer == "yes") == (sign * (a - b) > 0)
    fewer = int(re.search(r"fewer in (\d+) and as many", flat(text)).group(1))
    lost = re.search(r"both together find (-?\d+) fewer of its", flat(text))
    assert bool(lost) == (fewer > 0) != ("there is none on which both together" in flat(text))
    assert not lost or int(lost.group(1)) > 0


# chapter 13


def respond(values: list[list[float]], axis: list[float]) -> str:
    """What chapter 13 says of a gain (seeds, doses)."""
    cells = nbformat.read(CHAPTERS["13"], as_version=4).cells
    source = next(cell.source for cell in cells if cell.id == "gains").split("\ncells = ")[0]
    known = dict(SUPPORTED=SUPPORTED, estimate=estimate, verdict=verdict, tables=tables, np=np)
    names = [f"{dose:g}" for dose in axis]
    exec(source, namespace := {**known, "axis": axis, "names": names})
    return namespace["response"]("gain", np.array(values), "points")


def test_a_loss_that_shrinks_is_not_called_a_gain():
    text = respond([[-0.05, 0.0], [-0.06, 0.001], [-0.055, -0.001]], [0.0, 1.0])
    assert "rises with the dose: supported" in text
    assert "At dose 0 the whole method is worse: -5.5 [" in text
    assert "At no dose is a gain established, so the rise is that of a loss which shrinks." in text


def test_a_gain_that_grows_is_no_loss():
    text = respond([[0.01, 0.05], [0.011, 0.06], [0.012, 0.055]], [0.0, 1.0])
    assert "rises with the dose: supported" in text
    assert "worse" not in text and "loss" not in text and "no dose" not in text


def test_the_line_is_not_drawn_beyond_the_doses():
    text = respond([[0.01, 0.02]], [0.2, 0.4])
    assert "changes by +1.0 from dose 0.2 to 0.4" in text and "[" not in text


@pytest.mark.slow
def test_one_seed_of_two_doses(tmp_path):
    text = rerun("13", tmp_path, doses=[0.2, 0.8], seeds=1, **SHORT)
    assert "3 configs, 1 seed, 6 records" in text
    assert not re.search(r"[+-]\d+\.\d \[|±|bold by chance|Bold:", text)
    low, high = rows_of(text, "tab-dose-gains").values()
    for i, gain in enumerate(("F − B", "F − E")):
        change = re.search(
            rf"\*\*{gain}\*\*: .*?changes by ([+-][\d.]+) from dose 0.2 to 0.8", text
        )
        assert float(change.group(1)) == pytest.approx(float(high[i]) - float(low[i]), abs=0.11)


@pytest.mark.slow
@pytest.mark.parametrize("known", [True, False])
def test_own_data_have_one_dose(known, tmp_path):
    data = own_folder(tmp_path / "data", training_segments=known)
    text = flat(rerun("13", tmp_path, dataset=str(data), seeds=1, steps_per_epoch=1))
    assert "straight line" not in text and "generated" not in text and "as it is" in text
    assert "Without another dose there is no response" in text
    assert ("*complete*: how much of an action" in text) == known
    assert ("this section and the next stay empty" in text) != known
    assert "*hard*" not in text and "*core*" not in text


# chapter 15


@pytest.mark.slow
@pytest.mark.parametrize("lower", [0.5, 0.0, 1.0])
def test_what_copies_cost_is_that_of_the_table(lower, tmp_path):
    data = own_folder(tmp_path / "data", training_segments=False)
    more = {"snippet_seconds": 0.5, "steps_per_epoch": 1, "every": 2, "lower": lower}
    text = rerun("15", tmp_path, dataset=str(data), **more)
    changes = [[float(x) for x in row[1:]] for row in rows_of(text, "tab-copies").values()]
    values = [x for row in changes for x in row]
    falls, rises = (sum(sign * x > 0 for x in values) for sign in (-1, 1))
    assert f"Of {len(values)} scores, {falls} fall and {rises} rise." in flat(text)
    for column, title in zip(zip(*changes, strict=True), ("exact", "longer"), strict=True):
        said = rf"With {title} copies, scores change by between (\S+) \(.*?\) and (\S+) points"
        ends = re.search(said, flat(text)).groups()
        assert tuple(map(float, ends)) == (min(column), max(column))
    assert f"a copy has {100 * (1 - lower):g} % of its original's score" in flat(text)
    assert ("With `lower` at 0" in text) == (lower == 0)
    assert "a row every 0.5 s" in flat(text)


def test_protocols_are_counted():
    cells = nbformat.read(CHAPTERS["15"], as_version=4).cells
    printed = next(text_of(cell.outputs[0]) for cell in cells if cell.id == "example")
    scores = re.findall(r"^\S+ +([\d.]+) ", printed.rsplit("\n", 2)[0], re.MULTILINE)
    assert f"{len(scores)} protocols, {len(set(scores))} different scores" in printed


# chapter 16


@pytest.mark.slow
def test_own_videos_get_their_score(tmp_path):
    data = own_folder(tmp_path / "data", training_segments=True)
    before = sorted(data.rglob("*"))
    text = rerun("16", tmp_path, folder=str(data), iterations=2, steps_per_epoch=2)
    levels = [float(x) for x in re.findall(r"0\.\d: ([\d.]+)", text)]
    average = float(re.search(r"AVG\(0\.1–0\.7\): ([\d.]+) %", text).group(1))
    assert len(levels) == 7 and average == pytest.approx(sum(levels) / 7, abs=0.11)
    assert "phase zero and 2 iterations of 2-step epochs" in text
    assert "accepted" not in text and "the same detections: True" in text
    assert sorted(data.rglob("*")) == before


@pytest.mark.slow
def test_a_folder_that_is_not_there_is_named_as_it_was(tmp_path):
    with pytest.raises(PapermillExecutionError, match="my/videos: neither a folder nor") as raised:
        rerun("16", tmp_path, folder="my/videos")
    assert "/tmp" not in raised.value.evalue
