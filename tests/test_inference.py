"""Sec. III-E: Eq. 12 and proposals, against the slow oracle, closed forms and mutants."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
import torch
from helpers import close

from amslib import Detection, fuse, localize

RNG = np.random.default_rng(0)
PARTS = {s: {b: torch.rand(11, 3) for b in ("base", "supp")} for s in ("rgb", "flow")}


def check_fuse(function):
    for beta in (0.15, 1.0):
        expected = oracle.fuse(
            *(PARTS[s][b].numpy() for s in ("rgb", "flow") for b in ("base", "supp")), beta
        )
        close(function(PARTS, beta), expected, 1e-6)


def test_fuse_oracle():
    check_fuse(fuse)


def test_fuse_invariant_order_of_streams_and_branches():
    turned = {s: dict(reversed(PARTS[s].items())) for s in reversed(PARTS)}
    close(fuse(turned), fuse(PARTS), 1e-7)


def test_fuse_closed_form():
    ones = torch.ones(2, 1)
    assert fuse({"rgb": {"base": ones, "supp": ones}, "flow": {"base": ones, "supp": ones}})[
        0, 0
    ] == pytest.approx(1.15)
    # one stream weighs 1, one branch is its own mean
    assert torch.equal(fuse({"rgb": {"base": ones, "supp": 3 * ones}}), 2 * ones)
    assert torch.equal(fuse({"flow": {"base": ones}}), ones)


def test_fuse_mutant_weights_swapped_is_caught():
    with pytest.raises(AssertionError):
        check_fuse(lambda cas, beta: fuse({"rgb": cas["flow"], "flow": cas["rgb"]}, beta))


def test_fuse_needs_something():
    with pytest.raises(ValueError, match="nothing to fuse"):
        fuse({})


def check_localize(function):
    for seed in range(8):
        cas = np.random.default_rng(seed).random((23, 5)) ** 3
        for threshold in (0.25, 0.9):
            found = function(torch.from_numpy(cas), threshold)
            expected = oracle.localize(cas, 0.64, threshold, 0.7, 8)
            assert [d.label for d in found] == [str(k) for k, *_ in expected]
            close([d[2:] for d in found], [row[1:] for row in expected], 1e-9)


def plain(cas, threshold):
    return localize(cas, 0.64, class_threshold=threshold)


def test_localize_oracle():
    check_localize(plain)


def test_localize_invariant_proposals_of_a_class_are_disjoint():
    found = localize(torch.from_numpy(RNG.random((200, 4))), 0.64)
    for label in {d.label for d in found}:
        own = [d for d in found if d.label == label]
        assert all(a.end < b.start for a, b in zip(own, own[1:], strict=False))


def test_localize_closed_form_seconds_and_scores():
    cas = torch.tensor([[0.0], [0.9], [0.6], [0.0], [0.9]], dtype=torch.double)
    arguments = {"video": "v", "classes": ["Diving"], "duration": 3.1}
    found = localize(cas, 0.64, **arguments)
    assert found == [
        Detection("v", "Diving", 0.64, 3 * 0.64, 0.9),
        Detection("v", "Diving", 4 * 0.64, 3.1, 0.9),  # cut at the duration
    ]
    assert localize(cas, 0.64, score="mean")[0].score == pytest.approx(0.75)
    assert localize(cas, 0.64, score="oic")[0].score == pytest.approx(0.75)
    # one snippet on either side of the last proposal: only the one before it exists
    cas[3] = 0.2
    assert localize(cas, 0.64, score="oic")[1].score == pytest.approx(0.7)


def test_localize_drops_what_lies_past_the_end_of_the_video():
    cas = torch.tensor([[0.9], [0.0], [0.9]])
    assert [d.start for d in localize(cas, 1.0, duration=2.0)] == [0.0]


def test_localize_keeps_the_best_class_if_none_reaches_the_threshold():
    cas = torch.tensor([[0.02, 0.05], [0.01, 0.0]])
    assert {d.label for d in localize(cas, 1.0)} == {"1"}


def test_localize_mutants_are_caught():
    def not_strict(cas, threshold):
        return localize(cas + 1e-12, 0.64, class_threshold=threshold, threshold_factor=0.5)

    def end_at_the_last_start(cas, threshold):
        return [d._replace(end=d.end - 0.64) for d in plain(cas, threshold)]

    for mutant in (not_strict, end_at_the_last_start):
        with pytest.raises(AssertionError):
            check_localize(mutant)


def test_localize_threshold_is_strict():
    flat = torch.full((4, 1), 0.5)
    assert localize(flat, 1.0, threshold_factor=1.0) == []
    assert len(localize(flat, 1.0, threshold_factor=0.99)) == 1


def test_localize_errors():
    with pytest.raises(ValueError, match=r"\(4,\)"):
        localize(torch.ones(4), 1.0)
    with pytest.raises(ValueError, match="1 class names"):
        localize(torch.ones(4, 2), 1.0, classes=["a"])
    with pytest.raises(ValueError, match="'median'"):
        localize(torch.ones(4, 2), 1.0, score="median")
