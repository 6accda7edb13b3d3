"""The three files that describe the environment agree, and the two promised commands exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
EXTRAS = PROJECT["optional-dependencies"]
REQUIREMENTS = [
    *PYPROJECT["build-system"]["requires"],
    *PROJECT["dependencies"],
    *(line for lines in EXTRAS.values() for line in lines),
]


def locked() -> dict[str, Requirement]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(pin.name): pin for pin in pins}


def targets() -> set[str]:
    return set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("line", REQUIREMENTS)
def test_the_lock_satisfies_every_requirement(line):
    wanted = Requirement(line)
    pin = locked()[canonicalize_name(wanted.name)]
    (version,) = (Version(s.version) for s in pin.specifier)
    assert version in wanted.specifier
    assert pin.marker is None, "needed on every Python"


@pytest.mark.parametrize("name", locked())
def test_the_lock_pins_one_public_version(name):
    (specifier,) = locked()[name].specifier
    assert specifier.operator == "==" and Version(specifier.version).local is None


def test_conda_installs_the_same_project():
    first, pip, installed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert (
        Version(first.removeprefix("python="))
        in Requirement(f"python{PROJECT['requires-python']}").specifier
    )
    assert pip == "pip"
    assert installed == {"pip": [f"-e .[{','.join(EXTRAS)}]"]}


def test_the_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert citation["repository-code"] == PROJECT["urls"]["Repository"]
    book = yaml.safe_load((ROOT / "_config.yml").read_text())
    assert book["repository"]["url"] == PROJECT["urls"]["Repository"]
    assert book["html"]["baseurl"] == PROJECT["urls"]["Book"]


def test_the_promised_commands_exist():
    readme = (ROOT / "README.md").read_text()
    for command in ("make book", "make test"):
        assert command in readme
        assert command.split()[1] in targets()
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_workflows_use_the_same_commands():
    folder = ROOT / ".github" / "workflows"
    for name, command in {"test.yml": ".ci/run", "book.yml": "make book"}.items():
        jobs = yaml.safe_load((folder / name).read_text())["jobs"].values()
        assert command in [step.get("run") for job in jobs for step in job["steps"]]
