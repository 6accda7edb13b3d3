"""Both layouts: what is written is read back, lazily and memory-mapped, and is recognised."""

from __future__ import annotations

import builtins
import pickle

import numpy as np
import pytest
from data_folders import (
    LENGTHS,
    SEGMENTS,
    STEP,
    feature_file,
    features,
    objects,
    read_database,
    write_basnet,
    write_database,
    write_wtalc,
)

import amslib.data.features
from amslib.data import DataError, DataNotFoundError, DataWarning, load, read_annotations

WRITERS = {"basnet": write_basnet, "wtalc": write_wtalc}


@pytest.fixture(params=WRITERS)
def folder(request, tmp_path):
    return WRITERS[request.param](tmp_path / "data")


def test_values_and_annotations_are_those_written(folder):
    dataset = load(folder)
    assert [v.id for v in dataset.train] == ["video_a", "video_b"]
    assert [v.id for v in dataset.test] == ["video_c"]
    assert dataset.streams == ("rgb", "flow")
    for video in (*dataset.train, *dataset.test):
        assert video.segments == tuple(SEGMENTS[video.id])
        assert set(video.labels) == {row[2] for row in SEGMENTS[video.id]}
        assert video.duration == pytest.approx(LENGTHS[video.id] * STEP + 0.3)
        assert video.num_snippets == LENGTHS[video.id]
        assert video.snippet_seconds == STEP
        for stream in ("rgb", "flow"):
            np.testing.assert_array_equal(video.features[stream], features(video.id, stream))


def test_classes_follow_the_class_list_or_the_alphabet(tmp_path):
    assert load(write_wtalc(tmp_path / "w")).classes == ("Jump", "Dive")
    assert load(write_basnet(tmp_path / "b")).classes == ("Dive", "Jump")


def test_npy_features_are_memory_mapped(tmp_path):
    video = load(write_basnet(tmp_path)).train[0]
    assert isinstance(video.features["rgb"], np.memmap)
    assert not video.features["rgb"].flags.writeable


def test_values_are_checked_the_first_time_only(tmp_path, monkeypatch):
    video = load(write_basnet(tmp_path)).train[0]
    checked = []
    real = amslib.data.features.value_findings
    monkeypatch.setattr(
        amslib.data.features, "value_findings", lambda *args: checked.append(args[1]) or real(*args)
    )
    for stream in ("rgb", "rgb", "flow"):
        video.features[stream]
    assert checked == [feature_file(tmp_path, "video_a", s) for s in ("rgb", "flow")]


def test_load_reads_headers_alone(tmp_path, monkeypatch):
    folder = write_basnet(tmp_path)
    asked = []
    real = amslib.data.features.np.load
    monkeypatch.setattr(np, "load", lambda path, **kw: asked.append(path) or real(path, **kw))
    dataset = load(folder)
    assert [v.num_snippets for v in dataset.train] == [20, 31]
    assert asked == []
    assert dataset.train[1].features["flow"].shape == (31, 8)
    assert asked == [feature_file(folder, "video_b", "flow")]


def test_a_joint_file_is_read_once_and_late(tmp_path, monkeypatch):
    folder = write_wtalc(tmp_path)
    asked = []
    real = amslib.data.features.read_array
    monkeypatch.setattr(amslib.data.features, "read_array", lambda p: asked.append(p) or real(p))
    dataset = load(folder)
    assert asked == []
    for video in (*dataset.train, *dataset.test):
        assert video.features["rgb"].shape == (LENGTHS[video.id], 8)
    assert asked == [folder / "Tiny-I3D-JOINTFeatures.npy"]


def test_a_joint_file_of_videos_of_one_length_is_read(tmp_path):
    cube = np.stack([features("video_c", s, 16) for s in ("rgb", "flow", "x")])
    plain = np.array([[12 * STEP]] * 3)
    for name, joint in (("float", cube), ("object", cube.astype(object))):
        folder = write_wtalc(tmp_path / name, joint=joint, duration=plain, segments=SHORT)
        video = load(folder).train[1]
        np.testing.assert_array_equal(video.features["flow"], cube[1, :, 8:])
        assert video.features["flow"].dtype == np.float32


SHORT = objects([[[0.0, 1.0], [1.0, 2.0]], [[0.0, 1.0]], [[0.0, 1.0], [1.0, 2.0]]])


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_one_stream_is_enough(tmp_path, stream):
    dataset = load(write_basnet(tmp_path, streams=(stream,)))
    assert dataset.streams == (stream,)
    video = dataset.test[0]
    np.testing.assert_array_equal(video.features[stream], features(video.id, stream))


def test_the_split_files_decide_and_keep_their_order(tmp_path):
    folder = write_basnet(tmp_path)
    (folder / "split_train.txt").write_text("video_b\n\nvideo_a\n")
    assert [v.id for v in load(folder).train] == ["video_b", "video_a"]
    (folder / "split_train.txt").write_text("video_b")
    assert [v.id for v in load(folder).train] == ["video_b"]


def test_features_and_data_sets_can_be_pickled(folder):
    dataset = load(folder)
    before = dataset.train[0].features["rgb"]
    again = pickle.loads(pickle.dumps(dataset))
    np.testing.assert_array_equal(again.train[0].features["rgb"], before)
    assert again.fingerprint == dataset.fingerprint


def test_the_fingerprint_is_that_of_the_content(tmp_path):
    one, two = write_basnet(tmp_path / "one"), write_basnet(tmp_path / "two")
    assert load(one).fingerprint == load(two).fingerprint
    database = read_database(two)
    database["video_a"]["annotations"][0]["segment"] = ["0.5", "3.1"]
    write_database(two, database)
    assert load(one).fingerprint != load(two).fingerprint
    marks = {load(one).fingerprint}
    with pytest.warns(DataWarning, match="snippet_seconds=0.64, which fits 3 of 3"):
        marks.add(load(one, snippet_seconds=1.28).fingerprint)
    np.save(feature_file(one, "video_a", "rgb"), features("video_a", "rgb").astype(np.float64))
    marks.add(load(one).fingerprint)
    np.save(feature_file(one, "video_a", "rgb"), features("video_a", "rgb").astype(np.float64) + 1)
    marks.add(load(one).fingerprint)
    assert len(marks) == 4


def test_the_fingerprint_of_a_joint_file_needs_no_reading(tmp_path, monkeypatch):
    one, two = write_wtalc(tmp_path / "one"), write_wtalc(tmp_path / "two")
    other = write_wtalc(tmp_path / "other", subset=np.array(["validation", "test", "test"], "S"))
    longer = [np.ones((t + 1, 16), np.float32) for t in LENGTHS.values()]
    longer = write_wtalc(tmp_path / "longer", joint=objects(longer))
    changed = [np.ones((t, 16), np.float32) for t in LENGTHS.values()]
    changed = write_wtalc(tmp_path / "changed", joint=objects(changed))
    read = []
    monkeypatch.setattr(amslib.data.features, "read_array", read.append)
    marks = [load(folder).fingerprint for folder in (one, two, other, longer, changed)]
    assert marks[0] == marks[1] and len(set(marks)) == 4 and read == []


def test_video_level_labels_come_from_the_instances(tmp_path):
    folder = write_wtalc(tmp_path, labels_all=objects([["Jump"], ["Jump"], ["Dive"]]))
    train = load(folder).train
    assert [v.labels for v in train] == [("Jump", "Dive"), ("Dive",)]
    assert train[1].metadata["labels_all"] == ("Jump",)


def test_video_level_labels_serve_where_there_are_no_instances(tmp_path):
    labels, segments = objects([[], ["Dive"], []]), objects([[], [[2.0, 9.5]], []])
    dataset = load(write_wtalc(tmp_path, labels=labels, segments=segments))
    assert [v.labels for v in dataset.train] == [("Jump", "Dive"), ("Dive",)]
    assert dataset.train[0].segments == ()


def test_ambiguous_intervals_are_read(tmp_path):
    folder = write_wtalc(tmp_path)
    lines = "video_c  1.0 2.5\nvideo_c  3.0 4.0\n\nvideo_z  0.0 1.0\n"
    (folder / "Tiny-Annotations" / "Ambiguous_test.txt").write_text(lines)
    assert load(folder).test[0].ambiguous == ((1.0, 2.5), (3.0, 4.0))
    file = folder / "Tiny-Annotations" / "Ambiguous_test.txt"
    file.write_text("video_c 1.0\n")
    with pytest.raises(DataError, match=r"Ambiguous_test\.txt: line 1 is 'video_c 1\.0'"):
        load(folder)


def test_ambiguous_labels_of_a_json_are_intervals(tmp_path):
    folder = write_basnet(tmp_path)
    database = read_database(folder)
    row = {"segment": ["5.0", "6.0"], "label": "Ambiguous"}
    database["video_c"]["annotations"].append(row)
    write_database(folder, database)
    dataset = load(folder)
    assert dataset.test[0].ambiguous == ((5.0, 6.0),)
    assert dataset.classes == ("Dive", "Jump")


@pytest.mark.parametrize(
    ("names", "train", "test"),
    [
        ("train test", "train", "test"),
        ("Validation Test", "validation", "test"),
        ("training validation testing", "training", "validation"),
        ("training validation test", "training", "validation"),
        ("train validation test", "train", "test"),
        ("train validation", "train", "validation"),
    ],
)
def test_the_subsets_that_occur_tell_which_is_for_training(tmp_path, names, train, test):
    database = {f"in_{n.lower()}": {"subset": n, "annotations": []} for n in names.split()}
    dataset = read_annotations(write_database(tmp_path, database))
    assert [v.id for v in dataset.train] == [f"in_{train}"]
    assert [v.id for v in dataset.test] == [f"in_{test}"]


def test_unknown_subsets_are_named(tmp_path):
    file = write_database(tmp_path, {"v": {"subset": "dev", "annotations": []}})
    with pytest.raises(DataError, match=r"gt\.json: subsets \['dev'\] .* training/validation"):
        read_annotations(file)


def test_annotations_are_found_in_a_folder(tmp_path):
    basnet, wtalc = write_basnet(tmp_path / "b"), write_wtalc(tmp_path / "w")
    for path in (basnet, basnet / "gt.json", wtalc, wtalc / "Tiny-Annotations"):
        dataset = read_annotations(path)
        assert [v.segments for v in dataset.train] == [
            tuple(SEGMENTS["video_a"]),
            tuple(SEGMENTS["video_b"]),
        ]
        assert dataset.streams == () and dataset.train[0].num_snippets == 0
    with pytest.raises(DataNotFoundError, match="looked for a json file, classlist.npy"):
        read_annotations(tmp_path)


def test_extracted_fps_is_not_even_opened(tmp_path, monkeypatch):
    folder = write_wtalc(tmp_path, extracted_fps=objects([None]))
    opened = []
    real = builtins.open
    monkeypatch.setattr(
        builtins, "open", lambda path, *args: opened.append(str(path)) or real(path, *args)
    )
    load(folder)
    assert any(name.endswith("videoname.npy") for name in opened)
    assert not any(name.endswith("extracted_fps.npy") for name in opened)
