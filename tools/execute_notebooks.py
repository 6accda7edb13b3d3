"""Re-execute notebooks in place, leaving nothing in them that changes from run to run."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from amslib.kernels import PINNED, can_be_pinned

ROOT = Path(__file__).parents[1]
NOTEBOOKS = [*sorted(ROOT.glob("notebooks/*.ipynb")), *sorted(ROOT.glob("book/*.ipynb"))]
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
UNSET = ("MPLBACKEND", "PYTHONWARNINGS")  # settings of a shell that change what a page shows
PINS = PINNED if can_be_pinned() else {}  # so that nbval finds the same digits elsewhere


def clean(notebook: nbformat.NotebookNode) -> None:
    """Keep the metadata that authors write and drop what tools leave behind."""
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    )
    for cell in notebook.cells:
        for key in ("papermill", "execution", "collapsed", "scrolled"):
            cell.metadata.pop(key, None)


def without_figure(notebook: nbformat.NotebookNode) -> list[str]:
    """Ids of the cells that caption a figure and show none."""
    return [
        cell.id
        for cell in notebook.cells
        if "figure" in cell.metadata.get("mystnb", {})
        and not any(_is_figure(output) for output in cell.get("outputs", []))
    ]


def _is_figure(output: nbformat.NotebookNode) -> bool:
    data = output.get("data", {})
    return "<svg" in data.get("text/html", "") or any(kind.startswith("image/") for kind in data)


def execute(path: Path) -> None:
    """Run one notebook from its own folder and write it back with its new outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell fails; the file stays as it was.
        ValueError: a cell with the caption of a figure shows none; the file stays as it was.
    """
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        kernel_name=KERNEL["name"],
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": path.parent}},
    ).execute(env={k: v for k, v in os.environ.items() if k not in UNSET} | PINS)
    if lost := without_figure(notebook):
        raise ValueError(
            f"{path}: no figure in cell {', '.join(lost)}, which has a caption for one; the "
            "notebook is left as it was. Draw with amslib.plots, or with Matplotlib's inline "
            "backend."
        )
    clean(notebook)
    nbformat.write(notebook, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "notebooks", nargs="*", type=Path, default=NOTEBOOKS, help="default: all pages of the book"
    )
    for path in parser.parse_args().notebooks:
        print(path, flush=True)
        execute(path)
