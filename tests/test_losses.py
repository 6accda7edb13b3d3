"""Eqs 8-10 and the Co-Activity Similarity loss: oracle, invariant, closed form, caught mutants."""

from __future__ import annotations

import math

import numpy as np
import oracle
import pytest
import torch
from helpers import close, each_video, random_batch

from amslib import (
    classification_loss,
    coactivity_loss,
    localization_loss,
    pseudo_labels,
    topk_mean,
)

CAS, X, LABELS, MASK = random_batch(1)
LOGITS = torch.from_numpy(np.random.default_rng(2).normal(size=CAS.shape)) * 2


# -- top-k mean ----------------------------------------------------------------------------------


def check_topk(function):
    for topk in (1, 2, 8, 100):
        scores = function(LOGITS, topk, MASK)
        for i, n in each_video(MASK):
            close(scores[i], oracle.topk_mean(LOGITS[i, :n].numpy(), topk))


def test_topk_oracle():
    check_topk(topk_mean)


def test_topk_invariant_order_in_time_does_not_matter():
    shuffled = LOGITS[3][torch.randperm(12, generator=torch.Generator().manual_seed(0))]
    close(topk_mean(shuffled), topk_mean(LOGITS[3]), 1e-12)


def test_topk_closed_form():
    close(topk_mean(torch.arange(16.0)[:, None], 8), [14.5])
    close(topk_mean(torch.arange(17.0)[:, None], 8), [15.0])  # k = ceil(17 / 8) = 3
    close(topk_mean(torch.tensor([[-3.0]]), 8), [-3.0])


def test_topk_mutants_are_caught():
    def padded_length(logits, topk, mask):  # k from the padded length, padding as zeros
        return topk_mean(torch.where(mask[..., None], logits, 0), topk)

    def floor(logits, topk, mask):
        k = (mask.sum(-1) // topk).clamp_min(1)
        rows = [
            z[:n].topk(int(m), dim=0).values.mean(0)
            for z, n, m in zip(logits, mask.sum(-1), k, strict=True)
        ]
        return torch.stack(rows)

    for mutant in (padded_length, floor):
        with pytest.raises(AssertionError):
            check_topk(mutant)


# -- Eq. 8 ---------------------------------------------------------------------------------------


def check_pseudo(function):
    for factor in (0.7, 1.0, 1.3):
        labels = function(CAS, LABELS, factor, MASK)
        for i, n in each_video(MASK):
            expected = oracle.pseudo_labels(CAS[i, :n].numpy(), LABELS[i].numpy(), factor)
            close(labels[i, :n], expected)
        assert (labels[~MASK] == 0).all()


def test_pseudo_labels_oracle():
    check_pseudo(pseudo_labels)


def test_pseudo_labels_invariant_the_scale_of_the_cas_does_not_matter():
    close(pseudo_labels(CAS * 0.01, LABELS, 0.7, MASK), pseudo_labels(CAS, LABELS, 0.7, MASK))


def test_pseudo_labels_closed_form_strictly_above_the_mean():
    cas = torch.tensor([[0.5, 0.9], [0.5, 0.1]], dtype=torch.double)
    close(pseudo_labels(cas, torch.tensor([1, 1]), 1.0), [[0, 1], [0, 0]])
    close(pseudo_labels(cas, torch.tensor([1, 0]), 0.7), [[1, 0], [1, 0]])


def test_pseudo_labels_mutants_are_caught():
    def mean_over_padding(cas, labels, factor, mask):
        alpha = factor * torch.where(mask[..., None], cas, 0).mean(-2, keepdim=True)
        return ((cas > alpha) & labels.bool()[:, None] & mask[..., None]).double()

    def one_threshold_for_all_classes(cas, labels, factor, mask):
        alpha = factor * torch.stack([c[:n].mean() for c, n in zip(cas, mask.sum(-1), strict=True)])
        return ((cas > alpha[:, None, None]) & labels.bool()[:, None] & mask[..., None]).double()

    def absent_classes_too(cas, labels, factor, mask):
        return pseudo_labels(cas, torch.ones_like(labels), factor, mask)

    for mutant in (mean_over_padding, one_threshold_for_all_classes, absent_classes_too):
        with pytest.raises(AssertionError):
            check_pseudo(mutant)


def test_pseudo_labels_carry_no_gradient():
    assert not pseudo_labels(CAS.clone().requires_grad_(), LABELS).requires_grad


# -- Eq. 9 ---------------------------------------------------------------------------------------

PSEUDO = torch.zeros(CAS.shape).double()
for i, n in each_video(MASK):
    marked = oracle.pseudo_labels(CAS[i, :n].flip(-1).numpy(), LABELS[i].numpy(), 1.0)
    PSEUDO[i, :n] = torch.from_numpy(marked)


def check_localization(function):
    expected = [
        oracle.localization_loss(CAS[i, :n].numpy(), PSEUDO[i, :n].numpy())
        for i, n in each_video(MASK)
    ]
    close(function(CAS, PSEUDO, MASK), np.mean(expected))


def test_localization_oracle():
    check_localization(localization_loss)


def test_localization_invariant_balanced_sides():
    """Seeing the negatives of a class twice changes nothing: each side is a mean."""
    cas, pseudo = CAS[3][:, :1], PSEUDO[3][:, 1:2]
    negative = pseudo[:, 0] == 0
    assert 0 < negative.sum() < 12
    more = torch.cat([cas, cas[negative]]), torch.cat([pseudo, pseudo[negative]])
    close(localization_loss(*more), localization_loss(cas, pseudo), 1e-12)


def test_localization_closed_form():
    cas = torch.tensor([[0.5], [0.5], [0.25]], dtype=torch.double)
    pseudo = torch.tensor([[1.0], [0.0], [0.0]])
    close(localization_loss(cas, pseudo), math.log(2) + (math.log(2) - math.log(0.75)) / 2)
    # no positive snippet: that side contributes nothing
    close(localization_loss(cas, pseudo * 0), (2 * math.log(2) - math.log(0.75)) / 3)
    # certain and wrong: clamped, not infinite
    close(localization_loss(torch.zeros(1, 1), torch.ones(1, 1)), -math.log(1e-6), 1e-5)


def test_localization_mutants_are_caught():
    def plain_mean(cas, pseudo, mask):
        entropy = -torch.where(pseudo.bool(), cas, 1 - cas).log()
        rows = [e[:n].mean() for e, n in zip(entropy, mask.sum(-1), strict=True)]
        return torch.stack(rows).mean()

    def padding_is_negative(cas, pseudo, mask):
        return localization_loss(cas, pseudo)

    for mutant in (plain_mean, padding_is_negative):
        with pytest.raises(AssertionError):
            check_localization(mutant)


# -- Eq. 10 --------------------------------------------------------------------------------------

PROBABILITIES = LOGITS[:, 0].softmax(-1)


def check_classification(function):
    for form in ("bce", "softmax_ce"):
        expected = [
            oracle.classification_loss(p.numpy(), y.numpy(), form)
            for p, y in zip(PROBABILITIES, LABELS, strict=True)
        ]
        close(function(PROBABILITIES, LABELS, form), np.mean(expected))


def test_classification_oracle():
    check_classification(classification_loss)


@pytest.mark.parametrize("form", ["bce", "softmax_ce"])
def test_classification_invariant_the_labels_own_distribution_is_the_minimum(form):
    labels = torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=torch.double)
    best = classification_loss(torch.tensor([0.5, 0.5, 0.0, 0.0], dtype=torch.double), labels, form)
    for p in PROBABILITIES:
        assert classification_loss(p, labels, form) > best


@pytest.mark.parametrize(("classes", "bce"), [(20, 0.1985), (100, 0.0560)])
def test_classification_closed_form_at_a_uniform_prediction(classes, bce):
    p, y = torch.full((classes,), 1 / classes), torch.eye(classes)[0]
    assert classification_loss(p, y, "bce").item() == pytest.approx(bce, abs=5e-5)
    assert classification_loss(p, y, "softmax_ce").item() == pytest.approx(math.log(classes))


def test_classification_mutants_are_caught():
    def raw_labels(p, y, form):
        return classification_loss(p, y * 2, form) * y.sum(-1).mean()

    def sum_over_classes(p, y, form):
        return classification_loss(p, y, form) * (p.shape[-1] if form == "bce" else 1)

    for mutant in (raw_labels, sum_over_classes):
        with pytest.raises(AssertionError):
            check_classification(mutant)


def test_classification_error_names_the_form():
    with pytest.raises(ValueError, match="'hinge'"):
        classification_loss(PROBABILITIES, LABELS, "hinge")


# -- Co-Activity Similarity ----------------------------------------------------------------------


_, FEATURES, _, LONG = random_batch(5, (9, 5, 7, 12))
TAGS = torch.tensor([[1.0, 1, 0, 0], [1, 1, 0, 1], [0, 1, 1, 0], [1, 0, 1, 0]])
SCORES = 2 * torch.from_numpy(np.random.default_rng(6).normal(size=(4, 12, 4)))


def check_coactivity(function):
    for pairs in ([[0, 1], [3, 0]], [[2, 3]]):
        expected = oracle.coactivity_loss(
            [FEATURES[i, :n].numpy() for i, n in each_video(LONG)],
            [SCORES[i, :n].numpy() for i, n in each_video(LONG)],
            TAGS.numpy(),
            pairs,
        )
        close(function(FEATURES, SCORES, TAGS, torch.tensor(pairs), LONG), expected, 1e-8)


def test_coactivity_oracle():
    check_coactivity(coactivity_loss)


def test_coactivity_invariants_scale_of_features_and_order_of_a_pair():
    pairs = torch.tensor([[0, 1], [3, 0]])
    loss = coactivity_loss(FEATURES, SCORES, TAGS, pairs, LONG)
    close(coactivity_loss(FEATURES * 7, SCORES, TAGS, pairs, LONG), loss, 1e-12)
    close(coactivity_loss(FEATURES, SCORES, TAGS, pairs.flip(1), LONG), loss, 1e-12)


def test_coactivity_closed_form():
    """Attention on snippet 0 of both videos: high features are snippets 0, low ones snippets 1."""
    u, v = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    logits = torch.tensor([[[50.0], [0.0]], [[50.0], [0.0]]])
    labels, pair = torch.ones(2, 1), torch.tensor([[0, 1]])
    # same action, unlike backgrounds: d = 0 against 1, below the margin
    close(coactivity_loss(torch.stack([torch.stack([u, v])] * 2), logits, labels, pair), 0, 1e-6)
    # all snippets alike: d = 0 against 0, the margin remains
    close(coactivity_loss(torch.stack([torch.stack([u, u])] * 2), logits, labels, pair), 0.5, 1e-6)
    # actions unlike, each like the other's background: d = 1 against 0
    swapped = torch.stack([torch.stack([u, v]), torch.stack([v, u])])
    close(coactivity_loss(swapped, logits, labels, pair), 1.5, 1e-6)


def test_coactivity_mutants_are_caught():
    def attention_over_padding(features, logits, labels, pairs, mask):
        return coactivity_loss(features, logits, labels, pairs)

    def divided_by_pairs(features, logits, labels, pairs, mask):
        shared = (labels[pairs[:, 0]] * labels[pairs[:, 1]]).sum()
        return coactivity_loss(features, logits, labels, pairs, mask) * shared / len(pairs)

    def no_margin(features, logits, labels, pairs, mask):
        return coactivity_loss(features, logits, labels, pairs, mask, margin=0.0)

    for mutant in (attention_over_padding, divided_by_pairs, no_margin):
        with pytest.raises(AssertionError):
            check_coactivity(mutant)


def test_coactivity_is_safe_without_shared_class_length_or_features():
    pair = torch.tensor([[0, 1]])
    nothing_shared = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    x, z = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0)), torch.zeros(2, 3, 2)
    assert coactivity_loss(x, z, nothing_shared, pair) == 0
    x = torch.zeros(2, 1, 4, requires_grad=True)  # one snippet, all features dropped
    loss = coactivity_loss(x, torch.zeros(2, 1, 2), torch.ones(2, 2), pair)
    loss.backward()
    assert loss.isfinite() and x.grad.isfinite().all()


# -- leading axes --------------------------------------------------------------------------------


def test_a_batch_of_models_gives_one_loss_each_and_padding_changes_nothing():
    models = torch.stack([CAS, CAS.flip(1).clone(), CAS**2])
    logits = torch.stack([LOGITS, LOGITS * 2, -LOGITS])
    pseudo = pseudo_labels(models, LABELS, 0.7, MASK)
    features = torch.stack([X, X**2, X - 1])
    pairs = torch.tensor([[0, 1], [3, 0]])
    local = localization_loss(models, pseudo, MASK)
    active = coactivity_loss(features, logits, LABELS, pairs, MASK)
    video = classification_loss(logits[:, :, 0].softmax(-1), LABELS)
    assert local.shape == active.shape == video.shape == (3,)
    for m in range(3):
        close(local[m], localization_loss(models[m], pseudo[m], MASK), 1e-12)
        close(active[m], coactivity_loss(features[m], logits[m], LABELS, pairs, MASK), 1e-12)
        close(video[m], classification_loss(logits[m, :, 0].softmax(-1), LABELS), 1e-12)
    alone = [localization_loss(CAS[i, :n], PSEUDO[i, :n]) for i, n in each_video(MASK)]
    close(localization_loss(CAS, PSEUDO, MASK), torch.stack(alone).mean(), 1e-12)
