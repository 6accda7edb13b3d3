"""`check` on annotations alone, on what is published, and on streams that were swapped."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data_folders import feature_file, read_database, write_basnet, write_database, write_wtalc
from typer.testing import CliRunner

from amslib import load
from amslib.cli import app
from amslib.data import check, read_annotations
from amslib.data.oddities import annotation_oddities
from amslib.data.published import KNOWN, compare, mark
from amslib.data.streams import MOST, margins, swapped, turned

pytestmark = pytest.mark.slow

DATA = Path(__file__).parents[2] / "shared" / "data"
real = pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data")


def problems(report) -> Counter:
    return Counter((f.level, f.problem) for f in report.findings)


@real
def test_the_quirks_of_thumos14():
    report = check(DATA / "thumos14" / "wtalc" / "Thumos14reduced-Annotations")
    assert report.ok
    assert problems(report) == {
        ("warning", "labels"): 28,
        ("warning", "past the end"): 5,
        ("warning", "ambiguous alone"): 1,
        ("warning", "twofold"): 1,
    }
    by = {p: [f for f in report.findings if f.problem == p] for _, p in problems(report)}
    assert by["ambiguous alone"][0].video == "video_test_0001292"
    past = {f.video: int(f.message.split()[0]) for f in by["past the end"]}
    assert past == {
        "video_validation_0000364": 2,
        "video_validation_0000856": 2,
        "video_test_0000270": 22,
        "video_test_0000814": 3,
        "video_test_0001081": 1,
    }
    assert [f.video for f in by["past the end"]] == [
        "video_test_0000270",
        "video_test_0000814",
        "video_validation_0000364",
        "video_test_0001081",
        "video_validation_0000856",
    ]
    assert "every segment of CliffDiving is annotated as Diving" in by["twofold"][0].message
    assert [s.split(", the test")[0] for s in report.agreed] == [
        "THUMOS14, train: 200 videos with 3007 instances, everyone's training videos",
        "THUMOS14, test: 212 videos with 3358 instances",
        "annotations alone: no features were read",
    ]


@real
def test_the_quirks_of_activitynet():
    report = check(DATA / "activitynet12" / "activity_net.v1-2.min.json")
    assert report.ok
    assert problems(report) == {("warning", "degenerate"): 10, ("warning", "repeated"): 21}
    assert "4819 videos with 7151 instances" in report.agreed[0]
    assert "2383 videos with 3582 instances" in report.agreed[1]


@real
def test_other_test_videos_are_told_apart():
    assert "210 videos with 3311" in check(DATA / "thumos14" / "basnet" / "gt.json").agreed[1]
    dataset = read_annotations(DATA / "thumos14" / "basnet" / "gt.json")
    agreed, (wrong,) = compare(replace(dataset, test=dataset.test[:-1]), "gt.json")
    assert len(agreed) == 1 and "test has 209 videos with" in wrong.message
    assert "210 videos with 3311 instances or 212" in wrong.message
    assert "BaS-Net" in wrong.mend


@real
def test_the_papers_213_videos_are_known():
    dataset = read_annotations(DATA / "thumos14" / "wtalc" / "Thumos14reduced-Annotations")
    more = (*dataset.test, replace(dataset.test[0], id="video_test_0001292", segments=()))
    agreed, found = compare(replace(dataset, test=more), "")
    assert "213 videos with 3358 instances, the test videos of the paper" in agreed[1] and not found


def test_unknown_data_are_compared_with_nothing(tmp_path):
    dataset = load(write_basnet(tmp_path))
    assert compare(dataset, "gt.json") == ([], [])
    assert mark(["Cliff Diving", "b"]) == mark(["B", "cliffdiving"]) not in KNOWN


# Annotations


def test_annotations_alone(tmp_path):
    (tmp_path / "wtalc").mkdir()
    (tmp_path / "basnet").mkdir()
    folder = next(write_wtalc(tmp_path / "wtalc").glob("*-Annotations"))
    file = write_basnet(tmp_path / "basnet") / "gt.json"
    for source in (folder, file):
        report = check(source)
        assert report.ok and report.agreed == ("annotations alone: no features were read",)
        assert report.counts["train"]["instances"] == 3
    told = CliRunner().invoke(app, ["check", str(file)])
    assert told.exit_code == 0 and "no features were read" in told.stdout


def test_oddities_of_a_json(tmp_path):
    folder = write_basnet(tmp_path)
    database = read_database(folder)
    a, b = database["video_a"]["annotations"], database["video_b"]["annotations"]
    a.append(a[0] | {"segment": [str(float(t) + 5e-4) for t in a[0]["segment"]]})
    b.append(b[0] | {"segment": [str(float(t) + 5e-2) for t in b[0]["segment"]]})
    b[0]["label"] = "Swim"
    b.append(b[0] | {"label": "Dive"})
    database["video_c"]["annotations"] = [{"segment": [1, 2], "label": "Ambiguous"}]
    write_database(folder, database)
    found = annotation_oddities(load(folder), "gt.json", "gt.json")
    assert {(f.problem, f.video) for f in found} == {
        ("repeated", "video_a"),
        ("ambiguous alone", "video_c"),
        ("twofold", ""),
    }


def test_arrays_of_no_video_are_told(tmp_path):
    folder = write_basnet(tmp_path)
    np.save(feature_file(folder, "video_a", "rgb").with_name("video_x.npy"), np.zeros((2, 8)))
    (found,) = check(folder).findings
    assert found.problem == "unlisted"
    assert "1 arrays of no training or test video (video_x.npy)" in found.message


def test_an_array_that_cannot_be_opened_belongs_to_its_video(tmp_path):
    folder = write_basnet(tmp_path)
    feature_file(folder, "video_a", "rgb").write_bytes(b"no array")
    assert {(f.problem, f.video) for f in check(folder).findings} == {("unreadable", "video_a")}


# Streams


def means(dataset):
    return [
        (v.id, {s: np.asarray(x, float).mean(0) for s, x in v.features.items()})
        for v in (*dataset.train, *dataset.test)
    ]


def swap(rows, i):
    name, by = rows[i]
    return [*rows[:i], (name, dict(zip(by, reversed(by.values()), strict=True))), *rows[i + 1 :]]


@real
def test_nine_of_ten_real_videos_are_found_when_their_streams_are_swapped():
    rows = means(load(DATA / "activitynet10", snippet_seconds=2.56))
    straight = margins(np.array([list(by.values()) for _, by in rows]))
    assert len(rows) == 10 and straight.min() > 0.2 and swapped(rows, "") == []
    found = 0
    for i, (name, _) in enumerate(rows):
        crosswise = margins(np.array([list(by.values()) for _, by in swap(rows, i)]))
        assert crosswise[i] == pytest.approx(-straight[i])
        videos = [finding.video for finding in swapped(swap(rows, i), "")]
        assert videos in ([], [name])
        found += len(videos)
    assert found == 9


@pytest.mark.parametrize("source", ["synthetic-tiny"])
def test_generated_streams_raise_no_alarm_and_are_found_when_swapped(source):
    rows = means(load(source))
    assert swapped(rows, "") == []
    for i in range(0, len(rows), 7):
        assert [finding.video for finding in swapped(swap(rows, i), "")] == [rows[i][0]]


def test_too_few_videos_or_other_widths_are_not_judged():
    rng = np.random.default_rng(0)
    both = world(rng, 7, 40, 4, 0)
    both[3] = both[3, ::-1]
    few = [(f"v{i}", dict(zip(("rgb", "flow"), x, strict=True))) for i, x in enumerate(both)]
    assert swapped(few, "") == []
    uneven = [
        (f"v{i}", {"rgb": rng.normal(size=40), "flow": rng.normal(size=50)}) for i in range(9)
    ]
    assert swapped(uneven, "") == []


def world(rng, videos, width, difference, spread):
    """Mean features of videos whose two streams differ by so much, (videos, 2, width); each video
    has an appearance of its own, of another strength.
    """
    streams = difference * rng.normal(size=(2, width))
    strength = np.exp(spread * rng.normal(size=(videos, 1, 1)))
    own = strength * (rng.normal(size=(videos, 1, width)) + rng.normal(size=(videos, 2, width)))
    return np.maximum(streams + own, 0)  # as after a ReLU


@pytest.mark.parametrize("videos, allowed", [(10, 0.03), (40, 0.01), (218, 0)])
def test_nothing_is_reported_where_nothing_is_swapped(videos, allowed):
    """However much or little the streams differ; that a margin is negative is not enough."""
    rng, alarms, negative, sets = np.random.default_rng(videos), 0, 0, 0
    for width in (16, 64, 256):
        for difference in (0, 0.1, 0.2, 0.4, 0.8, 2):
            for spread in (0, 0.5, 1):
                for _ in range(400 // videos):
                    margin = margins(world(rng, videos, width, difference, spread))
                    alarms += len(turned(margin)) > 0
                    negative += 0 < (margin < 0).mean() <= MOST
                    sets += 1
    assert alarms <= allowed * sets and negative > 0.1 * sets


@pytest.mark.parametrize("videos", [12, 40, 218])
def test_a_tenth_that_is_swapped_is_found(videos):
    rng = np.random.default_rng(videos)
    for spread in (0, 0.5):
        both = world(rng, videos, 64, 2, spread)
        assert turned(margins(both)).size == 0
        odd = rng.permutation(videos)[: videos // 10]
        both[odd] = both[odd, ::-1]
        assert turned(margins(both)).tolist() == sorted(odd)


def test_a_video_unlike_all_others_is_not_taken_for_swapped():
    """A black video has streams that are like neither."""
    both = world(np.random.default_rng(0), 60, 64, 2, 0.2)
    both[7] = 0
    both[8] = both[8].mean(0)
    assert turned(margins(both)).size == 0


def test_narrow_features_are_not_judged():
    rng = np.random.default_rng(0)
    both = world(rng, 30, 15, 4, 0)
    both[3] = both[3, ::-1]
    rows = [(f"v{i}", dict(zip(("rgb", "flow"), x, strict=True))) for i, x in enumerate(both)]
    assert swapped(rows, "") == []


@pytest.mark.parametrize("width", [1, 60])
def test_features_that_do_not_vary_are_not_judged(width):
    flat = [(f"v{i}", dict(rgb=np.full(width, i + 0.1), flow=np.ones(width))) for i in range(9)]
    assert swapped(flat, "") == []


# The report


def test_the_report_counts_wraps_and_names_the_mend_once(tmp_path):
    folder = write_basnet(tmp_path)
    file = feature_file(folder, "video_a", "rgb")
    np.save(file, np.full((20, 8), np.nan, np.float32))
    np.save(file.with_name("video_x.npy"), np.zeros((2, 8)))
    database = read_database(folder)
    database["video_a"]["annotations"] *= 2
    write_database(folder, database)
    told = CliRunner().invoke(app, ["check", str(folder), "--snippet-seconds", "2.56"])
    assert told.exit_code == 1
    heads = [line for line in told.stdout.splitlines() if line.startswith(("error", "warning"))]
    assert heads == [
        "error: nan, 1 video",
        "warning: duration, 3 videos",
        "warning: repeated, 1 video",
        "warning: unlisted",
    ]
    assert told.stdout.count("fits 3 of 3 videos") == 1 and "Also video_b, video_c." in told.stdout
    assert told.stdout.endswith("\n1 error, 5 warnings, in 3 of 3 videos\n")
    lines = [line for line in told.stdout.splitlines() if str(tmp_path) not in line]
    assert max(map(len, lines)) <= 80


def test_annotations_alone_have_no_snippets_to_count(tmp_path):
    told = CliRunner().invoke(app, ["check", str(write_basnet(tmp_path) / "gt.json")]).stdout
    assert "train: 2 videos, 3 instances, 2 classes\n" in told and "snippets" not in told
