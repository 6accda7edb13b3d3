"""Batches that are filled up to the size of a CUDA graph: the added rows change nothing."""

from __future__ import annotations

from dataclasses import replace
from functools import partialmethod

import numpy as np
import pytest
import torch
from helpers import close

from amslib import Config, load, phases, train
from amslib.batches import Packed, PairSampler, Store
from amslib.experiments import table_3
from amslib.forward import plan_positions, read
from amslib.graphs import _Graph
from amslib.model import Branches, initial_parameters
from amslib.objective import loss_terms
from amslib.packed import alignment, balanced, paired_rows
from amslib.steps import Given, filled

DATA = load("synthetic-tiny")
CPU = torch.device("cpu")
LONGEST, ROWS = 60, 1024


def given(config: Config, crop: int = LONGEST, reads: bool = True) -> Given:
    """A step of two members, in float64."""
    labels, rng = DATA.labels(DATA.train), np.random.default_rng(0)
    store = Store(DATA.train, "rgb", labels, CPU)
    sampler = PairSampler(labels, 10, 3)
    videos = sampler.draw(rng)
    batch = store.batch(videos, crop, rng)
    batch = replace(batch, features=batch.features.double(), labels=batch.labels.double())
    cas = torch.from_numpy(rng.random((2, len(batch.rows), labels.shape[1])))
    plan = positions = None
    if reads:
        positions = plan_positions([config, replace(config, eta=0.1)], cas, batch)
        plan = alignment(positions, batch)
    shared = sampler.shared(videos)
    rows, taught = paired_rows(batch, shared), balanced(cas > 0.7, batch)
    return Given(read(batch, positions), batch, shared.on(CPU), rows, plan, taught)


def outcome(config: Config, one: Given) -> list[torch.Tensor]:
    """Losses of both members and the gradients of their sum."""
    width, classes = one.x.shape[-1], one.batch.labels.shape[1]
    parameters = initial_parameters(config, width, classes, torch.Generator().manual_seed(0))
    model = Branches({name: p.double().repeat(2, 1, 1) for name, p in parameters.items()})
    seen = model(one.x, rows=one.rows)
    terms = loss_terms(*seen, one.batch, one.shared, config, one.plan, one.taught)
    return [terms.detach(), *torch.autograd.grad(terms.sum(), list(model.parameters()))]


CONFIGS = {
    "default": Config(),
    "parallel heads": Config(heads="parallel"),
    "background": Config(background=True),
    "sigmoid": Config(activation="sigmoid", class_loss="bce"),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("reads", [True, False], ids=["sampled", "as they are"])
def test_rows_of_no_video_are_seen_by_no_loss(config, reads):
    one = given(config, reads=reads)
    more = filled(one, ROWS, LONGEST)
    assert more.x.shape[-2] == more.rows == len(more.taught[0]) == ROWS > len(one.batch.video)
    plain, full = outcome(config, one), outcome(config, more)
    assert (plain[0] > 0).all()
    for a, b in zip(plain, full, strict=True):
        close(a, b, 1e-12)


def test_without_supervision_and_without_pairs():
    one = given(Config())._replace(taught=None)
    nothing = one.shared._replace(videos=one.shared.videos[:0], classes=one.shared.classes[:0])
    one = one._replace(shared=nothing, rows=0)
    for a, b in zip(
        outcome(Config(), one), outcome(Config(), filled(one, ROWS, LONGEST)), strict=True
    ):
        close(a, b, 1e-12)


def test_a_filled_batch_is_what_a_graph_takes():
    """Of one size whatever the videos are, and with nothing that only the CPU knows."""
    many = [filled(given(Config(), crop), ROWS, LONGEST) for crop in (20, 40)]
    assert len({tuple(p.shape for p in one.tensors) for one in many}) == 1
    assert {type(one.batch) for one in many} == {Packed}
    assert len(many[0].tensors) == 10


def test_the_rows_of_the_plan_stay_in_order():
    """`packed.interpolate` needs that of its indices."""
    plan = filled(given(table_3()["F"]), ROWS, LONGEST).plan
    assert all((side.diff() >= 0).all() for side in (plan.left, plan.right))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_graphs_do_what_steps_do(monkeypatch):
    # without dropout: how many rows there are decides which units a GPU drops
    config = Config(dropout=0.0, steps_per_epoch=30, epochs_zero=1, epochs=1, iterations=1)
    configs = [config, replace(config, eta=0.1)]
    with monkeypatch.context() as patch:
        patch.setattr(phases, "Graphs", lambda step, longest: step)
        plain = train(DATA, configs, device="cuda")
    replayed = []
    monkeypatch.setattr(_Graph, "__call__", partialmethod(_counted, replayed, _Graph.__call__))
    for one, other in zip(train(DATA, configs, device="cuda"), plain, strict=True):
        for now, then in zip(one.history, other.history, strict=True):
            assert now == pytest.approx(then, rel=1e-3)
    assert len(replayed) > 8 * 30 / 2


def _counted(graph, replayed, replay, given):
    replayed.append(graph)
    return replay(graph, given)
