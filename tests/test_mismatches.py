"""Names, labels and annotations that only one side of an evaluation has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from amslib import evaluate, evaluate_panel, load
from amslib.data import DataWarning, check, read_annotations
from amslib.data.video import Video
from amslib.detections import Detection, read_detections, read_ground_truth
from amslib.mismatches import undetected, unscored_labels
from amslib.protocols import PROTOCOLS

SHARED = Path(__file__).parents[2] / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/data")
TRUTH = [
    Video("lab_1", labels=("Wave",), segments=((0.0, 4.0, "Wave"), (6.0, 9.0, "Pick up"))),
    Video("lab_2", labels=("Wave",), segments=((2.0, 5.0, "Wave"),)),
]
RIGHT = [Detection(v.id, c, s, e, 0.5) for v in TRUTH for s, e, c in v.segments]


def swapped(field, old, new):
    return [d._replace(**{field: new}) if d[field == "label"] == old else d for d in RIGHT]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_names_that_fit_are_not_remarked(protocol):
    assert evaluate(RIGHT, TRUTH, (0.5,), protocol).map == pytest.approx([1])


@pytest.mark.parametrize("given", ["v_lab_2", "Lab 2", "LAB-2", "lab_2.mp4", "v_Lab2"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_video_of_another_spelling(given, protocol):
    told = rf"1 of 3 detections has a video .*: '{given}' \(did you mean 'lab_2'\?\); 1 of its 2 v"
    with pytest.warns(DataWarning, match=told) as warned:
        evaluate(swapped("video", "lab_2", given), TRUTH, protocol=protocol)
    assert len(warned) == 1 and warned[0].filename == __file__


@pytest.mark.parametrize("given", ["PickUp", "pick_up", "Pick  up", "pick-up "])
def test_a_label_of_another_spelling(given):
    told = rf"1 of 3 detections has a label .*: '{given}' \(did you mean 'Pick up'\?\); 1 of its 2"
    with pytest.warns(DataWarning, match=told):
        result = evaluate(swapped("label", "Pick up", given), TRUTH)
    assert result.map == pytest.approx([0.5] * 7)


def test_names_that_are_like_no_other():
    extra = [Detection("roof", "Wave", 0, 1, 0.1), *[Detection("lab_1", "Sing", 0, 1, 0.1)] * 2]
    evaluate(RIGHT + extra[1:], TRUTH)  # changes no score
    with pytest.warns(DataWarning, match="a video that .* does not have: 'roof'. They") as warned:
        evaluate_panel(RIGHT + extra, TRUTH)
    assert len(warned) == 1
    told = "2 of 4 detections have a label that .* 'Sing'; 1 of its 2 labels has no .*'Pick up'"
    with pytest.warns(DataWarning, match=told):
        evaluate(RIGHT[::2] + extra[1:], TRUTH)


def test_many_names_are_counted_and_three_are_shown():
    extra = [Detection(f"roof {k}", "Wave", 0, 1, 0.1) for k in range(50)]
    with pytest.warns(DataWarning, match=r"50 of 53 .*'roof 0', 'roof 1', 'roof 2', \.\."):
        evaluate(RIGHT + extra, TRUTH)


def test_none_that_fits_is_told_what_was_meant():
    truth = [Video(name, segments=((0.0, 1.0, "x"),)) for name in ("v_0", "v_a", "v_b")]
    with pytest.warns(DataWarning, match="none of 1 .* has 'a', the ground truth 'v_a'. Name"):
        evaluate([Detection("a", "x", 0, 1, 0.5)], truth)


def test_videos_that_thumos14_leaves_out_are_not_remarked():
    extra = [Detection("video_test_0001292", "Wave", 0, 1, 0.1)]
    assert evaluate(RIGHT + extra, TRUTH).map == pytest.approx([1] * 7)


def test_a_class_that_labels_a_video_is_known():
    videos = [*TRUTH, Video("lab_3", labels=("Sing",))]
    evaluate([*RIGHT, Detection("lab_1", "Sing", 0, 1, 0.1)], videos)
    told = r"1 of 4 detections are of a class .* no segment there \('Sing' in 'lab_3'\)"
    with pytest.warns(DataWarning, match=told):
        evaluate([*RIGHT, Detection("lab_3", "Sing", 0, 1, 0.9)], videos)
    apart = [*TRUTH, Video("lab_3", labels=("Sing",), ambiguous=((0.0, 2.0),))]
    evaluate([*RIGHT, Detection("lab_3", "Sing", 0, 1, 0.9)], apart)


def test_undetected():
    videos = [*TRUTH, Video("empty")]
    assert undetected(RIGHT[:2], videos) == ["lab_2"]
    assert undetected(RIGHT, videos) == []


def test_what_a_warning_has_named_is_not_named_again():
    """The command line prints the warnings and then what these two leave."""
    extra = [Detection("lab_1", "Sing", 0, 1, 0.1)]
    assert unscored_labels(RIGHT + extra, TRUTH) == ["Sing"]  # no warning: it changes no score
    assert unscored_labels(swapped("label", "Pick up", "PickUp"), TRUTH) == []
    assert unscored_labels([d._replace(label="Sing") for d in RIGHT], TRUTH) == []
    assert undetected(swapped("video", "lab_2", "v_lab_2"), TRUTH) == []
    labelled = [*TRUTH, Video("lab_3", labels=("Sing",))]
    assert unscored_labels(RIGHT + extra, labelled) == []


@needs_shared
@pytest.mark.parametrize("name", ["S1", "S2", "S3", "S4"])
def test_released_detections_are_not_remarked(name):
    file = SHARED / "detections" / f"{name}.json.gz"
    evaluate(read_detections(file), read_ground_truth(file))


# The rule of test videos without segments


def plain(folder, videos):
    import numpy as np

    (folder / "features" / "rgb").mkdir(parents=True)
    about = {"format": 1, "name": "mine", "classes": ["Sing", "Wave"], "videos": videos}
    (folder / "dataset.json").write_text(json.dumps(about))
    for video in videos:
        np.save(folder / "features" / "rgb" / f"{video}.npy", np.ones((20, 4), np.float32))
    return folder


def entries(**test):
    train = {f"t{i}": {"subset": "train", "labels": [c]} for i, c in enumerate(("Sing", "Wave"))}
    return train | {name: {"subset": "test"} | entry for name, entry in test.items()}


def test_a_labelled_test_video_without_segments_is_remarked(tmp_path):
    rows = {"segments": [[0, 3, "Wave"]]}
    folder = plain(tmp_path / "a", entries(a=rows, b={"labels": ["Sing"]}))
    with pytest.warns(DataWarning, match="b: a test video labelled Sing without a segment of it"):
        load(folder)
    assert [f.video for f in check(folder).findings if f.problem == "not annotated"] == ["b"]


def test_test_videos_of_which_none_has_segments_are_for_no_evaluation(tmp_path):
    folder = plain(tmp_path / "a", entries(a={"labels": ["Wave"]}, b={"labels": ["Sing"]}))
    assert len(load(folder).test) == 2


@needs_shared
@pytest.mark.parametrize(
    "name",
    [
        "thumos14/wtalc/Thumos14reduced-Annotations",
        "thumos14/basnet/gt.json",
        "thumos14/actionformer/gt_full.json",
        "activitynet12/activity_net.v1-2.min.json",
    ],
)
def test_released_annotations_are_not_remarked(name):
    assert not {"no segment", "no test segments"} & {
        f.problem for f in check(SHARED / name).findings
    }
    assert read_annotations(SHARED / name).test
