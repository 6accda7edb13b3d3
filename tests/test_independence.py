"""What is found in a video does not depend on the videos that are given along with it, nor on their
order: the same labels and borders, and scores within the rounding of float32, for which products
of other sizes may take another order of sums.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from amslib import Config, Run, Video, load, train
from amslib.overview import CHUNK

pytestmark = pytest.mark.slow

TINY = load("synthetic-tiny", width=16)
SHORT = dict(steps_per_epoch=20, epochs_zero=2, epochs=1, iterations=1)
ROUNDING = 1e-6
SAMPLERS = {
    "adaptive": Config(**SHORT),
    "average": Config(**SHORT, aggregation="average"),
    "random class": Config(**SHORT, aggregation="random"),
    "uniform": Config(**SHORT, sampler="uniform"),
    "random": Config(**SHORT, sampler="random"),
    "none": Config(**SHORT, sampler="none"),
    "erase": Config(**SHORT, sampler="erase"),
    "bins": Config(**SHORT, positions="bins"),
    "erase in bins": Config(**SHORT, sampler="erase", positions="bins"),
}


def pool() -> list[Video]:
    """Videos of very different lengths, more than are computed at once."""
    rows = {s: np.concatenate([v.features[s] for v in TINY.test]) for s in TINY.streams}
    lengths = (1, 1, 2, 3, 7, 20, 400)
    cut = [
        Video(f"cut{i}", {s: x[9 * i : 9 * i + n] for s, x in rows.items()}, snippet_seconds=0.5)
        for i, n in enumerate(lengths)
    ]
    return [*cut, *TINY.test]


POOL = pool()


@cache
def runs() -> dict[str, Run]:
    trained = train(TINY, list(SAMPLERS.values()), seed=4, device="cpu")
    return dict(zip(SAMPLERS, trained, strict=True))


def by_video(run: Run, videos: list[Video]) -> dict[str, list]:
    found = {video.id: [] for video in videos}
    for detection in run.predict(videos, device="cpu"):
        found[detection.video].append(detection)
    return found


@cache
def alone(name: str) -> dict[str, list]:
    return {video.id: by_video(runs()[name], [video])[video.id] for video in POOL}


@pytest.mark.parametrize("name", SAMPLERS)
@settings(max_examples=12, deadline=None, derandomize=True, database=None)
@given(chosen=st.lists(st.integers(0, len(POOL) - 1), min_size=1, max_size=len(POOL), unique=True))
def test_detections_do_not_depend_on_other_videos_or_their_order(name, chosen):
    for video, found in by_video(runs()[name], [POOL[i] for i in chosen]).items():
        expected = alone(name)[video]
        assert [d[:4] for d in found] == [d[:4] for d in expected]
        scores = [[d.score for d in one] for one in (found, expected)]
        np.testing.assert_allclose(*scores, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("name", SAMPLERS)
def test_cas_in_company_is_the_cas_alone(name):
    assert len(POOL) > CHUNK  # the last of them are computed apart from the first
    for video, cas in runs()[name].all_cas(POOL[::-1], device="cpu"):
        single = runs()[name].cas(video, device="cpu")
        for stream, branches in cas.items():
            for branch, values in branches.items():
                assert (values - single[stream][branch]).abs().max() <= ROUNDING


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_loud_neighbour_changes_nothing(name):
    """Features a million times as large: all probabilities are 0 or 1."""
    loud = {s: 1e6 * x for s, x in POOL[-1].features.items()}
    videos = [replace(POOL[-1], features=loud), *POOL[:-1]]
    found = by_video(runs()[name], videos)
    for video in POOL[:-1]:
        assert [d[:4] for d in found[video.id]] == [d[:4] for d in alone(name)[video.id]]


def test_what_is_drawn_for_a_video_follows_from_its_name():
    """Not from its place among others."""
    run = runs()["random"]
    positions = {video.id: run.positions(video, device="cpu") for video in POOL}
    models = run._models(-1, "cpu")
    _, together = run._look(run._stores(POOL[::-1], "cpu"), models, None)
    for video, where in zip(POOL[::-1], together, strict=True):
        for stream, values in where.items():
            torch.testing.assert_close(values, positions[video.id][stream], rtol=0, atol=1e-4)
