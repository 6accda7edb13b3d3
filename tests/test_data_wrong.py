"""Whatever is wrong or missing gives one error or warning: the file, the video and the mend."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from data_folders import (
    LENGTHS,
    STEP,
    feature_file,
    features,
    objects,
    read_database,
    write_basnet,
    write_database,
    write_wtalc,
)
from test_data_pickles import touch

from amslib.data import DataError, DataNotFoundError, DataWarning, load
from amslib.data.findings import by_problem, describe, warning


def joint_arrays():
    return [np.hstack([features(v, "rgb"), features(v, "flow")]) for v in LENGTHS]


def test_no_such_folder_or_name():
    with pytest.raises(
        DataNotFoundError, match="synthetik: neither a folder nor .* synthetic-tiny"
    ):
        load("synthetik")
    with pytest.raises(FileNotFoundError):
        load("synthetik")


def test_an_unknown_layout_says_what_was_looked_for(tmp_path):
    (tmp_path / "gt.json").write_text("{}")
    pattern = r"no known layout; looked for .*BaS-Net, CoLA: gt\.json, .*\(not there: split_train"
    with pytest.raises(DataError, match=pattern):
        load(tmp_path)


def test_unknown_options_are_named(tmp_path):
    with pytest.raises(TypeError, match="unknown option stride, width .* takes snippet_seconds"):
        load(write_basnet(tmp_path), stride=4, width=3)


@pytest.mark.parametrize("value", [0, -0.64, float("nan"), float("inf"), "0.64"])
def test_a_wrong_step_is_named(tmp_path, value):
    with pytest.raises(ValueError, match=f"snippet_seconds is {value!r}; it must be a positive"):
        load(write_basnet(tmp_path), snippet_seconds=value)


def test_streams_of_different_length(tmp_path):
    folder = write_basnet(tmp_path)
    np.save(feature_file(folder, "video_b", "flow"), features("video_b", "flow")[:-1])
    pattern = r"rgb.video_b\.npy: video_b: .* length: 31 of rgb and 30 of flow\. Cut both"
    with pytest.raises(DataError, match=pattern):
        load(folder)


def test_a_width_unlike_the_others(tmp_path):
    folder = write_basnet(tmp_path)
    np.save(feature_file(folder, "video_c", "flow"), features("video_c", "flow", 7))
    pattern = r"flow.video_c\.npy: video_c: flow is 7 wide where most videos have 8\. Extract"
    with pytest.raises(DataError, match=pattern):
        load(folder)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((20, 8), np.int64), "rgb is int64 of shape (20, 8)"),
        (np.zeros((20, 4, 2)), "rgb is float64 of shape (20, 4, 2)"),
        (np.array(1.0), "rgb is float64 of shape ()"),
        (objects([1.0, 2.0]), "rgb is object of shape (2,)"),
    ],
)
def test_features_that_are_no_rows_of_floats(tmp_path, array, said):
    folder = write_basnet(tmp_path)
    np.save(feature_file(folder, "video_a", "rgb"), array, allow_pickle=True)
    with pytest.raises(DataError, match=r"rgb.video_a\.npy: video_a: .* floats \(T, D\)") as error:
        load(folder)
    assert said in str(error.value)


def test_a_video_without_features(tmp_path):
    folder = write_basnet(tmp_path)
    feature_file(folder, "video_b", "flow").unlink()
    pattern = r"flow.video_b\.npy: video_b: no flow features\. Add the file, or .* split_train\.txt"
    with pytest.raises(DataError, match=pattern):
        load(folder)


def test_a_video_without_snippets(tmp_path):
    folder = write_basnet(tmp_path)
    for stream in ("rgb", "flow"):
        np.save(feature_file(folder, "video_b", stream), np.zeros((0, 8), np.float32))
    with pytest.raises(DataError, match=r"rgb.video_b\.npy: video_b: rgb has no snippet\. Extract"):
        load(folder)


def test_no_features_at_all(tmp_path):
    folder = write_basnet(tmp_path)
    (folder / "features").rename(folder / "elsewhere")
    (folder / "features").mkdir()
    with pytest.raises(DataError, match="none of features/{train,test}/{rgb,flow} is there"):
        load(folder)


def test_a_broken_feature_file_names_the_video(tmp_path):
    folder = write_basnet(tmp_path)
    feature_file(folder, "video_a", "rgb").write_bytes(b"not an array")
    with pytest.raises(DataError, match=r"rgb.video_a\.npy: video_a: not a whole \.npy file"):
        load(folder)


def test_a_video_that_is_not_annotated(tmp_path):
    folder = write_basnet(tmp_path)
    (folder / "split_test.txt").write_text("video_c\nvideo_d\n")
    with pytest.raises(DataError, match=r"split_test\.txt: video_d: not in gt\.json\. Annotate it"):
        load(folder)


def test_a_video_in_both_parts(tmp_path):
    folder = write_basnet(tmp_path)
    (folder / "split_train.txt").write_text("video_a\nvideo_a\nvideo_b\n")
    with pytest.raises(DataError, match="video_a: named 2 times. Keep it once"):
        load(folder)


def test_nan_is_found_when_the_stream_is_first_read(tmp_path):
    folder = write_basnet(tmp_path)
    array = features("video_a", "flow")
    array[[5, 9], 3] = np.nan
    np.save(feature_file(folder, "video_a", "flow"), array)
    video = load(folder).train[0]
    assert video.features["rgb"].shape == (20, 8)
    pattern = r"flow.video_a\.npy: video_a: row 5 is not finite \(2 of 20 rows of flow\)\. Extract"
    for _ in range(2):
        with pytest.raises(DataError, match=pattern):
            video.features["flow"]


def test_nan_in_a_joint_file_is_found_too(tmp_path):
    arrays = joint_arrays()
    arrays[1][7, 12] = np.inf
    video = load(write_wtalc(tmp_path, joint=objects(arrays))).train[1]
    assert video.features["rgb"].shape == (31, 8)
    with pytest.raises(DataError, match=r"JOINTFeatures\.npy: video_b: row 7 is not finite"):
        video.features["flow"]


def test_zero_rows_are_warned_of_once_per_data_set(tmp_path):
    folder = write_basnet(tmp_path)
    for video in ("video_a", "video_b"):
        np.save(feature_file(folder, video, "rgb"), np.pad(features(video, "rgb")[:-2], PAD))
    one, two = load(folder).train
    with pytest.warns(
        DataWarning, match=r"video_a: row 18 is zero throughout \(2 of 20 rows of rgb\)"
    ):
        one.features["rgb"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert one.features["rgb"].shape == (20, 8)
        assert two.features["rgb"].shape == (31, 8)


PAD = ((0, 2), (0, 0))


def test_a_class_that_is_not_in_the_class_list(tmp_path):
    labels = objects([["Jump", "Dive"], ["Swim"], ["Jump", "Jump"]])
    pattern = r"labels\.npy: video_b: class 'Swim' is not in classlist\.npy\. Correct the label"
    with pytest.raises(DataError, match=pattern):
        load(write_wtalc(tmp_path, labels=labels))


@pytest.mark.parametrize("durations", [True, False])
def test_a_segment_past_the_end_is_kept_and_warned_of(tmp_path, durations):
    folder = write_basnet(tmp_path, durations=durations)
    database = read_database(folder)
    database["video_c"]["annotations"][1]["segment"] = ["3.0", "60"]
    write_database(folder, database)
    other = "the duration" if durations else "snippet_seconds"
    pattern = rf"gt\.json: video_c: 1 segments end after .*\(60 s of .* times, or {other}, if wrong"
    with pytest.warns(DataWarning, match=pattern) as warned:
        dataset = load(folder, snippet_seconds=0.64)
    assert len(warned) == 1
    assert dataset.test[0].segments[1] == (3.0, 60.0, "Jump")


@pytest.mark.parametrize("duration", [None, "known"])
def test_the_same_in_a_joint_file(tmp_path, duration):
    segments = objects([[[0.5, 3.0], [4.0, 6.5]], [[2.0, 90.0]], [[1.0, 2.5], [3.0, 4.0]]])
    changed = {"segments": segments} | ({"duration": None} if duration is None else {})
    folder = write_wtalc(tmp_path, **changed)
    with pytest.warns(DataWarning, match=r"video_b: 1 segments end after the video") as warned:
        dataset = load(folder, snippet_seconds=0.64)
        video = dataset.train[1]
        assert video.features["rgb"].shape == (31, 8)
    assert len(warned) == 1
    assert video.segments == ((2.0, 90.0, "Dive"),)


def test_durations_that_do_not_fit_the_step(tmp_path):
    pattern = (
        r"rgb.video_a\.npy: video_a: 20 snippets of 2\.56 s make 51\.2 s but the video lasts 13\.1"
        r" s\. Pass snippet_seconds=0\.64, which fits 3 of 3 videos\. The same in 2 more videos \("
        r"video_b, video_c\)"
    )
    with pytest.warns(DataWarning, match=pattern) as warned:
        load(write_basnet(tmp_path), snippet_seconds=2.56)
    assert len(warned) == 1


def test_durations_of_a_joint_file_are_compared_once_it_is_read(tmp_path):
    dataset = load(write_wtalc(tmp_path), snippet_seconds=2.56)
    with pytest.warns(DataWarning, match=r"Pass snippet_seconds=0\.64") as warned:
        for video in (*dataset.train, *dataset.test):
            assert len(video.features["flow"]) == LENGTHS[video.id]
    assert len(warned) == 1


def test_one_wrong_duration_does_not_suggest_another_step(tmp_path):
    folder = write_basnet(tmp_path)
    database = read_database(folder)
    database["video_b"]["duration"] = 4 * 31 * STEP
    write_database(folder, database)
    with pytest.warns(
        DataWarning, match="video_b: 31 snippets .* or correct its duration"
    ) as warned:
        load(folder)
    assert "snippet_seconds" not in str(warned[0].message)


def test_a_training_video_without_a_label(tmp_path):
    folder = write_basnet(tmp_path)
    database = read_database(folder)
    database["video_b"]["annotations"] = []
    write_database(folder, database)
    with pytest.warns(DataWarning, match=r"gt\.json: video_b: a training video without a label"):
        assert load(folder).train[1].labels == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"segment": ["a", "b"]}, r"segment \['a', 'b'\] of Jump is no pair of times"),
        ({"segment": ["1.0"]}, r"segment \['1\.0'\] of Jump is no pair of times"),
        ({"segment": ["1", "nan"]}, r"segment \['1', 'nan'\] of Jump is no pair of times"),
        ({"start": 0}, "an entry that cannot be read"),
    ],
)
def test_segments_that_cannot_be_read(tmp_path, change, said):
    folder = write_basnet(tmp_path)
    database = read_database(folder)
    database["video_a"]["annotations"][0] = {"label": "Jump"} | change
    write_database(folder, database)
    with pytest.raises(DataError, match=rf"gt\.json: video_a: {said}"):
        load(folder)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("no json", r"no json file \(Expecting value"),
        ("[]", "no json of the form"),
        ('{"videos": {}}', "no json of the form"),
        ('{"database": [1]}', "no json of the form"),
    ],
)
def test_a_json_of_another_form(tmp_path, content, told):
    folder = write_basnet(tmp_path)
    (folder / "gt.json").write_text(content)
    with pytest.raises(DataError, match=rf"gt\.json: {told}"):
        load(folder)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"labels": None}, r"labels\.npy: no such file"),
        ({"subset": np.array(["test"], "S")}, r"subset\.npy: 1 entries where videoname.npy has 3"),
        (
            {"segments": objects([[], [[0, 1]], [[0, 1], [1, 2]]])},
            "video_a: 0 segments but 2 labels",
        ),
        ({"joint": objects([1.0])}, r"features of shape \(1,\) where videoname.npy names 3 videos"),
    ],
)
def test_annotation_arrays_that_do_not_fit(tmp_path, changed, said):
    with pytest.raises(DataError, match=said):
        load(write_wtalc(tmp_path, **changed))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (None, r"video_b: shape \(\) where \(T, rgb and flow\) was expected"),
        (np.zeros((31, 15)), r"video_b: shape \(31, 15\) where \(T, rgb and flow\)"),
        (np.zeros((31, 12)), "video_b: rgb is 6 wide where most videos have 8"),
        (np.zeros((0, 16)), "video_b: rgb has no snippet"),
    ],
)
def test_rows_of_a_joint_file_that_cannot_be_used(tmp_path, row, said):
    arrays = joint_arrays()
    arrays[1] = row
    dataset = load(write_wtalc(tmp_path, joint=objects(arrays)))
    for _ in range(2):
        with pytest.raises(DataError, match=rf"JOINTFeatures\.npy: {said}"):
            dataset.test[0].features["rgb"]


@pytest.mark.parametrize("column", ["labels", "joint"])
def test_a_hostile_folder_runs_nothing(tmp_path, column):
    mark = tmp_path / "ran"
    hostile = objects([touch(mark)] * 3)
    folder = write_wtalc(tmp_path / "data", **{column: hostile})
    with pytest.raises(DataError, match="asks for (posix|nt).system"):
        load(folder).train[0].features["rgb"]
    assert not mark.exists()
    pickle.loads(pickle.dumps(hostile))
    assert mark.exists()


def test_many_videos_with_one_problem_make_one_message():
    found = [warning("p", f"file{k}", "message", "Mend", f"video{k}") for k in range(200)]
    (group,) = by_problem(found)
    assert describe(group) == (
        "file0: video0: message. Mend. The same in 199 more videos (video1, video2, ..)."
    )


def test_errors_come_before_warnings_and_count_the_other_kinds(tmp_path):
    folder = write_basnet(tmp_path)
    database = read_database(folder)
    database["video_a"]["annotations"][0]["segment"] = ["x", "y"]
    write_database(folder, database)
    feature_file(folder, "video_b", "flow").unlink()
    with pytest.raises(DataError, match=r"\(1 other kinds of problem: see .* check`\.\)$") as error:
        load(folder)
    assert {f.video for f in error.value.findings} == {"video_a", "video_b"}
