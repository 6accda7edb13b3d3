"""The default data: deterministic, with THUMOS14's statistics and the stated mechanism."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from amslib import load
from amslib.data import synthetic

SHARED = Path(__file__).parents[2] / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is not there")


@pytest.fixture(scope="module")
def data():
    return load("synthetic")


def every(dataset):
    return (*dataset.train, *dataset.test)


def test_size_and_shapes(data):
    assert (len(data.train), len(data.test), len(data.classes)) == (200, 213, 20)
    assert len({v.id for v in every(data)}) == 413
    for video in every(data):
        assert set(video.features) == {"rgb", "flow"}
        for x in video.features.values():
            assert x.dtype == np.float32 and x.shape == (video.num_snippets, 64)
            assert x.min() >= 0 and np.isfinite(x).all()
        assert video.num_snippets == int(video.duration / 0.64)


@pytest.mark.parametrize("part", ["train", "test"])
def test_statistics_follow_thumos14(data, part):
    videos = getattr(data, part)
    snippets = np.array([v.num_snippets for v in videos])
    lengths = np.array([e - s for v in videos for s, e, _ in v.segments])
    assert 200 <= np.median(snippets) <= 270
    assert 290 <= snippets.mean() <= 370
    assert snippets.max() > 1000
    assert 13 <= len(lengths) / len(videos) <= 17
    assert 4.0 <= lengths.mean() <= 4.6
    assert 1.05 <= np.mean([len(v.labels) for v in videos]) <= 1.25


def test_annotations_are_sound(data):
    for video in every(data):
        assert {label for *_, label in video.segments} == set(video.labels)
        times = sorted((s, e) for s, e, _ in video.segments)
        assert all(0 <= s < e <= video.duration + 0.01 for s, e in times)
        assert all(a[1] <= b[0] + 0.01 for a, b in zip(times, times[1:], strict=False))
    counts = data.labels(data.train).sum(0)
    assert counts.min() >= 10  # the main class of ten videos each, at least


def test_same_options_same_data_and_every_option_matters():
    tiny = load("synthetic-tiny")
    again = load("synthetic-tiny")
    assert tiny.fingerprint == again.fingerprint
    for a, b in zip(every(tiny), every(again), strict=True):
        assert a.segments == b.segments
        assert all(np.array_equal(a.features[s], b.features[s]) for s in a.features)
    others = [{"seed": 1}, {"incompleteness": 0.2}, {"width": 16}]
    changed = [load("synthetic-tiny", **option) for option in others]
    assert len({tiny.fingerprint, *(d.fingerprint for d in changed)}) == 4
    for other in changed:
        assert not np.array_equal(other.train[0].features["rgb"], tiny.train[0].features["rgb"])


def test_version_1_is_this_data(data):
    """Other numbers under the same VERSION would make records of two data sets look like one."""
    assert synthetic.VERSION == 1
    x, y = data.train[0].features["rgb"], data.test[-1].features["flow"]
    told = [x[0, :3].tolist(), x.mean().item(), y[-1, -3:].tolist(), y.mean().item()]
    expected = [[0.0, 0.29213, 1.12265], 0.657927, [0.0, 0.17533, 0.25064], 0.391518]
    for a, b in zip(told, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("hard", [0.0, 0.3, 1.0])
def test_incompleteness_is_the_hard_share_of_every_instance(hard):
    for video in load("synthetic-tiny", incompleteness=hard).test:
        for (start, end, _), (low, high) in zip(
            video.segments, video.metadata["core"], strict=True
        ):
            assert start - 1e-9 <= low <= high <= end + 1e-9
            assert high - low == pytest.approx((1 - hard) * (end - start))


def test_hard_phases_look_alike_within_a_group_and_cores_do_not():
    world = synthetic._contents(synthetic.STREAMS["rgb"], 20, 512, np.random.default_rng(0))
    table = world["table"][synthetic.SCENES :].reshape(3, 20, 512)
    unit = table / np.linalg.norm(table, axis=-1, keepdims=True)
    _, hard, core = (part @ part.T for part in unit)
    group = np.arange(20) // synthetic.GROUP
    same = (group[:, None] == group) & ~np.eye(20, dtype=bool)
    assert hard[same].min() > 0.9
    assert np.abs(hard[group[:, None] != group]).max() < 0.3
    assert np.abs(core[~np.eye(20, dtype=bool)]).max() < 0.3
    own = np.einsum("kd,kd->k", unit[1], unit[2])
    np.testing.assert_allclose(own, synthetic.EVIDENCE, atol=0.15)


def test_occupancy_is_a_share_of_each_snippet(data):
    video = data.train[0]
    shown, _ = synthetic._occupancy(
        video, data.classes, video.num_snippets, 0.6, np.random.default_rng(0)
    )
    np.testing.assert_allclose(shown.sum(1), 1)
    action = shown[:, synthetic.SCENES + 20 :].sum() * 0.64
    assert action == pytest.approx(sum(e - s for s, e, _ in video.segments), rel=0.1)


def test_options_out_of_range_are_named():
    with pytest.raises(ValueError, match=r"incompleteness=1\.5"):
        load("synthetic", incompleteness=1.5)
    with pytest.raises(ValueError, match="width=2000"):
        load("synthetic", width=2000)
    with pytest.raises(TypeError, match="colour"):
        load("synthetic", colour=1)


@pytest.mark.slow
@needs_shared
def test_a_real_timeline_keeps_videos_durations_and_segments():
    folder = SHARED / "thumos14" / "wtalc" / "Thumos14reduced-Annotations"
    data = load("synthetic", timeline=folder, width=8)
    assert (len(data.train), len(data.test), len(data.classes)) == (200, 212, 20)
    assert sum(len(v.segments) for v in data.train) == 3007
    assert sum(len(v.segments) for v in data.test) == 3358
    snippets = np.array([v.num_snippets for v in data.train])
    assert (np.median(snippets), snippets.max()) == (235, 2202)
    assert data.train[0].features["flow"].shape[1] == 8
    assert data.fingerprint != load("synthetic", width=8).fingerprint


@needs_shared
def test_a_timeline_without_durations_is_refused():
    with pytest.raises(ValueError, match="no duration"):
        load("synthetic", timeline=SHARED / "thumos14" / "basnet" / "gt.json")
