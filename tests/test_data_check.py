"""`check` reads everything and collects what `load` would stop at."""

from __future__ import annotations

import json

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

from amslib.data import DataError, check, load

COUNTS = {
    "classes": 2,
    "streams": {"rgb": 8, "flow": 8},
    "train": {"videos": 2, "instances": 3, "classes": 2, "snippets": 51},
    "test": {"videos": 1, "instances": 2, "classes": 1, "snippets": 12},
}


@pytest.mark.parametrize("write", [write_basnet, write_wtalc])
def test_good_data_have_counts_and_no_findings(tmp_path, write):
    report = check(write(tmp_path))
    assert report.ok and report.findings == ()
    assert report.counts == COUNTS
    assert json.loads(json.dumps(report.to_dict())) == {
        "source": str(tmp_path),
        "ok": True,
        "counts": COUNTS,
        "agreed": [],
        "snippets": "a snippet lasts 0.64 s, assumed (16 frames at 25 fps): "
        "pass snippet_seconds if yours differ",
        "findings": [],
    }


def test_every_problem_is_collected(tmp_path):
    folder = write_basnet(tmp_path)
    database = read_database(folder)
    database["video_a"]["annotations"][0]["segment"] = ["3.0", "3.0"]
    database["video_b"]["annotations"][0]["segment"] = ["3.0", "300.0"]
    database["video_b"]["duration"] = 90
    database["video_c"]["annotations"][0]["label"] = "Swim"
    database["video_c"]["annotations"][1]["segment"] = ["x", "y"]
    write_database(folder, database)
    bad = features("video_a", "rgb")
    bad[3], bad[4, 0] = 0, np.nan
    np.save(feature_file(folder, "video_a", "rgb"), bad)
    np.save(feature_file(folder, "video_a", "flow"), features("video_a", "flow")[:-2])
    feature_file(folder, "video_c", "flow").unlink()
    report = check(folder)
    assert not report.ok
    assert {(f.level, f.problem, f.video) for f in report.findings} == {
        ("error", "segment", "video_c"),
        ("error", "no features", "video_c"),
        ("error", "length", "video_a"),
        ("error", "nan", "video_a"),
        ("warning", "zero", "video_a"),
        ("warning", "degenerate", "video_a"),
        ("warning", "past the end", "video_b"),
        ("warning", "duration", "video_b"),
        ("warning", "untaught", ""),
    }
    assert [group[0].level for group in report.problems] == ["error"] * 4 + ["warning"] * 5
    assert all(f.file and f.message and f.mend for f in report.findings)
    with pytest.raises(DataError):
        load(folder)


def test_an_array_without_rows_is_a_finding(tmp_path):
    folder = write_basnet(tmp_path)
    np.save(feature_file(folder, "video_a", "rgb"), np.array(1.0))
    report = check(folder)
    assert [(f.problem, f.video) for f in report.findings] == [("array", "video_a")]
    assert report.counts["train"]["snippets"] == 31 and report.counts["streams"] == {
        "rgb": 8,
        "flow": 8,
    }


def test_warnings_alone_leave_the_data_usable(tmp_path):
    report = check(write_basnet(tmp_path), snippet_seconds=2.56)
    assert report.ok
    assert [f.problem for f in report.findings] == ["duration"] * 3


def test_a_joint_file_is_read_and_its_rows_are_checked(tmp_path):
    arrays = [np.ones((20, 16)), np.full((31, 16), np.nan), np.ones((12, 10))]
    report = check(write_wtalc(tmp_path, joint=objects(arrays)))
    assert {(f.problem, f.video) for f in report.findings} == {
        ("width", "video_c"),
        ("nan", "video_b"),
    }
    assert report.counts["train"]["snippets"] == 51


def test_what_is_no_data_set_is_a_finding(tmp_path):
    report = check(tmp_path / "nowhere")
    assert [f.problem for f in report.findings] == ["not found"] and not report.ok
    assert [f.problem for f in check(tmp_path).findings] == ["layout"]
    joint = objects([{"a": 1}] * 3)
    report = check(write_wtalc(tmp_path / "w", joint=joint))
    assert [f.problem for f in report.findings] == ["unsafe"] and not report.counts


def test_a_wrong_option_is_not_a_finding(tmp_path):
    with pytest.raises(TypeError, match="stride"):
        check(write_basnet(tmp_path), stride=4)


def test_generated_data_can_be_checked():
    report = check("synthetic-tiny")
    dataset = load("synthetic-tiny")
    assert report.ok and report.findings == ()
    assert report.counts["train"]["videos"] == len(dataset.train) > 0
