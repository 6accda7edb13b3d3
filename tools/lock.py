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
LOCK, GPU_LOCK, CPU_LOCK = (ROOT / f"requirements{kind}.lock" for kind in ("", "-gpu", "-cpu"))
GPU = re.compile(r"(nvidia|cuda)-|triton=")
HASH = " \\\n    --hash="

HEAD = """\
# The exact versions the book and the tests are made with, and the SHA-256 of each of their files,
# for every platform and Python from 3.11. Made by tools/lock.py from the ranges of pyproject.toml.
"""
LOCK_HEAD = f"""{HEAD}#
# Installed in two steps, as in the Makefile: with --no-deps first, by any pip; then as it stands,
# by the pip pinned here, which adds what the build of torch asks for of requirements-gpu.lock.
-c {GPU_LOCK.name}
"""
GPU_HEAD = f"""{HEAD}#
# What torch needs on a GPU: constraints, of which nothing is installed that no package asks for.
"""


def pins(text: str) -> list[str]:
    """The pins of a lock, each with the lines of its hashes."""
    return re.findall(r"^\w.*\n(?: .*\n)*", text, re.MULTILINE)


def compiled(former: str, options: list[str]) -> str:
    """The pins of all that pyproject.toml names, for every platform: the former where they do."""
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


def with_hashes_of(other: str, pin: str) -> str:
    """The pin, with the hashes of the other one if that is of the same package and version."""
    (line, *hashes), (known, *more) = (text.rstrip("\n").split(HASH) for text in (pin, other))
    same = line.split()[0] == known.split()[0]
    return HASH.join([line, *sorted({*hashes, *(more if same else [])})]) + "\n"


def main(options: list[str]) -> None:
    former = [pin for file in (LOCK, GPU_LOCK) if file.exists() for pin in pins(file.read_text())]
    found = pins(compiled("".join(former), options))
    gpu = [pin for pin in found if GPU.match(pin)]
    (cpu,) = pins(CPU_LOCK.read_text())
    LOCK.write_text(LOCK_HEAD + "".join(with_hashes_of(cpu, p) for p in found if p not in gpu))
    GPU_LOCK.write_text(GPU_HEAD + "".join(gpu))


if __name__ == "__main__":
    main(sys.argv[1:])
