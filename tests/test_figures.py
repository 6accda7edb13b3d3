"""Figures reach the page, and nothing else does, whatever the shell has set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import execute_notebooks
import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook, new_output

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
DRAWN = "(ax,) = plots.figure(1.0)\n_ = ax.plot([0, 1])"
NO_HOME = {"HOME": f"{os.devnull}/home", "XDG_CONFIG_HOME": "", "XDG_CACHE_HOME": ""}
NO_FOLDER = {"MPLCONFIGDIR": f"{os.devnull}/fonts"}
LOUD = {"FORCE_COLOR": "1", "PYTHONWARNINGS": "default", "OMP_NUM_THREADS": "7"}
SETTINGS = {  # by backend
    "Agg": LOUD,
    "TkAgg": {"DISPLAY": ""} | NO_HOME,
    "of-no-matplotlib": NO_FOLDER,
}


def page(*sources: str, **metadata) -> nbformat.NotebookNode:
    nb = new_notebook(cells=[new_code_cell(source) for source in sources])
    nb.cells[-1].metadata.update(metadata)
    return nb


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """With folders of Jupyter that can be written, which a kernel needs."""
    jupyter = {"JUPYTER_RUNTIME_DIR": str(folder), "IPYTHONDIR": str(folder)}
    return {**os.environ, "PYTHONPATH": str(ROOT), **jupyter, **settings}


def shown(nb: nbformat.NotebookNode) -> list[list[str]]:
    """Of each output of a page: the stream, or the kinds of data that are shown."""
    outputs = [output for cell in nb.cells for output in cell.outputs]
    return [[o.get("name")] if "name" in o else sorted(o.get("data", {})) for o in outputs]


@pytest.mark.slow
@pytest.mark.parametrize("backend, settings", SETTINGS.items())
def test_a_kernel_shows_figures_and_nothing_else(backend, settings, tmp_path):
    nb = page("from amslib import plots", DRAWN)
    NotebookClient(nb).execute(env=environment(tmp_path, MPLBACKEND=backend, **settings))
    assert shown(nb) == [["image/png", "text/plain"]]


@pytest.mark.slow
def test_a_kernel_keeps_the_backend_that_a_page_chose():
    nb = page("%matplotlib agg", "from amslib import plots", "print(plots.plt.get_backend())")
    NotebookClient(nb).execute()
    assert nb.cells[-1].outputs[0].text.lower() == "agg\n"


@pytest.mark.parametrize("settings", [NO_HOME, NO_FOLDER])
def test_an_unwritable_folder_is_no_matter_for_stderr(settings, tmp_path):
    code = "import amslib.plots, logging; print(logging.getLogger('matplotlib').level)"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(tmp_path, **settings),
        capture_output=True,
        text=True,
    )
    assert (result.stdout, result.stderr) == ("0\n", "")


def test_outside_a_kernel_the_backend_is_that_of_the_user(tmp_path):
    code = "from amslib.plots import plt; print(plt.get_backend().lower())"
    env = environment(tmp_path, MPLBACKEND="svg")
    result = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert result.stdout == "svg\n"


@pytest.mark.slow
def test_execution_does_without_the_settings_of_the_shell(tmp_path, monkeypatch):
    for name in execute_notebooks.UNSET:
        monkeypatch.setenv(name, "1")
    path = tmp_path / "page.ipynb"
    names = ", ".join(map(repr, execute_notebooks.UNSET))
    nbformat.write(
        page(f"import os\nprint([n for n in ({names}) if os.environ.get(n) == '1'])"), path
    )
    execute_notebooks.execute(path)
    assert nbformat.read(path, as_version=4).cells[0].outputs[0].text == "[]\n"


@pytest.mark.slow
def test_execution_stops_where_a_figure_is_lost(tmp_path):
    path = tmp_path / "page.ipynb"
    book = {"figure": {"name": "fig-line", "caption": "A line."}}
    nbformat.write(page("%matplotlib agg", "from amslib import plots", DRAWN, mystnb=book), path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="page.ipynb: no figure in cell .*, which has a caption"):
        execute_notebooks.execute(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "outputs, lost",
    [
        ([], True),
        ([new_output("stream", text="<Figure size 600x260 with 1 Axes>")], True),
        ([new_output("display_data", {"text/html": "<b>none</b>"})], True),
        ([new_output("display_data", {"text/html": '<svg aria-label="a line"/>'})], False),
        ([new_output("display_data", {"image/png": "iVBO"})], False),
    ],
)
def test_which_cells_lack_their_figure(outputs, lost):
    nb = page("", mystnb={"figure": {"name": "fig-line"}})
    nb.cells[0].outputs = outputs
    assert execute_notebooks.without_figure(nb) == [nb.cells[0].id] * lost
    assert execute_notebooks.without_figure(page("", mystnb={"markdown_format": "myst"})) == []


def test_help_names_the_argument():
    command = [sys.executable, ROOT / "tools" / "execute_notebooks.py", "--help"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0 and "all pages of the book" in result.stdout
