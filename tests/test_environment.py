"""The files that describe the environment agree, and the two promised commands exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import NamedTuple

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


LOCKS = ("requirements.lock", "requirements-cpu.lock", "requirements-gpu.lock")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


class Pin(NamedTuple):
    """A line of a lock, continuation lines included."""

    lock: str
    requirement: Requirement
    hashes: list[str]

    def __str__(self):
        return f"{self.lock}: {self.requirement}"

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)


def lines_of(lock: str) -> list[str]:
    """The pins and options of a lock, each on one line, without comments."""
    lines = (ROOT / lock).read_text().replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def pins(lock: str) -> list[Pin]:
    entries = [line.split(" --hash=") for line in lines_of(lock) if not line.startswith("-")]
    return [
        Pin(lock, Requirement(pin), [text.strip() for text in hashes]) for pin, *hashes in entries
    ]


def locked() -> dict[str, list[Pin]]:
    """The pins of the lock by package; several where versions differ between environments."""
    by_name = {}
    for pin in pins("requirements.lock"):
        by_name.setdefault(pin.name, []).append(pin)
    return by_name


PINS = [pin for lock in LOCKS for pin in pins(lock)]


def targets() -> set[str]:
    return set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("line", REQUIREMENTS)
def test_the_lock_satisfies_every_requirement(line):
    wanted = Requirement(line)
    ((_, pin, _),) = locked()[canonicalize_name(wanted.name)]
    (version,) = (Version(s.version) for s in pin.specifier)
    assert version in wanted.specifier
    assert pin.marker is None, "needed on every Python"


@pytest.mark.parametrize("pin", PINS, ids=str)
def test_every_pin_is_one_public_version_of_known_files(pin):
    (specifier,) = pin.requirement.specifier
    assert specifier.operator == "==" and Version(specifier.version).local is None
    assert pin.hashes and all(re.fullmatch("sha256:[0-9a-f]{64}", text) for text in pin.hashes)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_no_option_but_the_constraints(lock):
    options = [line for line in lines_of(lock) if line.startswith("-")]
    assert options == (["-c requirements-gpu.lock"] if lock == "requirements.lock" else [])


@pytest.mark.parametrize("python", ["3.11.0", "3.11.9", "3.12.0", "3.13.0", "3.14.0"])
@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_no_environment_gets_two_versions(python, system):
    about = {"python_full_version": python, "sys_platform": system}
    about["python_version"] = ".".join(python.split(".")[:2])
    chosen = [
        pin.name
        for lock in ("requirements.lock", "requirements-gpu.lock")
        for pin in pins(lock)
        if pin.requirement.marker is None or pin.requirement.marker.evaluate(about)
    ]
    assert len(set(chosen)) == len(chosen) and "soupsieve" in chosen


def test_the_cpu_build_of_torch_is_one_of_the_locks_files():
    (cpu,) = pins("requirements-cpu.lock")
    (torch,) = locked()["torch"]
    assert cpu.requirement == torch.requirement and set(cpu.hashes) < set(torch.hashes)


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
    for command in ("make book", "make quick", "make test"):
        assert command in readme
        assert command.split()[1] in targets()
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_workflows_use_the_same_commands():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    commands = {"test": "env ${{ matrix.settings }} .ci/run", "book": "make book"}
    for job, command in commands.items():
        assert command in [step.get("run") for step in jobs[job]["steps"]]
    assert [entry["settings"] != "" for entry in jobs["test"]["strategy"]["matrix"]["include"]] == [
        False,
        True,
    ]
    assert set(jobs["deploy"]["needs"]) == {"test", "book"}


def test_make_installs_nothing_whose_hash_is_not_locked():
    installs = re.findall(r"pip install (.*)", (ROOT / "Makefile").read_text())
    assert len(installs) == 4
    for options in installs:
        assert "--require-hashes" in options or options == "--no-deps --no-build-isolation -e ."


def test_the_audit_looks_up_what_the_locks_pin():
    text = (ROOT / ".github" / "workflows" / "audit.yml").read_text()
    assert re.search(r"gh-action-pip-audit@[0-9a-f]{40}", text) and "schedule:" in text
    assert "inputs: requirements.lock requirements-gpu.lock" in text


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_workflows_may_do_nothing_but_what_a_job_asks_for(file):
    workflow = yaml.safe_load(file.read_text())
    assert workflow["permissions"] == {}
    asked = {name: job["permissions"] for name, job in workflow["jobs"].items()}
    pages = {"pages": "write", "id-token": "write"}
    assert asked == {name: pages if name == "deploy" else {"contents": "read"} for name in asked}


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_workflows_pin_every_action_by_its_commit(file):
    used = re.findall(r"\buses:\s*(\S+)", file.read_text())
    assert used
    for action in used:
        assert re.fullmatch(r"[\w.-]+(/[\w.-]+)+@[0-9a-f]{40}", action), action
