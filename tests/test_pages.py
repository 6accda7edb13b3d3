"""The prose pages and the README say what the code does, and what stands in them is up to date."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import asdict
from pathlib import Path

import choose_schedule
import click
import describe_data
import draw_figures
import nbformat
import pytest
import typer
import yaml
from notebook_rules import declared_parameters

import amslib
from amslib import Config, load
from amslib.cli import app
from amslib.data import read_annotations

ROOT = Path(__file__).parents[1]
STATIC = ROOT / "book" / "_static"
SHARED = ROOT.parent / "shared" / "data"
PAGES = {path.name: path.read_text() for path in [*ROOT.glob("book/*.md"), ROOT / "README.md"]}


@pytest.fixture(scope="module")
def dataset():
    return load("synthetic")


def real(path: str) -> Path:
    if not (SHARED / path).exists():
        pytest.skip(f"needs real data in {SHARED / path}")
    return SHARED / path


# tables that a script has written


@pytest.mark.slow
@pytest.mark.parametrize("name", ["constants", "statistics"])
def test_tables_of_the_data_page(dataset, name):
    written = (STATIC / f"data_{name}.md").read_text()
    assert written == getattr(describe_data, name)(dataset), "run tools/describe_data.py"


@pytest.mark.slow
def test_thumos14_column():
    dataset = read_annotations(real("thumos14/wtalc/Thumos14reduced-Annotations"))
    for part, quoted in describe_data.THUMOS14.items():
        measured = describe_data.timeline(getattr(dataset, part))
        assert describe_data.printed(quoted) == describe_data.printed(measured)


@pytest.mark.slow
def test_i3d_column():
    dataset = load(real("activitynet10"), snippet_seconds=2.56)
    for stream, quoted in describe_data.I3D.items():
        measured = describe_data.appearance((*dataset.train, *dataset.test), stream)
        assert [round(x, 2 if x < 1 else 1) for x in measured] == list(quoted)


@pytest.mark.slow
def test_schedule_tables_are_those_of_the_record(dataset):
    record = json.loads((STATIC / "schedule.json").read_text())
    assert record["fingerprint"] == dataset.fingerprint, "run tools/choose_schedule.py"
    assert (STATIC / "schedule.md").read_text() == choose_schedule.render(record)


@pytest.mark.slow
@pytest.mark.parametrize("fields", [{"steps_per_epoch": 20}, {"class_loss": "bce"}])
def test_the_first_epoch_of_the_schedule_record_is_reproduced(dataset, fields):
    record = json.loads((STATIC / "schedule.json").read_text())
    run = choose_schedule.phase_zero(dataset, epochs_zero=1, **fields)
    if "class_loss" in fields:
        recorded = record["forms"]["bce"]["loss"]
        computed = choose_schedule.losses(run, "classification")
    else:
        recorded, computed = record["steps"]["20"], choose_schedule.basic_losses(run)
    assert set(computed) == set(recorded) == {"rgb", "flow"}
    for stream, (first, *_) in recorded.items():
        assert computed[stream] == [pytest.approx(first, abs=1e-3)], "run tools/choose_schedule.py"


def test_last_quarter():
    falling = [10.0 - t for t in range(20)]
    assert choose_schedule.last_quarter(falling) == pytest.approx(5 / 19)
    assert choose_schedule.last_quarter([3.0] + 19 * [1.0]) == 0


# pictures


def test_every_picture_is_drawn_by_the_script_and_shown():
    pictures = {p.stem for p in STATIC.glob("*.svg")} - {"favicon"}
    assert pictures == set(draw_figures.FIGURES)
    shown = re.findall(r"_static/([\w-]+)\.svg", " ".join(PAGES.values()))
    assert set(shown) == pictures


@pytest.mark.parametrize("name", [n for n, text in PAGES.items() if "{figure}" in text])
def test_figures_have_name_alt_and_caption(name):
    figures = re.findall(r"```\{figure\} (\S+)\n(.*?)```", PAGES[name], re.DOTALL)
    assert len(figures) == PAGES[name].count("{figure}")
    for picture, body in figures:
        options = dict(re.findall(r"^:(\w+): (.+)$", body, re.MULTILINE))
        caption = re.sub(r"^:.*$", "", body, flags=re.MULTILINE).strip()
        assert options["name"].startswith("fig-") and len(options["alt"]) > 60 and caption, picture


# what the pages claim


def test_the_checklist_names_every_field_once():
    (table,) = re.findall(r":::\{table\}.*?:::", PAGES["checklist.md"], re.DOTALL)
    rows = [row for row in table.splitlines() if row.startswith("| [")]
    named = [re.findall(r"`(\w+)`", row) for row in rows]
    assert sorted(sum(named, [])) == sorted(asdict(Config()))
    stated = re.findall(r"`(\w+)=", PAGES["pipeline.md"])
    assert sorted(named[0]) == sorted(stated)


def test_every_answer_of_the_checklist_is_yes_no_or_not_applicable():
    answers = re.findall(r"^: (.*)$", PAGES["checklist.md"], re.MULTILINE)
    assert len(answers) > 12
    assert not [a for a in answers if not re.match(r"\*\*(Yes|No|n\.a|Yes and no)[.,]\*\* \S", a)]


def test_the_reference_has_the_public_surface():
    documented = re.findall(r"\.\. auto\w+:: amslib\.(\w+)$", PAGES["api.md"], re.MULTILINE)
    modules = {"protocols", "diagnostics", "experiments", "explorer", "kernels", "packed", "plots"}
    assert sorted(set(documented) - modules - {"tables"}) == amslib.__all__


def commands(*start: str) -> list:
    """Every command line of the pages that begins so, as a list of words, with its page."""
    found = []
    for name, text in PAGES.items():
        for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL):
            for line in re.split(r"\n|&&", block):
                words = shlex.split(line, comments=True)
                if words[: len(start)] == list(start):
                    found.append(pytest.param(words[len(start) :], id=f"{name}: {line.strip()}"))
    assert found
    return found


@pytest.mark.parametrize("words", commands(".venv/bin/python", "-m", "amslib"))
def test_the_command_line_takes_what_the_pages_say(words):
    group = typer.main.get_command(app)
    command = group.get_command(click.Context(group), words[0])
    command.make_context(words[0], words[1:])


def test_the_readme_shows_all_commands():
    shown = {p.values[0][0] for p in commands(".venv/bin/python", "-m", "amslib")}
    assert shown == set(typer.main.get_command(app).commands)


@pytest.mark.parametrize("words", commands(".venv/bin/papermill"))
def test_papermill_commands_name_notebooks_and_parameters(words):
    options = [i for i, word in enumerate(words) if word.startswith("-")]
    notebook = next(word for word in words if word.endswith(".ipynb"))
    parameters = declared_parameters(nbformat.read(ROOT / notebook, as_version=4))
    for i in options:
        if words[i] == "-p":
            assert words[i + 1] in parameters
        elif words[i] == "-y":
            assert set(yaml.safe_load(words[i + 1])) <= set(parameters)
        else:
            assert words[i] == "--help-notebook"


@pytest.mark.parametrize("name", PAGES)
def test_files_the_pages_speak_of_exist(name):
    folder = ROOT if name == "README.md" else ROOT / "book"
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", PAGES[name])
    missing = [link for link in links if not (folder / link).exists()]
    named = re.findall(r"`((?:tools|book|notebooks|tests)/[\w./-]+\w)`", PAGES[name])
    missing += [path for path in named if not (ROOT / path).exists()]
    assert not missing


@pytest.mark.slow
def test_the_example_of_the_readme_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGES["README.md"], re.DOTALL)
    short = code.replace("steps_per_epoch=20", "steps_per_epoch=1")
    assert short != code and code in PAGES["api.md"]
    exec(short, {})
    assert len(capsys.readouterr().out.strip("[]\n").split()) == 7
