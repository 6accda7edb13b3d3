"""The real annotations and ten real videos, where they are on disk beside the project."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_folders import objects

from amslib.data import DataWarning, check, load, read_annotations

SHARED = Path(__file__).parents[2] / "shared" / "data"


def real(path: str) -> Path:
    if not (SHARED / path).exists():
        pytest.skip(f"needs real data in {SHARED / path}")
    return SHARED / path


THUMOS, ANET = "thumos14/wtalc/Thumos14reduced-Annotations", "activitynet12"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "videos", "instances", "classes"),
    [
        (THUMOS, (200, 212), (3007, 3358), 20),
        ("thumos14/basnet/gt.json", (200, 210), (3007, 3311), 20),
        ("thumos14/actionformer/gt_full.json", (200, 212), (3007, 3358), 20),
        (f"{ANET}/wtalc", (4819, 2383), (7151, 3582), 100),
        (f"{ANET}/activity_net.v1-2.min.json", (4819, 2383), (7151, 3582), 100),
    ],
)
def test_counts(path, videos, instances, classes):
    dataset = read_annotations(real(path))
    parts = dataset.train, dataset.test
    assert tuple(map(len, parts)) == videos
    assert tuple(sum(len(v.segments) for v in part) for part in parts) == instances
    assert len(dataset.classes) == classes
    known = set(dataset.classes)
    for video in (*dataset.train, *dataset.test):
        assert set(video.labels) == {s[2] for s in video.segments} <= known


def test_the_formats_of_thumos14_agree():
    wtalc = read_annotations(real(THUMOS))
    basnet = read_annotations(real("thumos14/basnet/gt.json"))
    actionformer = read_annotations(real("thumos14/actionformer/gt_full.json"))
    assert wtalc.classes == basnet.classes == actionformer.classes

    def rows(dataset):
        return {v.id: sorted(v.segments) for v in (*dataset.train, *dataset.test)}

    ours, theirs = rows(wtalc), rows(basnet)
    assert set(ours) - set(theirs) == {"video_test_0000270", "video_test_0001496"}
    assert all(ours[video] == theirs[video] for video in theirs)
    assert set(rows(actionformer)) == set(ours)
    lasts = {v.id: v.duration for v in (*wtalc.train, *wtalc.test)}
    for video in (*actionformer.train, *actionformer.test):
        assert video.duration == pytest.approx(lasts[video.id], abs=0.01)
    assert all(v.duration is None for v in basnet.train)


def test_thumos14_labels_come_from_instances():
    dataset = read_annotations(real(THUMOS))
    videos = (*dataset.train, *dataset.test)
    assert sum(set(v.labels) != set(v.metadata["labels_all"]) for v in videos) == 28


def test_thumos14_ambiguous_intervals():
    file = real(THUMOS) / "Ambiguous_test.txt"
    dataset = read_annotations(file.parent)
    names = [line.split()[0] for line in file.read_text().splitlines()]
    known = {v.id for v in dataset.test}
    assert set(names) - known == {"video_test_0001292"}
    count = sum(len(v.ambiguous) for v in dataset.test)
    assert count == sum(name in known for name in names) > 0


def test_features_beside_the_real_annotations_of_thumos14(tmp_path):
    annotations = real(THUMOS)
    (tmp_path / "Thumos14reduced-Annotations").symlink_to(annotations)
    plan = read_annotations(annotations)
    order = [n.decode() for n in np.load(annotations / "videoname.npy")]
    lengths = {v.id: int(v.duration * 25 / 16) for v in (*plan.train, *plan.test)}
    rows = objects([np.full((lengths[name], 4), k, np.float32) for k, name in enumerate(order, 1)])
    np.save(tmp_path / "Thumos14reduced-I3D-JOINTFeatures.npy", rows, allow_pickle=True)
    with pytest.warns(DataWarning, match="segments end after the video .* in 4 more") as warned:
        dataset = load(tmp_path)
        for video in (*dataset.train, *dataset.test):
            assert video.features["flow"].shape == (lengths[video.id], 2)
            assert video.features["rgb"][0, 0] == order.index(video.id) + 1
    assert len(warned) == 1 and dataset.name == "Thumos14reduced"


def test_ten_real_videos():
    folder = real("activitynet10")
    dataset = load(folder, snippet_seconds=2.56)
    assert (len(dataset.train), len(dataset.test), len(dataset.classes)) == (7, 3, 10)
    for video in (*dataset.train, *dataset.test):
        for stream in ("rgb", "flow"):
            array = video.features[stream]
            part = "train" if video in dataset.train else "test"
            file = folder / "features" / part / stream / f"{video.id}.npy"
            assert isinstance(array, np.memmap) and array.shape == (video.num_snippets, 1024)
            np.testing.assert_array_equal(array, np.load(file))
    report = check(folder, snippet_seconds=2.56)
    assert report.ok and [f.problem for f in report.findings] == ["untaught"]


def test_ten_real_videos_told_another_step():
    pattern = "Pass snippet_seconds=2.56, which fits 10 of 10 videos. The same in 9 more videos"
    with pytest.warns(DataWarning, match=pattern) as warned:
        load(real("activitynet10"))
    assert len(warned) == 1
