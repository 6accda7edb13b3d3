"""What one layout holds is the same in another, or it is said what is lost."""

from __future__ import annotations

import json
import os
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data_folders import (
    feature_file,
    features,
    objects,
    read_database,
    write_basnet,
    write_database,
    write_wtalc,
)
from test_data_real import THUMOS, real
from typer.testing import CliRunner

from amslib.cli import app
from amslib.data import DataError, Dataset, DataWarning, Video, convert, load, plain

FIELDS = ("id", "labels", "segments", "ambiguous", "duration", "snippet_seconds", "offset_seconds")


def assert_same(one, other, fields=FIELDS):
    """Every named field of every video, and all features, bit for bit."""
    assert (one.streams, len(one.train)) == (other.streams, len(other.train))
    videos = (*one.train, *one.test), (*other.train, *other.test)
    for a, b in zip(*videos, strict=True):
        for name in fields:
            assert getattr(a, name) == getattr(b, name), (a.id, name)
        assert a.features.keys() == b.features.keys()
        for stream, array in a.features.items():
            assert array.dtype == b.features[stream].dtype
            np.testing.assert_array_equal(array, b.features[stream])


def in_memory() -> Dataset:
    """What no other layout can hold: steps of their own, offsets, no durations, half floats."""
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float16)
    one = Video("a", {"rgb": x, "flow": x[:, ::-1]}, ("Dive",), duration=3.25)
    two = Video("b", {"rgb": x[:4], "flow": x[1:]}, ("Jump", "Dive"), ((0.1, 0.7, "Dive"),))
    apart = dict(labels=("Dive",), ambiguous=((1.5, 2),), snippet_seconds=4 / 29.97)
    three = replace(two, id="c", **apart)
    return Dataset("own", ("Jump", "Dive"), (one, two), (replace(three, offset_seconds=6 / 30),))


@pytest.mark.parametrize("writer", [write_basnet, write_wtalc])
def test_the_plain_layout_holds_all_of_a_folder(tmp_path, writer):
    dataset = load(writer(tmp_path / "data"))
    plain.write(dataset, tmp_path / "plain")
    again = load(tmp_path / "plain")
    assert (again.name, again.classes) == (dataset.name, dataset.classes)
    assert_same(again, dataset)
    assert isinstance(again.train[0].features["rgb"], np.memmap)


def test_the_plain_layout_holds_what_no_other_does(tmp_path):
    plain.write(in_memory(), tmp_path / "plain")
    again = load(tmp_path / "plain")
    assert again.classes == ("Jump", "Dive")
    assert_same(again, in_memory())


def test_arrays_are_plain_and_no_file_stays_open(tmp_path):
    plain.write(in_memory(), tmp_path)
    entry = json.loads((tmp_path / "dataset.json").read_text())["videos"]["a"]
    assert entry == {
        "subset": "train",
        "labels": ["Dive"],
        "duration": 3.25,
        "snippet_seconds": 0.64,
        "offset_seconds": 0.0,
    }
    for file in (tmp_path / "features").rglob("*.npy"):
        assert np.load(file, allow_pickle=False).dtype == np.float16


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted as on Linux")
def test_no_file_stays_open(tmp_path):
    plain.write(in_memory(), tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    dataset = load(tmp_path)
    for video in dataset.train:
        assert video.features["rgb"].shape == (video.num_snippets, 3)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("x")
    with pytest.raises(FileExistsError, match=f"{tmp_path.name}: not an empty folder"):
        plain.write(in_memory(), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


def test_what_cannot_be_read_leaves_no_data_set(tmp_path):
    folder = write_basnet(tmp_path / "data")
    array = features("video_c", "flow")
    array[3, 1] = np.nan
    np.save(feature_file(folder, "video_c", "flow"), array)
    with pytest.raises(DataError, match=r"video_c\.npy: video_c: row 3 is not finite"):
        plain.write(load(folder), tmp_path / "plain")
    assert not (tmp_path / "plain" / "dataset.json").exists()


@pytest.mark.parametrize("name", ["a/b", "..", "", "a\0"])
def test_names_that_are_no_names_of_files(tmp_path, name):
    data = in_memory()
    wrong = replace(data, train=(replace(data.train[0], id=name),))
    with pytest.raises(DataError, match="a name that cannot be that of a file"):
        plain.write(wrong, tmp_path / "plain")
    assert not (tmp_path / "plain").exists()


@pytest.mark.parametrize("to", ["plain", "basnet"])
def test_a_video_for_training_and_test(tmp_path, to):
    data = in_memory()
    twice = replace(data, train=(data.train[1],), test=(data.train[1],))
    with pytest.raises(DataError, match="b: named 2 times"), warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        convert(twice, tmp_path / "out", to)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("to", "name"), [("plain", "dataset.json"), ("basnet", "gt.json")])
def test_a_disk_that_is_full_leaves_no_data_set(tmp_path, monkeypatch, to, name):
    data, replace_ = load(write_basnet(tmp_path / "data")), Path.replace

    def full(part, file):
        if file.name == name:
            raise OSError(28, "No space left on device")
        replace_(part, file)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match=f"{name}: cannot be written .No space left"):
        convert(data, tmp_path / "out", to)
    assert (tmp_path / "out" / "features").is_dir() and not (tmp_path / "out" / name).exists()


def rewrite(folder, change):
    file = folder / "dataset.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.update(format=2), "format 2 where 1 is known"),
        (lambda c: c.pop("classes"), "no json .*KeyError"),
        (lambda c: c.update(videos=[1]), "no json .*AttributeError"),
        (lambda c: c.update(classes=[["Jump"]]), "is no name of a class"),
        (lambda c: c["videos"]["b"].update(subset="dev"), "b: .*subset .*dev"),
        (lambda c: c["videos"].update(b=3), "b: an entry that cannot be read"),
        (lambda c: c["videos"]["b"].update(labels="Dive"), "b: .*Dive.* is no list of names"),
        (lambda c: c["videos"]["b"].update(labels=["Swim"]), "b: class 'Swim' is not in the list"),
        (
            lambda c: c["videos"]["b"].update(segments=[[0, 1]]),
            "b: an entry .* was expected",
        ),
        (lambda c: c["videos"]["b"].update(segments=[[0, "x", "Dive"]]), "b: .* no pair of times"),
        (lambda c: c["videos"]["b"].update(ambiguous=[[0, None]]), "b: .* no finite number"),
        (lambda c: c["videos"]["b"].update(snippet_seconds=0), "b: .*snippet_seconds 0"),
        (lambda c: c["videos"]["b"].update(duration=10**400), "b: .* no finite number"),
        (lambda c: c["videos"].update({"../x": c["videos"]["b"]}), r"\.\./x: an entry"),
        (lambda c: c["videos"].update(d=c["videos"]["b"]), r"d\.npy: d: no flow features\. Add"),
    ],
)
def test_a_wrong_json_names_itself_and_the_video(tmp_path, change, said):
    plain.write(in_memory(), tmp_path)
    rewrite(tmp_path, change)
    with pytest.raises(DataError, match=said) as raised:
        load(tmp_path)
    assert str(tmp_path) in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b"\xff\xfe{", b"3"])
def test_a_json_that_is_none(tmp_path, content):
    plain.write(in_memory(), tmp_path)
    (tmp_path / "dataset.json").write_bytes(content)
    with pytest.raises(DataError, match=r"dataset\.json: no json"):
        load(tmp_path)


def test_labels_alone_are_enough(tmp_path):
    plain.write(in_memory(), tmp_path)
    rewrite(tmp_path, lambda c: [v.pop("segments", None) for v in c["videos"].values()])
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        assert [v.labels for v in load(tmp_path).train] == [("Dive",), ("Jump", "Dive")]


# BaS-Net's layout


def test_basnet_is_written_as_it_is_read(tmp_path):
    dataset = load(write_basnet(tmp_path / "data"))
    convert(dataset, tmp_path / "again" / "data", "basnet")
    again = load(tmp_path / "again" / "data")
    assert_same(again, dataset)
    assert again.fingerprint == dataset.fingerprint
    database = json.loads((tmp_path / "again" / "data" / "gt.json").read_text())["database"]
    assert database["video_b"]["annotations"] == [{"segment": ["2.0", "9.5"], "label": "Dive"}]


def test_what_basnet_cannot_hold_is_told(tmp_path):
    with pytest.warns(DataWarning) as warned:
        convert(in_memory(), tmp_path / "basnet", "basnet")
    said = [str(w.message).split("does not hold ")[1].split(". Keep")[0] for w in warned]
    assert said == [
        "the order of the classes",
        "seconds from one snippet to the next (they differ)",
        "where the first snippet begins",
        "ambiguous intervals",
        "labels of videos without segments, for readers other than amslib",
        "labels other than the classes of the segments",
    ]
    assert [v.labels for v in load(tmp_path / "basnet").train] == [("Dive",), ("Dive",)]


def test_a_step_and_other_streams_are_told(tmp_path):
    data = load(write_basnet(tmp_path / "data"))
    step = [replace(v, snippet_seconds=2.5, features={"x": v.features["rgb"]}) for v in data.train]
    with pytest.raises(DataError, match="layout holds streams rgb and flow, not x"):
        convert(replace(data, train=tuple(step), test=()), tmp_path / "no", "basnet")
    more = [{**v.features, "x": v.features["rgb"]} for v in data.train]
    step = [replace(v, features=x) for v, x in zip(step, more, strict=True)]
    with pytest.warns(DataWarning) as warned:
        convert(replace(data, train=tuple(step), test=()), tmp_path / "basnet", "basnet")
    said = " ".join(str(w.message) for w in warned)
    assert "(pass snippet_seconds=2.5 to load)" in said and "streams other than rgb" in said


def test_a_json_with_labels_alone(tmp_path):
    folder = write_basnet(tmp_path)
    database = read_database(folder)
    database["video_a"] = {"subset": "train", "labels": ["Jump", "Dive"]}
    write_database(folder, database)
    assert load(folder).train[0].labels == ("Dive", "Jump")
    database["video_a"]["labels"] = "Jump"
    write_database(folder, database)
    with pytest.raises(DataError, match=r"gt\.json: video_a: an entry .*no list of names"):
        load(folder)


def test_an_unknown_target(tmp_path):
    with pytest.raises(ValueError, match="to='wtalc'; expected one of 'plain', 'basnet'"):
        convert(in_memory(), tmp_path, "wtalc")


# Real annotations and features


def generated(lasts: float, mark: int, width: int) -> np.ndarray:
    """Features of as many snippets as a video of so many seconds has."""
    return np.random.default_rng(mark).normal(size=(int(lasts * 25 / 16), width)).astype("f4")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*segments end after:amslib.data.DataWarning")
def test_the_w_talc_annotations_of_thumos14(tmp_path):
    annotations, source = real(THUMOS), tmp_path / "data"
    source.mkdir()
    (source / annotations.name).symlink_to(annotations)
    lasts = np.load(annotations / "duration.npy")
    joint = objects([generated(float(x), k, 8) for k, x in enumerate(lasts.ravel())])
    np.save(source / "Thumos14reduced-I3D-JOINTFeatures.npy", joint, allow_pickle=True)
    whole = load(source)
    dataset = replace(whole, train=whole.train[::8], test=whole.test[::8])
    assert (len(dataset.train), len(dataset.test)) == (25, 27)
    assert (
        any(v.ambiguous for v in dataset.test) and dataset.train[0].features["flow"].shape[1] == 4
    )
    convert(dataset, tmp_path / "plain")
    again = load(tmp_path / "plain")
    assert again.classes == dataset.classes and len(again.classes) == 20
    assert_same(again, dataset)
    with pytest.warns(DataWarning, match="does not hold ambiguous intervals"):
        convert(again, tmp_path / "basnet", "basnet")
    kept = [name for name in FIELDS if name != "ambiguous"]
    assert_same(load(tmp_path / "basnet"), dataset, kept)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*segments end after:amslib.data.DataWarning")
def test_the_basnet_annotations_of_thumos14(tmp_path):
    """There are no durations; written back, the json is the one that was read."""
    source, folder = real("thumos14/basnet"), tmp_path / "data"
    meta = json.loads(real("thumos14/meta.json").read_text())
    folder.mkdir()
    (folder / "gt.json").symlink_to(source / "gt.json")
    for part in ("train", "test"):
        names = (source / f"split_{part}.txt").read_text().split()[::8]
        (folder / f"split_{part}.txt").write_text("\n".join(names))
        for mark, name in enumerate(names):
            for stream in ("rgb", "flow"):
                file = folder / "features" / part / stream / f"{name}.npy"
                file.parent.mkdir(parents=True, exist_ok=True)
                np.save(file, generated(meta[name]["duration_s"], mark, 4))
    dataset = load(folder, snippet_seconds=0.64)
    convert(dataset, tmp_path / "plain")
    assert_same(load(tmp_path / "plain"), dataset)
    assert all(v.duration is None for v in load(tmp_path / "plain").test)
    convert(load(tmp_path / "plain"), tmp_path / "basnet", "basnet")
    assert_same(load(tmp_path / "basnet", snippet_seconds=0.64), dataset)
    before, after = read_database(folder), read_database(tmp_path / "basnet")
    assert len(after) == 52

    def rows(entry):
        return [(*map(float, a["segment"]), a["label"]) for a in entry["annotations"]]

    assert all(rows(entry) == rows(before[name]) for name, entry in after.items())


def test_ten_real_videos_through_both(tmp_path):
    dataset = load(real("activitynet10"), snippet_seconds=2.56)
    convert(dataset, tmp_path / "plain")
    assert_same(load(tmp_path / "plain"), dataset)
    with pytest.warns(DataWarning, match=r"pass snippet_seconds=2\.56 to load") as warned:
        convert(load(tmp_path / "plain"), tmp_path / "basnet", "basnet")
    assert len(warned) == 1
    again = load(tmp_path / "basnet", snippet_seconds=2.56)
    assert again.classes == dataset.classes
    assert_same(again, dataset)


# The command


def test_the_command_converts_there_and_back(tmp_path):
    source = write_wtalc(tmp_path / "w")
    for words in (
        (source, "--out", tmp_path / "p", "-o", 'stream_order=["flow", "rgb"]'),
        (tmp_path / "p", "--out", tmp_path / "b", "--to", "basnet"),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # the order of the classes
            done = CliRunner().invoke(app, ["convert", *map(str, words)])
        assert done.exit_code == 0 and "3 videos written to" in done.stderr, done.output
        assert "%|" not in done.stderr
    swapped = load(source, stream_order=("flow", "rgb"))
    assert_same(load(tmp_path / "p"), swapped)
    assert_same(load(tmp_path / "b"), swapped, ("id", "segments", "duration", "snippet_seconds"))
