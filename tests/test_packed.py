"""Packed batches of many models: each formula equals its padded namesake, gradients included."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import close

from amslib import Video, losses, packed, sampler
from amslib.batches import Shared, Store
from amslib.model import PARAMETERS, Branches, kept_units

LENGTHS = (5, 1, 12, 9, 3)
M, C, H = 3, 4, 6
LABELS = np.array(
    [[1, 0, 1, 0], [1, 0, 1, 0], [0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]], np.float32
)
CPU = torch.device("cpu")
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
    store = Store(videos, "rgb", LABELS, CPU)
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


def test_the_grid_holds_the_packed_rows(batch):
    x = values(M, len(batch.rows), C)
    grid = batch.pad(x)
    assert grid.shape == (M, len(LENGTHS), max(LENGTHS), C)
    assert (grid[:, ~batch.mask] == 0).all() and torch.equal(grid[:, batch.mask], x)
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
    shares = packed.balanced(pseudo > 0, batch)
    agree(
        batch,
        lambda x: packed.localization_loss(x.sigmoid(), shares, batch),
        lambda x: losses.localization_loss(batch.pad(x.sigmoid()), batch.pad(pseudo), batch.mask),
        values(M, len(batch.rows), C),
    )


def test_coactivity_loss(batch):
    def padded(hidden, logits):
        return losses.coactivity_loss(
            batch.pad(hidden), batch.pad(logits), batch.labels, PAIRS, batch.mask
        )

    def fast(hidden, logits):
        rows = packed.paired_rows(batch, SHARED)
        return packed.coactivity_loss(hidden[:, :rows], logits, batch, SHARED.on(CPU))

    inputs = values(M, len(batch.rows), H), values(M, len(batch.rows), C, seed=1)
    # of the padded loss the mean is over all shared classes of all pairs, too
    agree(batch, fast, padded, *inputs)


def test_no_pair_shares_a_class(batch):
    nothing = Shared(np.zeros(0, np.int64), np.zeros(0, np.int64))
    inputs = values(M, len(batch.rows), H), values(M, len(batch.rows), C)
    assert packed.coactivity_loss(*inputs, batch, nothing.on(CPU)).tolist() == [0] * M


@pytest.mark.parametrize("eta", [0.0, 0.75])
def test_align(batch, eta):
    cas = values(M, len(batch.rows), C).softmax(-1)
    m = sampler.aggregate(batch.pad(cas), batch.labels, mask=batch.mask)
    w = sampler.sampling_weights(m, eta, batch.mask)
    grid = sampler.sample_positions(w, mask=batch.mask)
    positions = grid[:, batch.mask]
    plan = packed.alignment(positions, batch)
    agree(
        batch,
        lambda x: packed.interpolate(x, plan),
        lambda x: sampler.align(batch.pad(x), grid, batch.mask)[:, batch.mask],
        values(M, len(batch.rows), C, seed=2),
    )


def probabilities(batch, seed=0):
    return values(M, len(batch.rows), C, seed=seed).detach().softmax(-1)


@pytest.mark.parametrize("how", ["maximum", "average"])
def test_aggregate(batch, how):
    cas = probabilities(batch)
    slow = sampler.aggregate(batch.pad(cas), batch.labels, how, batch.mask)[:, batch.mask]
    close(packed.aggregate(cas, batch.labels, batch, how), slow, 1e-12)


def test_a_video_without_a_class_is_sampled_uniformly(batch):
    labels = torch.zeros_like(batch.labels)
    for how in ("maximum", "average"):
        assert packed.aggregate(probabilities(batch), labels, batch, how).abs().max() == 0


def test_sampling_weights(batch):
    m, eta = probabilities(batch)[..., 0], (0.0, 0.75, 2.0)
    fast = packed.sampling_weights(m, torch.tensor(eta).double(), batch)
    for i, value in enumerate(eta):
        grid = batch.pad(m[i, :, None])[..., 0]
        close(fast[i], sampler.sampling_weights(grid, value, batch.mask)[batch.mask], 1e-12)


@pytest.mark.parametrize("mode", ["continuous", "bins"])
@pytest.mark.parametrize("weights", ["random", "sparse", "zero", "uniform"])
def test_sample_positions(batch, mode, weights):
    w = values(M, len(batch.rows), seed=5).detach().abs()
    w = {"random": w, "sparse": w * (w > 1), "zero": w * 0, "uniform": w * 0 + 0.3}[weights]
    fast = packed.sample_positions(w, batch, 20, mode)
    slow = sampler.sample_positions(batch.pad(w[..., None])[..., 0], 20, batch.mask, mode)
    # in whole bins, a rounding decides where a sample falls between two bins
    close(fast, slow[:, batch.mask], 1e-9 if mode == "continuous" else 1 / 20 + 1e-9)
    if weights == "uniform" and mode == "continuous":
        assert torch.equal(fast, batch.inside.double().expand(fast.shape))


@pytest.mark.parametrize("scope", ["class", "video"])
def test_pseudo_labels(batch, scope):
    cas = probabilities(batch)
    slow = losses.pseudo_labels(batch.pad(cas), batch.labels, 0.9, batch.mask, scope)
    fast = packed.pseudo_labels(cas, batch, 0.9, scope)
    assert torch.equal(fast, slow[:, batch.mask].bool()) and fast.any()


def test_balanced_labels_sum_to_one_on_either_side(batch):
    positive = probabilities(batch) > 0.25
    shares = packed.balanced(positive, batch)
    assert torch.equal(shares > 0, positive)
    for side in (shares.clamp_min(0), (-shares).clamp_min(0)):
        sums = batch.total(side)
        assert ((sums - 1).abs().minimum(sums) < 1e-9).all()


def test_mix():
    table = torch.arange(12.0).view(4, 3)
    left, right = torch.tensor([0, 1, 3]), torch.tensor([1, 1, 2])
    along = torch.tensor([0.25, 0.5, 0.0])
    expected = torch.lerp(table[left], table[right], along[:, None])
    close(packed.mix(table, left, right, along), expected, 1e-6)


def test_only_some_videos(batch):
    few, here = batch.only((1, 3))
    assert few.sizes.tolist() == [LENGTHS[1], LENGTHS[3]] and few.ends == (1, 10)
    assert torch.equal(few.rows, batch.rows[here]) and torch.equal(few.labels, batch.labels[[1, 3]])
    assert batch.video[here].tolist() == [1] + 9 * [3] and few.video.tolist() == [0] + 9 * [1]


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.7])
def test_kept_units(rate):
    generator = torch.Generator().manual_seed(0)
    bound = kept_units(1000, 33, rate, generator, torch.float32)
    assert bound.shape == (1000, 33) and set(bound.unique().tolist()) <= {
        0.0,
        torch.finfo(bound.dtype).max,
    }
    kept = (bound > 0).double()
    assert abs(kept.mean() - (1 - rate)) < 5 * (rate * (1 - rate) / kept.numel()) ** 0.5 + 1e-12
    # neighbours are drawn independently
    both = (kept[:, 1:] * kept[:, :-1]).mean()
    assert abs(both - (1 - rate) ** 2) < 0.02


@pytest.mark.parametrize("shared", [True, False], ids=["same features", "own features"])
def test_backbone(shared):
    """The backward pass of our own against that of autograd."""
    n, width, rate, rows = 12, 5, 0.4, 7
    x = values(n, width).detach() if shared else values(M, n, width).detach()
    parameters = [
        values(M, width, H, seed=1), values(M, 1, H, seed=2),
        values(M, H, C, seed=3), values(M, 1, C, seed=4),
    ]  # fmt: skip
    keep = kept_units(n, H, rate, torch.Generator().manual_seed(0), torch.float64)
    model = Branches(dict(zip(PARAMETERS, parameters, strict=True)))

    def weighted(hidden, logits):
        return (hidden * values(M, rows, H, seed=5).detach()).sum() + (
            logits * values(M, n, C, seed=6).detach()
        ).sum()

    fast = weighted(*model(x, keep, rate, rows))
    w1, b1, w2, b2 = parameters
    hidden = (x @ w1 + b1).relu() * (keep > 0) / (1 - rate)
    slow = weighted(hidden[:, :rows], hidden @ w2 + b2)
    close(fast.detach(), slow.detach(), 1e-9)
    fast.backward()
    for p, expected in zip(model.parameters(), torch.autograd.grad(slow, parameters), strict=True):
        assert expected.abs().sum() > 0
        close(p.grad, expected, 1e-9)
