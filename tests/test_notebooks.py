"""The notebooks are worth testing with nbval, and rerunning one with papermill is safe.

Every rule is also shown to catch a notebook that breaks it, on a small notebook made here.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import nbformat
import papermill
import pytest
import yaml
from execute_notebooks import NOTEBOOKS, execute
from helpers import may_train
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from notebook_rules import RULES, checked_parameters, text_of
from notebook_rules import outputs as all_outputs
from papermill.exceptions import PapermillExecutionError

from amslib import load
from amslib.data import plain

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
NAMES = [path.stem for path in NOTEBOOKS]

# One parameter of each notebook and a value that must change what it computes.
CHANGED = {
    "01_sampler": {"eta": 0.25},
    "02_alignment": {"eta": 0.25},
    "03_mutual_supervision": {"steps_per_epoch": 2},
    "04_end_to_end": {"dataset": "synthetic-tiny", "steps_per_epoch": 2},
    "05_table_1_thumos14": {"seeds": 2},
    "06_table_2_activitynet12": {"seeds": 2},
    "07_table_3_components": {"seeds": 2},
    "08_table_4_sampling_weights": {"seeds": 2},
    "09_table_5_aggregation": {"seeds": 2},
    "10_fig_4_iterations": {"seeds": 2},
    "11_fig_5_eta": {"etas": [0.25, 0.75], "seeds": 2},
    "12_fig_6_qualitative": {"iteration": 0},
    "13_when_does_it_help": {"doses": [0.0, 0.6], "seeds": 2},
    "14_claims": {"seeds": 2},
    "15_protocols": {"every": 2},
    "16_bring_your_own": {"steps_per_epoch": 3},
    "17_what_it_costs": {"width": 64},
    "18_determinism": {"width": 8},
    "19_past_one_machine": {"hours": 1000},
    "differences": {"decisions": ["score"], "dataset": "synthetic-tiny", "steps_per_epoch": 2},
    "demo": {"eta": 0.5},
}

DEMO = """
eta: float = 0.75  # slope
count: int = 4  # how many numbers
---
from amslib.parameters import check

check(globals(), eta=(float, 0, 10), count=(int, 1, None))
---
print([round(eta * n, 2) for n in range(count)])
---
from amslib import plots

(ax,) = plots.figure(1.0)
_ = ax.plot([0, eta])
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Path:
    """A notebook that keeps every rule, executed."""
    path = tmp_path_factory.mktemp("demo") / "demo.ipynb"
    cells = [new_code_cell(source.strip()) for source in DEMO.split("---")]
    cells[0].metadata["tags"] = ["parameters"]
    cells[3].metadata["mystnb"] = {
        "image": {"alt": "A rising line."},
        "figure": {"name": "fig-demo", "caption": "A line."},
    }
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Demo"), *cells]), path)
    execute(path)
    return path


@pytest.fixture(params=["demo", *NAMES])
def notebook(request) -> Path:
    """Each notebook in turn, the demo first."""
    if request.param == "demo":
        return request.getfixturevalue("demo")
    return NOTEBOOKS[NAMES.index(request.param)]


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def test_the_book_shows_every_notebook():
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text())
    files = [chapter["file"] for part in contents["parts"] for chapter in part["chapters"]]
    pages = {f"{path.parent.name}/{path.stem}" for path in NOTEBOOKS}
    assert pages and pages == {f for f in files if (ROOT / f"{f}.ipynb").exists()}
    numbered = [f for f in files if f.startswith("notebooks/")]
    assert numbered == sorted(numbered)


def test_figure_names_are_unique():
    books = [cell.metadata.get("mystnb", {}) for path in NOTEBOOKS for cell in read(path).cells]
    names = [book["figure"]["name"] for book in books if "figure" in book]
    assert len(names) == len(set(names)), names


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rules_hold(notebook, rule):
    complaints = list(rule(read(notebook)))
    assert not complaints, "\n".join([notebook.name, *complaints])


BREAKAGES = [
    ("executed_in_order", lambda nb: nb.cells[3].update(execution_count=None)),
    ("no_errors", lambda nb: nb.cells[3].outputs.append(new_output("stream", name="stderr"))),
    ("parameters_first", lambda nb: nb.cells[1].metadata.update(tags=[])),
    ("parameters_documented", lambda nb: edit(nb.cells[1], ": float", "")),
    ("parameters_documented", lambda nb: edit(nb.cells[1], "# slope", "")),
    ("parameters_checked", lambda nb: edit(nb.cells[2], "eta", "etta")),
    ("parameters_checked", lambda nb: edit(nb.cells[2], "(float, 0, 10)", "(int, 0, 10)")),
    ("no_semicolons", lambda nb: edit(nb.cells[3], "count)])", "count)]);")),
    ("compared", lambda nb: nb.cells[3].metadata.update(tags=["nbval-ignore-output"])),
    ("compared", lambda nb: edit(nb.cells[3], "print", "# NBVAL_SKIP\nprint")),
    ("pictures_described", lambda nb: nb.cells[4].metadata["mystnb"]["image"].clear()),
    ("pictures_described", lambda nb: nb.cells[4].metadata["mystnb"]["figure"].pop("caption")),
    ("nothing_local", lambda nb: nb.cells[3].outputs[0].update(text="read /home/me/data")),
    ("nothing_local", lambda nb: nb.cells[3].metadata.update(execution={})),
    ("small", lambda nb: nb.cells[0].update(source="x" * 300_001)),
    ("plain_kernel", lambda nb: nb.metadata.kernelspec.update(name="conda-env-mine")),
]


def edit(cell, old: str, new: str) -> None:
    cell.source = cell.source.replace(old, new)


@pytest.mark.parametrize("rule, breakage", BREAKAGES)
def test_rules_catch(demo, rule, breakage):
    broken = read(demo)
    breakage(broken)
    assert rule in [each.__name__ for each in RULES if list(each(broken))]


def nbval(path: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider"]
    command += ["-c", ROOT / "pyproject.toml", path]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_nbval_passes_the_demo(demo):
    assert "4 passed" in nbval(demo).stdout


@pytest.mark.parametrize("name", ["demo", *NAMES[:1]])
def test_nbval_catches_one_changed_digit(name, demo, tmp_path):
    original = read(demo if name == "demo" else NOTEBOOKS[NAMES.index(name)])
    printed = next(
        output
        for _, output in all_outputs(original)
        if output.output_type == "stream" and any(c.isdigit() for c in output.text)
    )
    digit = next(c for c in printed.text if c.isdigit())
    printed.text = printed.text.replace(digit, str((int(digit) + 1) % 10), 1)
    changed = tmp_path / "changed.ipynb"
    nbformat.write(original, changed)
    result = nbval(changed)
    assert result.returncode == 1 and "Cell outputs differ" in result.stdout, result.stdout


def rerun(path: Path, folder: Path, **parameters) -> nbformat.NotebookNode:
    """A chapter that is to take few steps may train; any other has its records."""
    with may_train() if "steps_per_epoch" in parameters else nullcontext():
        return papermill.execute_notebook(
            path, folder / "rerun.ipynb", parameters=parameters, progress_bar=False, cwd=folder
        )


def test_papermill_knows_the_parameters(notebook):
    """What `papermill --help-notebook` prints has a type and a meaning for each."""
    known = papermill.inspect_notebook(notebook)
    assert known.keys() == checked_parameters(read(notebook)).keys()
    assert all(p["inferred_type_name"] != "None" and p["help"] for p in known.values()), known


def test_a_changed_parameter_changes_the_numbers(notebook, tmp_path):
    assert notebook.stem in CHANGED, "name a parameter of this notebook and a value in CHANGED"
    before = [text_of(output) for _, output in all_outputs(read(notebook))]
    after = rerun(notebook, tmp_path, **CHANGED[notebook.stem])
    assert [text_of(output) for _, output in all_outputs(after)] != before


@pytest.mark.parametrize("name", ["04_end_to_end", "07_table_3_components", "12_fig_6_qualitative"])
def test_a_chapter_reads_a_folder_that_tells_its_time_axis(name, tmp_path):
    """Whose snippets have a beginning and a length of their own, and take no option for them."""
    tiny = load("synthetic-tiny", width=4)
    train, test = (
        tuple(replace(v, offset_seconds=0.24) for v in videos) for videos in (tiny.train, tiny.test)
    )
    plain.write(replace(tiny, train=train, test=test), tmp_path / "data")
    few = {"seeds": 1} if name.startswith("07") else {}
    path = ROOT / "notebooks" / f"{name}.ipynb"
    after = rerun(path, tmp_path, dataset=str(tmp_path / "data"), steps_per_epoch=1, **few)
    assert all(cell.execution_count for cell in after.cells if cell.cell_type == "code")


def test_a_misspelt_parameter_stops(notebook, tmp_path):
    name = next(iter(checked_parameters(read(notebook))))
    with pytest.raises(PapermillExecutionError, match=f"unknown parameter '{name}x'"):
        rerun(notebook, tmp_path, **{f"{name}x": 1})


def test_an_out_of_range_parameter_stops(notebook, tmp_path):
    rules = checked_parameters(read(notebook))
    name, (kind, low, high) = next(item for item in rules.items() if len(item[1]) == 3)
    low, high = ast.literal_eval(low), ast.literal_eval(high)
    wrong = high + 1 if low is None else low - 1
    with pytest.raises(PapermillExecutionError, match=f"parameter '{name}' is .*: expected at"):
        rerun(notebook, tmp_path, **{name: [wrong] if kind.startswith("list") else wrong})
