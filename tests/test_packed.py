"""Packed batches of many models: each formula equals its padded namesake, gradients included."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import close

from amslib import Video, losses, packed, sampler
from amslib.batches import Shared, Store

LENGTHS = (5, 1, 12, 9, 3)
M, C, H = 3, 4, 6
LABELS = np.array(
    [[1, 0, 1, 0], [1, 0, 1, 0], [0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]], np.float32
)
# videos 0 and 1 share two classes, 2 and 3 one
SHARED = Shared(np.array([0, 0, 2, 1, 1, 3]), np.array([0, 2, 1, 0, 2, 1]))
PAIRS = torch.tensor([[0, 1], [2, 3]])


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    videos = [
        Video(str(i), {"rgb": rng.standard_normal((n, 2), np.float32)})
        for i, n in enumerate(LENGTHS)
    ]
    store = Store(videos, "rgb", LABELS, torch.device("cpu"))
    return store.batch(np.arange(len(LENGTHS)))


def values(*shape, seed=0):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x.requires_grad_()


def agree(batch, fast, slow, *inputs):
    """Equal values, and equal gradients of a weighted sum, of two functions of packed inputs."""
    results = [f(*inputs) for f in (fast, slow)]
    close(*(r.detach() for r in results), 1e-9)
    weights = torch.arange(1.0, results[0].numel() + 1).reshape(results[0].shape)
    gradients = [torch.autograd.grad((r * weights).sum(), inputs) for r in results]
    for one, other in zip(*gradients, strict=True):
        assert one.abs().sum() > 0
        close(one, other, 1e-9)


@pytest.fixture(autouse=True)
def double(batch):
    object.__setattr__(batch, "labels", batch.labels.double())


def test_pad_and_pack_are_inverse(batch):
    x = values(M, len(batch.rows), C)
    grid = batch.pad(x)
    assert grid.shape == (M, len(LENGTHS), max(LENGTHS), C)
    assert (grid[:, ~batch.mask] == 0).all() and torch.equal(batch.pack(grid), x)
    assert batch.mask.sum(1).tolist() == list(LENGTHS)


def test_totals_and_spread(batch):
    x = values(M, len(batch.rows), C)
    close(batch.total(x).detach(), batch.pad(x).sum(-2).detach(), 1e-12)
    each = values(M, len(LENGTHS), C)
    assert torch.equal(batch.spread(each)[:, 5:6], each[:, 1:2])


@pytest.mark.parametrize("topk", [1, 3, 8, 100])
def test_topk_mean(batch, topk):
    agree(
        batch,
        lambda x: packed.topk_mean(x, batch, topk),
        lambda x: losses.topk_mean(batch.pad(x), topk, batch.mask),
        values(M, len(batch.rows), C),
    )


def test_topk_mean_shares_the_places_of_equal_values(batch):
    x = torch.ones(1, len(batch.rows), 1, dtype=torch.float64, requires_grad=True)
    mean = packed.topk_mean(x, batch, 4)
    close(mean.detach(), torch.ones(1, len(LENGTHS), 1), 1e-12)
    (gradient,) = torch.autograd.grad(mean.sum(), x)
    close(batch.total(gradient), torch.ones(1, len(LENGTHS), 1), 1e-12)
    x = torch.tensor([3.0, 2.0, 2.0, 2.0, 0.0] + [0.0] * 25)[None, :, None].double()
    close(packed.topk_mean(x, batch, 3)[0, 0, 0], torch.tensor(2.5), 1e-12)


def test_localization_loss(batch):
    pseudo = (values(M, len(batch.rows), C, seed=1) > 0).double()
    pseudo[:, :, 3] = 0
    pseudo[:, :, 2] = 1
    agree(
        batch,
        lambda x: packed.localization_loss(x.sigmoid(), pseudo, batch),
        lambda x: losses.localization_loss(batch.pad(x.sigmoid()), batch.pad(pseudo), batch.mask),
        values(M, len(batch.rows), C),
    )


def test_coactivity_loss(batch):
    def padded(hidden, logits):
        return losses.coactivity_loss(
            batch.pad(hidden), batch.pad(logits), batch.labels, PAIRS, batch.mask
        )

    def fast(hidden, logits):
        return packed.coactivity_loss(hidden, logits, batch, SHARED)

    inputs = values(M, len(batch.rows), H), values(M, len(batch.rows), C, seed=1)
    # of the padded loss the mean is over all shared classes of all pairs, too
    agree(batch, fast, padded, *inputs)


def test_no_pair_shares_a_class(batch):
    nothing = Shared(np.zeros(0, np.int64), np.zeros(0, np.int64))
    inputs = values(M, len(batch.rows), H), values(M, len(batch.rows), C)
    assert packed.coactivity_loss(*inputs, batch, nothing).tolist() == [0] * M


@pytest.mark.parametrize("eta", [0.0, 0.75])
def test_align(batch, eta):
    cas = values(M, len(batch.rows), C).softmax(-1)
    m = sampler.aggregate(batch.pad(cas), batch.labels, mask=batch.mask)
    w = sampler.sampling_weights(m, eta, batch.mask)
    grid = sampler.sample_positions(w, mask=batch.mask)
    positions = batch.pack(grid[..., None])[..., 0]
    plan = packed.alignment(positions, batch)
    agree(
        batch,
        lambda x: packed.interpolate(x, plan),
        lambda x: batch.pack(sampler.align(batch.pad(x), grid, batch.mask)),
        values(M, len(batch.rows), C, seed=2),
    )


def test_take(batch):
    x, index = values(2, 4, 3), torch.tensor([[3, 0], [1, 1]])
    expected = torch.stack([x[0, [3, 0]], x[1, [1, 1]]])
    assert torch.equal(packed.take(x, index), expected)
