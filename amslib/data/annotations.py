"""Annotations without features, for whoever brings or generates features of their own."""

from __future__ import annotations

from pathlib import Path

from .annotated import split
from .database import read_database
from .findings import DataNotFoundError, error, settle
from .layout import Scan
from .paths import visible
from .video import Dataset, fingerprint
from .wtalc import ANNOTATIONS, read_annotation_folder


def read_annotations(path: str | Path) -> Dataset:
    """Videos with labels, segments and, where known, durations, but without features.

    Which subset is for training follows from the names that occur (see `annotated.SPLITS`); videos
    of other subsets are left out. Video-level labels are the classes of the instances. Nothing is
    clipped or repaired, and segments past the end of a video pass unremarked (`load` warns of
    them).

    Args:
        path: a json file ``{"database": ..}`` (ActivityNet's, ActionFormer's or BaS-Net's), a
            W-TALC annotation folder, or a folder that holds one of them.

    Returns:
        A data set; its classes are in the order of W-TALC's class list, sorted for json files.

    Raises:
        DataError: there are no annotations, or they contradict themselves.
    """
    found = scan_annotations(Path(path).expanduser())
    settle(found.findings)
    return found.dataset


def scan_annotations(path: Path) -> Scan:
    """The same with what contradicts itself as findings."""
    file = find(path)
    annotations = read_database(file) if file.is_file() else read_annotation_folder(file)
    train, test, found = split(annotations, file)
    mark = fingerprint(annotations.classes, train, test)
    name = path.name.removesuffix(".json").removesuffix(ANNOTATIONS)
    dataset = Dataset(name, annotations.classes, train, test, mark)
    return Scan(dataset, annotations.findings + found, file)


def find(path: Path) -> Path:
    """The json file or the folder of arrays that holds the annotations.

    Raises:
        DataNotFoundError: there is none.
    """
    if path.is_file() or (path / "classlist.npy").is_file():
        return path
    if (path / "gt.json").is_file():
        return path / "gt.json"
    folders = [f for f in visible(path, f"*{ANNOTATIONS}") if f.is_dir()]
    if len(folders) == 1:
        return folders[0]
    looked_for = f"a json file, classlist.npy, gt.json, one folder *{ANNOTATIONS}"
    message = f"no annotations here; looked for {looked_for}"
    raise DataNotFoundError(error("not found", path, message, "Give the path of one of these"))
