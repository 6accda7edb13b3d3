"""Writes small data sets in the layouts `load` reads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

STEP = 0.64
LENGTHS = {"video_a": 20, "video_b": 31, "video_c": 12}  # snippets; c is the test video
SEGMENTS = {
    "video_a": [(0.5, 3.0, "Jump"), (4.0, 6.5, "Dive")],
    "video_b": [(2.0, 9.5, "Dive")],
    "video_c": [(1.0, 2.5, "Jump"), (3.0, 4.0, "Jump")],
}
PARTS = {"video_a": "train", "video_b": "train", "video_c": "test"}


def features(video: str, stream: str, width: int = 8) -> np.ndarray:
    """(T, width), the same every time."""
    seed = sum(map(ord, video + stream))
    return np.random.default_rng(seed).normal(size=(LENGTHS[video], width)).astype(np.float32)


def write_basnet(folder: Path, streams=("rgb", "flow"), durations: bool = True) -> Path:
    """BaS-Net's layout; times are strings, as in its release."""
    database = {}
    for video, rows in SEGMENTS.items():
        annotations = [{"segment": [str(s), str(e)], "label": label} for s, e, label in rows]
        database[video] = {"subset": PARTS[video], "annotations": annotations}
        if durations:
            database[video]["duration"] = LENGTHS[video] * STEP + 0.3
        for stream in streams:
            file = feature_file(folder, video, stream)
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, features(video, stream))
    write_database(folder, database)
    for part in ("train", "test"):
        names = [video for video in PARTS if PARTS[video] == part]
        (folder / f"split_{part}.txt").write_text("\n".join(names) + "\n")
    return folder


def feature_file(folder: Path, video: str, stream: str) -> Path:
    return folder / "features" / PARTS[video] / stream / f"{video}.npy"


def write_database(folder: Path, database: dict) -> Path:
    file = folder / "gt.json"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"database": database}))
    return file


def read_database(folder: Path) -> dict:
    return json.loads((folder / "gt.json").read_text())["database"]


def write_wtalc(folder: Path, **changed) -> Path:
    """W-TALC's layout; `changed` replaces columns of the annotation, or `joint`, the features."""
    annotations = folder / "Tiny-Annotations"
    annotations.mkdir(parents=True)
    names = list(LENGTHS)
    columns = {
        "videoname": np.array(names, "S"),
        "subset": np.array(["test" if PARTS[v] == "test" else "validation" for v in names], "S"),
        "classlist": np.array(["Jump", "Dive"], "S"),
        "labels": objects([[row[2] for row in SEGMENTS[v]] for v in names]),
        "labels_all": objects([sorted({row[2] for row in SEGMENTS[v]}) for v in names]),
        "segments": objects([[list(row[:2]) for row in SEGMENTS[v]] for v in names]),
        "duration": np.array([[LENGTHS[v] * STEP + 0.3] for v in names]),
        "joint": objects([np.hstack([features(v, "rgb"), features(v, "flow")]) for v in names]),
    } | changed
    np.save(folder / "Tiny-I3D-JOINTFeatures.npy", columns.pop("joint"), allow_pickle=True)
    for name, column in columns.items():
        if column is not None:
            np.save(annotations / f"{name}.npy", column, allow_pickle=True)
    return folder


def write_halves(folder: Path, videos=tuple(LENGTHS)) -> None:
    """One file for each video, rgb beside flow."""
    folder.mkdir(parents=True, exist_ok=True)
    for video in videos:
        both = [features(video, stream) for stream in ("rgb", "flow")]
        np.save(folder / f"{video}.npy", np.hstack(both))


def objects(values) -> np.ndarray:
    """A 1-D object array, whatever the values are."""
    array = np.empty(len(values), object)
    for k, value in enumerate(values):
        array[k] = value
    return array
