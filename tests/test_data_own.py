"""Your own files: any width, any rate, labels in a csv, segments or none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_folders import LENGTHS, SEGMENTS, features
from typer.testing import CliRunner

from amslib import Config, evaluate, load, read_detections, train
from amslib.cli import app
from amslib.data import DataError, check

LABELS = """\
video,subset,labels,duration
video_a,train,Jump;Dive,10.2
video_b,train,Dive,15.6
video_c,test,,6.1
"""


def write_own(folder: Path, segments: bool = True, streams=("",), width: int = 5) -> Path:
    """Three videos of half-second snippets; one stream without a name, or several with one."""
    for stream in streams:
        home = folder / "features" / stream
        home.mkdir(parents=True)
        for video in LENGTHS:
            np.save(home / f"{video}.npy", features(video, stream, width))
    (folder / "labels.csv").write_text(LABELS)
    if segments:
        rows = [f"{v},{s},{e},{k}" for v in ("video_c",) for s, e, k in SEGMENTS[v]]
        (folder / "segments.csv").write_text("\n".join(["video,start,end,label", *rows]) + "\n")
    return folder


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_own(tmp_path)


def test_what_is_loaded(folder):
    dataset = load(folder, snippet_seconds=0.5)
    assert dataset.classes == ("Dive", "Jump") and dataset.streams == ("features",)
    a, b = dataset.train
    (c,) = dataset.test
    assert (a.id, a.labels, a.segments, a.duration) == ("video_a", ("Dive", "Jump"), (), 10.2)
    assert b.labels == ("Dive",) and b.snippet_seconds == 0.5
    assert c.segments == tuple(SEGMENTS["video_c"]) and c.labels == ("Jump",)
    np.testing.assert_array_equal(a.features["features"], features("video_a", "", 5))
    assert isinstance(a.features["features"], np.memmap)
    assert check(folder, snippet_seconds=0.5).findings == ()


def test_streams_have_any_name(tmp_path):
    dataset = load(write_own(tmp_path, streams=("clip", "audio")), snippet_seconds=0.5)
    assert set(dataset.streams) == {"clip", "audio"}


@pytest.mark.slow
def test_from_a_folder_to_detections_without_one_boundary(tmp_path):
    folder, run = write_own(tmp_path / "mine", segments=False), str(tmp_path / "run")
    found = tmp_path / "found.json"
    quick = ["steps_per_epoch=3", "epochs_zero=1", "epochs=1", "iterations=1"]
    settings = [word for pair in quick for word in ("--set", pair)]
    step = ["--snippet-seconds", "0.5"]
    commands = [
        ["check", str(folder), *step],
        ["train", "--data", str(folder), "--out", run, *step, *settings],
        ["predict", "--run", run, "--out", str(found)],
    ]
    for command in commands:
        told = CliRunner().invoke(app, command)
        assert told.exit_code == 0, told.output
    assert {d.video for d in read_detections(found)} == {"video_c"}
    told = CliRunner().invoke(app, ["evaluate", "--run", run])
    assert isinstance(told.exception, ValueError)
    assert "no segment in any of the 1 videos" in str(told.exception)


def test_segments_of_training_videos_play_no_part_in_training(folder, tmp_path):
    config = Config(steps_per_epoch=3, epochs_zero=1, epochs=1, iterations=1)
    with_none = train(load(folder, snippet_seconds=0.5), config)
    with open(folder / "segments.csv", "a") as file:
        file.write("video_a,1,2,Jump\n")
    dataset = load(folder, snippet_seconds=0.5)
    assert dataset.train[0].segments and train(dataset, config).history == with_none.history
    assert evaluate(with_none.predict(dataset.test), dataset.test).map.shape == (7,)


HEAD, SEG = "video,subset,labels\n", "video,start,end,label\n"
WRONG = [
    ("labels.csv", "name;subset;labels\n", "first line is 'name;subset;labels' where video,subset"),
    ("labels.csv", "name\tsubset\tlabels\n", "entries separated by commas"),
    ("labels.csv", "", "the first line is ''"),
    (
        "labels.csv",
        HEAD + "video_a,validation,Jump\n",
        "subset is neither train nor test",
    ),
    ("labels.csv", HEAD + "video_a,train,J\nvideo_a,test,J\n", "line 3 .*video is named twice"),
    ("labels.csv", HEAD + "video_a,train\n", "line 2 has 2 entries where 3 were expected"),
    ("labels.csv", HEAD + "video_a,train,Jump,Dive\n", 'put "quotes" around one that has a comma'),
    ("labels.csv", LABELS + "video_x,train,Jump,\n", r"video_x\.npy: video_x: no features\."),
    ("labels.csv", HEAD[:-1] + ",duration\nvideo_a,train,J,long\n", "duration is no number"),
    ("labels.csv", HEAD + ",train,Jump\n", "line 2 .*video has no name"),
    ("segments.csv", SEG + "video_c,one,2,Jump\n", "line 2 .*start is no number of sec"),
    ("segments.csv", SEG + "video_c,1,nan,Jump\n", "line 2 .*end is no number of sec"),
    ("segments.csv", SEG + "video_y,1,2,Jump\n", "video_y: segments of a video that labels.csv"),
    ("segments.csv", "video,start,stop,label\n", "'video,start,stop,label' where video,start,end"),
]


@pytest.mark.parametrize("name, text, message", WRONG)
def test_what_a_beginner_may_meet(folder, name, text, message):
    (folder / name).write_text(text)
    with pytest.raises(DataError, match=message) as told:
        load(folder, snippet_seconds=0.5)
    assert name in str(told.value) or "npy" in message
    assert not check(folder, snippet_seconds=0.5).ok


def test_excel_may_begin_with_a_mark(folder):
    before = load(folder, snippet_seconds=0.5).fingerprint
    (folder / "labels.csv").write_text(LABELS, encoding="utf-8-sig")
    assert load(folder, snippet_seconds=0.5).fingerprint == before
    (folder / "labels.csv").write_bytes(LABELS.encode("utf-16"))
    with pytest.raises(DataError, match=r"labels\.csv: no csv file .*UTF-8"):
        load(folder)


def test_transposed_arrays_are_told(folder):
    for file in (folder / "features").glob("*.npy"):
        np.save(file, np.load(file).T.copy())
    with pytest.raises(DataError, match=r"every array has 5 rows .*Save each as \(T, D\)"):
        load(folder, snippet_seconds=0.5)
