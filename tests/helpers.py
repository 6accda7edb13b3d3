"""Random videos and batches, full or locked disks, Ctrl-C, the command line, and records."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch

from amslib.cli import main
from amslib.grid import RECORDS

LENGTHS = (9, 5, 1, 12)
CLASSES = 4


def random_batch(seed=0, lengths=LENGTHS, classes=CLASSES, width=3):
    """CAS, features, labels and mask of a padded batch; padding holds garbage on purpose."""
    rng = np.random.default_rng(seed)
    videos, longest = len(lengths), max(lengths)
    cas = torch.from_numpy(rng.uniform(0.02, 0.98, (videos, longest, classes)))
    x = torch.from_numpy(rng.normal(size=(videos, longest, width)))
    labels = torch.from_numpy((rng.random((videos, classes)) < 0.5).astype(float))
    labels[:, 1] = 1
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    return cas, x, labels, mask


def each_video(mask):
    """(row, true length) of a padded batch."""
    return [(i, int(n)) for i, n in enumerate(mask.sum(-1))]


def close(actual, expected, tolerance=1e-9):
    """Assert two arrays agree, shapes included."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk of its own at a folder, that holds so much; the test is skipped where none can be."""
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder.mkdir(exist_ok=True)
    options = ["-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(["mount", "-t", "tmpfs", *options], capture_output=True).returncode:
        pytest.skip("this system does not let root mount a tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def lock(folder: Path) -> None:
    """Make a `small_disk` read-only; bits of permission would not stop root."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True, capture_output=True)


def heed_ctrl_c() -> None:
    """As `preexec_fn`: what a script starts in the background, and its children, ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def may_train() -> Iterator[None]:
    """Records that are missing are computed, by kernels that start here, too: for quick configs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(RECORDS)
        yield


TERMINAL = (  # variables that change what a command prints, or where it breaks lines
    *("FORCE_COLOR", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "PY_COLORS", "GITHUB_ACTIONS"),
    *("TERM", "COLUMNS", "LINES", "TERMINAL_WIDTH", "TTY_COMPATIBLE", "TTY_INTERACTIVE"),
    *("PYTHONWARNINGS", "PYTHONIOENCODING", "LC_ALL", "LC_CTYPE", "LANG"),
)


def environment(**changes: str) -> dict[str, str]:
    """The environment of a command whose output is compared, the same in every terminal."""
    kept = {name: value for name, value in os.environ.items() if name not in TERMINAL}
    plain = {"NO_COLOR": "1", "COLUMNS": "100", "PYTHONUTF8": "1"}
    return {**kept, **plain, **changes}


def run_main(*arguments: object) -> int:
    """The exit code of the command line in this process; warnings are printed, as for users."""
    words = ["amslib", *map(str, arguments)]
    with (
        warnings.catch_warnings(),
        mock.patch.object(sys, "argv", words),
        pytest.raises(SystemExit) as left,
    ):
        warnings.simplefilter("always")
        main()
    return left.value.code
