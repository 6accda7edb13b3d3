"""A data set from one layout into another."""

from __future__ import annotations

from pathlib import Path

from . import basnet, plain
from .video import Dataset

WRITERS = {"plain": plain.write, "basnet": basnet.write}


def convert(dataset: Dataset, folder: str | Path, to: str = "plain", progress=False) -> None:
    """Writes a data set into a folder, in the project's own layout or in BaS-Net's.

    Both hold one plain array of shape (T, D) per video and stream. Videos are copied one at a time;
    only W-TALC's joint file is in memory as a whole. The file with the annotations is written last,
    so that a folder that was left half-way is no data set.

    Args:
        dataset: what `load` gives.
        folder: new or empty.
        to: ``"plain"``, which keeps all but `Video.metadata`, features bit for bit; or
            ``"basnet"``, for other code bases.
        progress: show a bar on standard error.

    Raises:
        ValueError: there is no such layout.
        DataError: features cannot be used, a video is there twice, or its name cannot be that of
            a file.
        FileExistsError: the folder is not empty.
        OSError: a file cannot be written, e.g. on a full disk.

    Warns:
        DataWarning: of what the layout cannot hold.
    """
    if to not in WRITERS:
        raise ValueError(f"to={to!r}; expected one of {', '.join(map(repr, WRITERS))}")
    WRITERS[to](dataset, Path(folder).expanduser(), progress)
