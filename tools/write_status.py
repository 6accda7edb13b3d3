"""The status page: which records the book reads, what they took, and the versions behind it.

Usage: python tools/write_status.py    (a second; after `make notebooks`, which calls it)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

import nbformat
import yaml

from amslib import tables

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "book" / "status.md"
MADE = (
    *("python", "torch", "numpy", "device", "threads"),
    *("system", "processor", "kernels", "products", "commit"),
)
PINNED = ("torch", "numpy", "jupyter-book", "sphinx", "nbval", "papermill", "pytest")
TIMES = {  # by command: minutes and machine, measured by hand
    "`make book`": ["0.5", "2 cores"],
    "`make test`": ["10 to 13", "2 cores"],
    "`make reproduce`": ["36", "2 cores"],
}
HEAD = """# Status

What the book was made of, written by `tools/write_status.py` from the records in `results/`, from
the pages that read them and from `requirements.lock`. A test compares.
"""


def records(folder: Path) -> dict[str, dict]:
    """Each record of a folder by its key."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def readers(root: Path, keys: Iterable[str]) -> dict[str, list[str]]:
    """Keys that the outputs of each notebook of the book name, by its path without ending."""
    contents = yaml.safe_load((root / "_toc.yml").read_text())
    files = [chapter["file"] for part in contents["parts"] for chapter in part["chapters"]]
    named = {}
    for file in files:
        path = root / f"{file}.ipynb"
        if path.exists():
            cells = nbformat.read(path, as_version=4).cells
            text = json.dumps([cell.get("outputs", []) for cell in cells])
            found = set(re.findall(r"\b[0-9a-f]{16}\b", text)) & set(keys)
            if found:
                named[file] = sorted(found)
    return named


def render(root: Path = ROOT) -> str:
    """The page, in MyST."""
    known = records(root / "results")
    parts = [HEAD, _summary(known), _data(known), _pages(known, readers(root, known))]
    parts += ["## Versions", _made(known), _pinned((root / "requirements.lock").read_text())]
    parts += [tables.table(TIMES, ["command", "minutes", "machine"], "By the clock.", "tab-times")]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _summary(known: dict[str, dict]) -> str:
    pinned = sum(about["made"].get("pinned", False) for about in known.values())
    return (
        f"## Records\n\n{len(known)} records, {_duration(known.values())} of computing, {pinned} "
        "of them with [pinned kernels](../notebooks/18_determinism.ipynb). Configs of a seed are "
        "trained side by side; the time of a record is its share of that, and its own scoring."
    )


def _data(known: dict[str, dict]) -> str:
    groups: dict[str, list[dict]] = {}
    for about in known.values():
        name = f"{about['dataset']['name']} `{about['dataset']['fingerprint'][:8]}`"
        groups.setdefault(name, []).append(about)
    rows = {}
    for name, group in sorted(groups.items()):
        configs = {json.dumps(about["config"], sort_keys=True) for about in group}
        rows[name] = [str(len(configs)), str(len(group)), _duration(group)]
    return tables.table(
        rows, ["data", "configs", "records", "time"], "Records by data set.", "tab-records"
    )


def _pages(known: dict[str, dict], named: dict[str, list[str]]) -> str:
    rows = {
        f"[](../{file}.ipynb)": [str(len(keys)), _duration(known[key] for key in keys)]
        for file, keys in named.items()
    }
    caption = "What each page reads. Many records serve several, so the rows overlap."
    return tables.table(rows, ["page", "records", "time"], caption, "tab-readers")


def _made(known: dict[str, dict]) -> str:
    rows = {what: [", ".join(_each(known, what))] for what in MADE}
    return tables.table(rows, ["", "records"], "What the records were made with.", "tab-made")


def _pinned(lock: str) -> str:
    pinned = dict(re.findall(r"^([\w.-]+)==([\w.+]+)", lock, re.MULTILINE))
    rows = {name: [pinned[name]] for name in PINNED}
    return tables.table(rows, ["", "pinned"], "Of what `make setup` installs.", "tab-pinned")


def _each(known: dict[str, dict], what: str) -> list[str]:
    """Different values of an entry of "made", sorted."""
    return sorted({str(about["made"].get(what, "not recorded")) for about in known.values()})


def _duration(group: Iterable[dict]) -> str:
    seconds = sum(about["made"]["seconds"] for about in group)
    number, unit = (seconds, "s") if seconds < 100 else (seconds / 60, "min")
    return f"{number:.0f}\N{NO-BREAK SPACE}{unit}"


if __name__ == "__main__":
    PAGE.write_text(render())
