"""Remake the locks from pyproject.toml: `pip install uv`, then `python tools/lock.py`.

The versions locked already are kept where the ranges of pyproject.toml allow it; what stands behind
the command goes to `uv pip compile`, as `--upgrade` or `--upgrade-package numpy`.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK, GPU_LOCK = ROOT / "requirements.lock", ROOT / "requirements-gpu.lock"
GPU = re.compile(r"(nvidia|cuda)-|triton=")

# builds of torch that the package registry does not hold, by the version they are builds of
OTHER_BUILDS = {
    "torch==2.13.0": [  # torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl
        "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b"
    ]
}
HEAD = """\
# The exact versions the book and the tests are made with, and the SHA-256 of every file of them, for
# every platform and Python from 3.11; pyproject.toml holds the ranges. Made by tools/lock.py.
"""
LOCK_HEAD = f"""{HEAD}#
# Installed in two steps, as in the Makefile: with --no-deps first, by any pip; then as it stands, by
# the pip pinned here, which adds what the machine's build of torch needs of requirements-gpu.lock.
# torch's files are those of the package registry and the CPU build for Python 3.11 on Linux x86-64;
# pip refuses another build until its hash stands here.
-c {GPU_LOCK.name}
"""
GPU_HEAD = f"""{HEAD}#
# What torch needs on a GPU: constraints, of which nothing is installed that no package asks for.
"""


def pins(text: str) -> list[str]:
    """The pins of a lock, each with the lines of its hashes."""
    return re.findall(r"^\w.*\n(?:[ ].*\n)*", text, re.MULTILINE)


def compiled(former: str, options: list[str]) -> str:
    """The pins of everything that pyproject.toml names, for all platforms, near the former ones."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "lock"
        out.write_text(former)
        command = ["uv", "pip", "compile", "--universal", "--python-version=3.11", "--all-extras"]
        command += ["--generate-hashes", "--no-annotate", "--no-header", "--quiet"]
        command += ["--output-file", str(out), *options, "pyproject.toml", "-"]
        needed = "\n".join([*build, "editables", "pip>=26.3"])  # pip: hashes in constraints
        subprocess.run(command, cwd=ROOT, input=needed, text=True, check=True)
        return out.read_text()


def with_other_builds(pin: str) -> str:
    line, *hashes = pin.rstrip("\n").split(" \\\n    ")
    others = [f"--hash=sha256:{value}" for value in OTHER_BUILDS.get(line.split()[0], [])]
    return " \\\n    ".join([line, *sorted({*hashes, *others})]) + "\n"


def main(options: list[str]) -> None:
    former = [pin for file in (LOCK, GPU_LOCK) if file.exists() for pin in pins(file.read_text())]
    found = pins(compiled("".join(former), options))
    gpu = [pin for pin in found if GPU.match(pin)]
    rest = [with_other_builds(pin) for pin in found if pin not in gpu]
    LOCK.write_text(LOCK_HEAD + "".join(rest))
    GPU_LOCK.write_text(GPU_HEAD + "".join(gpu))


if __name__ == "__main__":
    main(sys.argv[1:])
