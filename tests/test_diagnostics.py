"""Snippet flags from segments, and the quality of pseudo-labels counted by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from amslib import Config, Video, load, pseudo_labels, train
from amslib.diagnostics import detection_quality, loss_curves, parts, pseudo_label_quality

# snippets of 1 s: A is 1, 2, 3 (core 2) and 6; B is 3, 4
VIDEO = Video(
    "v",
    features={"rgb": np.zeros((8, 2))},
    labels=("A", "B"),
    segments=((1.0, 4.0, "A"), (3.2, 4.9, "B"), (6.0, 7.0, "A")),
    snippet_seconds=1.0,
    metadata={"core": ((2.0, 3.0), (3.2, 4.9), (6.0, 6.4))},
)


def flags(*snippets, count=8):
    return torch.isin(torch.arange(count), torch.tensor(snippets))


def same(found, **expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


def test_a_snippet_shows_what_its_centre_lies_in():
    same(
        parts(VIDEO, "A"),
        action=flags(1, 2, 3, 6),
        core=flags(2),
        hard=flags(1, 3, 6),
    )
    same(parts(VIDEO, "B"), action=flags(3, 4), core=flags(3, 4), hard=flags())


def test_without_cores_there_are_only_actions():
    plain = Video("v", VIDEO.features, ("A",), ((0.4, 0.6, "A"),), snippet_seconds=1.0)
    same(parts(plain, "A"), action=flags(0))
    same(parts(plain, "B"), action=flags())


def test_parts_of_the_generator_are_what_incompleteness_says():
    for incompleteness in (0.0, 1.0):
        for video in load("synthetic-tiny", incompleteness=incompleteness).train:
            found = parts(video, video.labels[0])
            whole, none = ("core", "hard") if incompleteness == 0 else ("hard", "core")
            assert found["action"].any() and not found[none].any()
            assert torch.equal(found[whole], found["action"])


def run_that_answers(**cas):
    """Stands in for a `Run`: the same CAS whatever the video, and the arguments it was asked."""
    asked = []

    def answer(videos, iteration, known=False, device="auto"):
        for video in videos:
            asked.append((video.id, iteration, known))
            yield video, {"rgb": cas}

    run = SimpleNamespace(all_cas=answer, classes=("A", "B", "C"), config=Config())
    return run, asked


def test_quality_counted_by_hand():
    cas = torch.full((8, 3), 0.01)
    cas[[1, 2, 5], 0] = 0.9  # of A: one hard and the core right, one wrong
    cas[[3], 1] = 0.9  # of B: one of two
    cas[:, 2] = torch.rand(8, generator=torch.Generator().manual_seed(0))  # C is not in the video
    run, asked = run_that_answers(base=cas, supp=1 - cas)
    quality = pseudo_label_quality(run, [VIDEO], 2)["rgb"]
    assert asked == [("v", 2, True)]
    base = quality["base"]
    # of A's first instance one of three snippets is missed, the second is, B's is covered by half
    assert base.complete == pytest.approx((2 / 3 + 0 + 1 / 2) / 3)
    assert math.isnan(base.context)
    assert base.precision == 3 / 4 and base.recall == 3 / 6
    assert base.core == 2 / 3 and base.hard == 1 / 3
    assert base.action == 6 / 16 and base.positive == 4 / 16
    assert quality["supp"].recall == 3 / 6 and quality["supp"].positive == 12 / 16


def test_fused_quality_counted_by_hand():
    cas = torch.full((8, 3), 0.01)
    cas[[0, 1, 3], 0] = 0.9
    scene = replace(
        VIDEO, metadata=VIDEO.metadata | {"context": ((0.0, 2.0, "A"), (7.0, 8.0, "A"))}
    )
    only = replace(scene, labels=("A",))
    run, asked = run_that_answers(base=cas, supp=cas / 2)
    quality = detection_quality(run, [only], 1)
    assert asked == [("v", 1, False)]
    assert quality.precision == pytest.approx(2 / 3) and quality.recall == 2 / 4
    # snippet 1 is an action, so of the context only snippets 0 and 7 are left
    assert quality.context == 1 / 2
    same(
        parts(scene, "A"),
        action=flags(1, 2, 3, 6),
        core=flags(2),
        hard=flags(1, 3, 6),
        context=flags(0, 7),
    )


def test_the_threshold_is_the_configs():
    cas = torch.tensor([[1.0], [2.0], [3.0], [4.0]]).repeat(2, 3) / 10
    run, _ = run_that_answers(base=cas)
    for factor, positive in ((0.0, 1.0), (1.0, 0.5), (1.5, 0.25)):
        run.config = Config(threshold_factor=factor)
        assert pseudo_label_quality(run, [VIDEO])["rgb"]["base"].positive == positive
    assert pseudo_labels(cas, torch.ones(3), 1.5).mean() == 0.25


def test_videos_are_pooled_and_empty_shares_are_not_a_number():
    empty = Video("w", VIDEO.features, ("A",), (), snippet_seconds=1.0)
    run, asked = run_that_answers(base=torch.full((8, 3), 0.5))  # everything is positive
    quality = pseudo_label_quality(run, [VIDEO, empty])["rgb"]["base"]
    assert [video for video, _, _ in asked] == ["v", "w"]
    assert quality.precision == quality.action == 6 / 24 and quality.recall == 1
    alone = pseudo_label_quality(run, [empty])["rgb"]["base"]
    assert alone.precision == 0 and math.isnan(alone.recall) and math.isnan(alone.core)


@pytest.mark.slow
def test_loss_curves_follow_the_phases():
    """Two epochs of phase zero, then one epoch each: supp, base, supp, base."""
    config = Config(steps_per_epoch=1, epochs_zero=2, epochs=1, iterations=2)
    history = train(load("synthetic-tiny", width=4), config).history
    curves = loss_curves(history, config)
    trains = {"base": [1, 1, 0, 1, 0, 1], "supp": [1, 1, 1, 0, 1, 0]}
    assert list(curves) == ["rgb", "flow"]
    for stream, branches in curves.items():
        for branch, curve in branches.items():
            assert curve.shape == (6, 3)
            assert (~curve.isnan()).tolist() == [[bool(on)] * 3 for on in trains[branch]]
            rows = [r for r in history if (r["stream"], r["branch"]) == (stream, branch)]
            given = torch.tensor([r["localization"] for r in rows])
            assert torch.equal(curve[~curve[:, 2].isnan(), 2], given)


def test_with_one_branch_no_epoch_is_left_out():
    """Two epochs of phase zero, then one of the base branch in each iteration."""
    config = Config(
        branches=1, sampler="none", supervision="self", steps_per_epoch=1, epochs_zero=2, epochs=1,
        iterations=2,
    )  # fmt: skip
    curves = loss_curves(train(load("synthetic-tiny", width=4), config).history, config)
    for branches in curves.values():
        assert list(branches) == ["base"] and branches["base"].shape == (4, 3)
        assert not branches["base"].isnan().any()
