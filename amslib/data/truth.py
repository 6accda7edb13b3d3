"""The annotations of a folder that `load` takes, or of its table or json, without its features."""

from __future__ import annotations

from pathlib import Path

from . import basnet, folder, own, plain
from .annotated import Annotations
from .annotations import find
from .database import read_database
from .layout import only
from .video import Dataset
from .wtalc import read_annotation_folder


def read_annotated(path: Path) -> Annotations:
    """Every video and its subset; the subsets of a folder with split files are what these say.

    Args:
        path: a folder, the ``segments.csv`` or ``labels.csv`` of one's own, or a json file of the
            plain layout.

    Raises:
        DataError: there are no annotations, or they cannot be read.
    """
    if path.suffix == ".csv":
        return own.annotated(path.parent)
    if path.is_file():
        return plain.annotated(path)
    if (path / "dataset.json").is_file():
        return plain.annotated(path / "dataset.json")
    if (path / "labels.csv").is_file():
        return own.annotated(path)
    if all((path / name).is_file() for name in basnet.SPLIT):
        return basnet.annotated(path)
    if next(path.glob("annotations/*.json"), None):
        return read_database(only(path, "annotations/*.json"))
    if next(path.glob("*/*_test.txt"), None) and not next(path.glob("*-Annotations"), None):
        return _of_dataset(folder.scan(path).dataset)
    file = find(path)
    return read_database(file) if file.is_file() else read_annotation_folder(file)


def _of_dataset(dataset: Dataset) -> Annotations:
    subsets = ["train"] * len(dataset.train) + ["test"] * len(dataset.test)
    return Annotations([*dataset.train, *dataset.test], subsets, dataset.classes, [])
