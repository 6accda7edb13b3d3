"""How fast features come from this machine's disk: whole videos, a batch's crops, single rows.

    python tools/measure_reading.py FOLDER

Writes videos of random features to FOLDER as `amslib.data.convert` does, one array a video, and
reads them through memory maps: first from the disk, of which nothing is left in memory, then again
from memory. The rates go to book/_static/reading.json. Takes a minute; FOLDER is emptied again.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from time import perf_counter

import numpy as np

from amslib.machine import described

OUT = Path(__file__).parents[1] / "book" / "_static" / "reading.json"
WIDTH, SNIPPETS, VIDEOS = 1024, 1000, 500  # 2 GB; a training video is cropped to 1000 snippets
CROP = 300  # about the rows that a batch takes of a video
ROWS = 2000


def write(folder: Path, videos: int, snippets: int, width: int) -> list[Path]:
    """Videos, on the disk when this returns."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((snippets, width), dtype=np.float32)
    paths = [folder / f"{i}.npy" for i in range(videos)]
    for path in paths:
        with open(path, "xb") as file:
            np.save(file, features)
            file.flush()
            os.fsync(file.fileno())
    return paths


def forget(paths: list[Path]) -> None:
    """Let the system drop what it holds of the files in memory."""
    for path in paths:
        with open(path, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def whole(paths: list[Path]) -> int:
    """Each video once, from its first row to its last; returns the bytes."""
    return sum(np.array(np.load(path, mmap_mode="r")).nbytes for path in paths)


def crops(paths: list[Path]) -> int:
    """Consecutive rows of videos drawn at random, as a batch takes them."""
    rng, total = np.random.default_rng(1), 0
    for i in rng.permutation(len(paths)):
        rows = np.load(paths[i], mmap_mode="r")
        start = rng.integers(max(len(rows) - CROP, 0) + 1)
        total += np.array(rows[start : start + CROP]).nbytes
    return total


def single(paths: list[Path]) -> int:
    """Rows drawn at random, one by one."""
    rng, total = np.random.default_rng(2), 0
    for i in rng.integers(len(paths), size=ROWS):
        rows = np.load(paths[i], mmap_mode="r")
        total += np.array(rows[rng.integers(len(rows))]).nbytes
    return total


WAYS = {"whole videos": whole, "crops of a batch": crops, "single rows": single}


def rate(paths: list[Path], read: Callable[[list[Path]], int], cold: bool) -> float:
    """Bytes a second."""
    if cold:
        forget(paths)
    start = perf_counter()
    total = read(paths)
    return total / (perf_counter() - start)


def measure(folder: Path, videos: int, snippets: int, width: int) -> dict:
    """All rates, from the disk and from memory."""
    folder.mkdir(parents=True)
    try:
        paths = write(folder, videos, snippets, width)
        rates = {name: {"disk": rate(paths, read, cold=True)} for name, read in WAYS.items()}
        whole(paths)
        for name, read in WAYS.items():
            rates[name]["memory"] = rate(paths, read, cold=False)
    finally:
        shutil.rmtree(folder)
    return {
        "date": str(date.today()),
        "made": described("cpu"),
        "bytes": 4 * videos * snippets * width,
        "width": width,
        "rates": rates,
    }


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a new folder, on the disk to measure")
    parser.add_argument("--videos", type=int, default=VIDEOS, help="of 4 MB each")
    parser.add_argument("--out", type=Path, default=OUT, help="the json file")
    given = parser.parse_args(words)
    told = measure(given.folder, given.videos, SNIPPETS, WIDTH)
    given.out.write_text(json.dumps(told, indent=1) + "\n")
    for name, rates in told["rates"].items():
        print(name, *(f"{of}: {value / 1e9:.3g} GB/s" for of, value in rates.items()))


if __name__ == "__main__":
    main()
