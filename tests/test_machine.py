"""What a process does with its memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
GLIBC = sys.platform == "linux" and "libc.so.6" in Path("/proc/self/maps").read_text()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not GLIBC, reason="keep_memory does something on glibc only"),
]
START = """
import resource
from pathlib import Path
import torch
from amslib.machine import keep_memory
"""
FAULTS = """
for keep in (False, True):
    if keep:
        keep_memory()
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        x = torch.ones(2**24)
        del x
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
ADVISED = """
keep_memory()
x = torch.ones(2**24)
inside = False
for line in Path("/proc/self/smaps").read_text().splitlines():
    first, _, rest = line.partition(" ")
    if "-" in first:
        start, end = (int(address, 16) for address in first.split("-"))
        inside = start <= x.data_ptr() + x.nbytes - 1 < end
    elif inside and first == "VmFlags:":
        print("hg" in rest.split())
"""


def told(code: str) -> list[str]:
    """What a process of its own prints."""
    done = subprocess.run([sys.executable, "-c", START + code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_memory_that_was_freed_is_not_taken_anew():
    without, kept = map(int, told(FAULTS))
    assert kept < without / 10


@pytest.mark.skipif(not LARGE_PAGES.exists(), reason="this system has no large pages")
def test_large_tensors_lie_in_large_pages():
    assert told(ADVISED) == ["True"]
