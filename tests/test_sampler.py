"""Eqs 4-7, each against a slow oracle, an invariant, a closed form and mutants it must catch."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
import torch
from helpers import close, each_video, random_batch

from amslib import aggregate, align, sample_features, sample_positions, sampling_weights
from amslib.sampler import erase_weights

CAS, X, LABELS, MASK = random_batch()


# -- aggregation (Sec. III-C1) -------------------------------------------------------------------


def check_aggregate(function):
    for how in ("maximum", "average"):
        m = function(CAS, LABELS, how, MASK)
        for i, n in each_video(MASK):
            close(m[i, :n], oracle.aggregate(CAS[i, :n].numpy(), LABELS[i].numpy(), how))


def test_aggregate_oracle():
    check_aggregate(aggregate)


def test_aggregate_invariant_other_classes_do_not_matter():
    changed = torch.where(LABELS.bool()[:, None], CAS, 7.0)
    for how in ("maximum", "average"):
        close(aggregate(changed, LABELS, how, MASK), aggregate(CAS, LABELS, how, MASK))


def test_aggregate_closed_form():
    cas = torch.tensor([[0.2, 0.6, 0.9]])
    labels = torch.tensor([1, 1, 0])
    close(aggregate(cas, labels), [0.6], 1e-6)
    close(aggregate(cas, labels, "average"), [0.4], 1e-6)
    close(aggregate(cas, torch.zeros(3)), [0.0])


def test_aggregate_mutant_all_classes_is_caught():
    def mutant(cas, labels, how, mask):
        return aggregate(cas, torch.ones_like(labels), how, mask)

    with pytest.raises(AssertionError):
        check_aggregate(mutant)


def test_random_aggregation_takes_one_true_class_a_video():
    generator = torch.Generator().manual_seed(0)
    seen = set()
    for _ in range(40):
        m = aggregate(CAS, LABELS, "random", MASK, generator)
        for i, n in each_video(MASK):
            same = [k for k in range(CAS.shape[2]) if torch.equal(m[i, :n], CAS[i, :n, k])]
            assert len(same) == 1 and LABELS[i, same[0]] == 1
            seen.add((i, same[0]))
    assert len(seen) == int(LABELS.sum())


def test_random_aggregation_is_drawn_by_the_generator_passed_in():
    draws = [
        aggregate(CAS, LABELS, "random", MASK, torch.Generator().manual_seed(s)) for s in (3, 3, 4)
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_aggregate_errors_say_what_was_given():
    with pytest.raises(ValueError, match="'median'"):
        aggregate(CAS, LABELS, "median")
    with pytest.raises(ValueError, match=r"C = 4 .* C = 3"):
        aggregate(CAS, LABELS[:, :3])


# -- Eq. 4 ---------------------------------------------------------------------------------------

M = torch.zeros(MASK.shape).double()
for i, n in each_video(MASK):
    m = oracle.aggregate(CAS[i, :n].numpy(), LABELS[i].numpy(), "maximum")
    M[i, :n] = torch.from_numpy(m)


def check_weights(function):
    for eta in (0.0, 0.75, 2.0):
        w = function(M, eta, MASK)
        for i, n in each_video(MASK):
            close(w[i, :n], oracle.sampling_weights(M[i, :n].numpy(), eta))
        assert (w[~MASK] == 0).all()


def test_weights_oracle():
    check_weights(sampling_weights)


def test_weights_invariant_adding_a_constant_to_the_cas_changes_nothing():
    close(sampling_weights(M + 0.3, 0.75, MASK), sampling_weights(M, 0.75, MASK), 1e-12)


def test_weights_closed_form():
    close(sampling_weights(torch.tensor([0.0, 1.0, 0.25]), 0.75), [1.75, 0.75, 1.5], 1e-6)


def test_weights_mutant_positive_correlation_is_caught():
    with pytest.raises(AssertionError):
        check_weights(lambda m, eta, mask: torch.where(mask, m - m.amin() + eta, 0))


def test_weights_mutant_maximum_over_padding_is_caught():
    padded = torch.where(MASK, M, 5.0)
    with pytest.raises(AssertionError):
        check_weights(lambda m, eta, mask: torch.where(mask, padded.amax(-1, True) - m + eta, 0))


def test_weights_carry_no_gradient_and_refuse_negative_eta():
    assert not sampling_weights(M.clone().requires_grad_(), 0.75, MASK).requires_grad
    with pytest.raises(ValueError, match="-0.1"):
        sampling_weights(M, -0.1)


# -- Eq. 5 ---------------------------------------------------------------------------------------


def check_positions(function):
    for eta in (0.25, 0.75):
        for factor in (1, 4, 20):
            w = sampling_weights(M, eta, MASK)
            positions = function(w, factor, MASK)
            for i, n in each_video(MASK):
                close(positions[i, :n], oracle.sample_positions(w[i, :n].numpy(), factor), 1e-9)


def test_positions_oracle():
    check_positions(sample_positions)


@pytest.mark.parametrize("count", [1, 2, 7, 333, 1000])
@pytest.mark.parametrize("factor", [1, 3, 20])
@pytest.mark.parametrize("weight", [1.0, 0.75, 0.1, 1e-8])
def test_positions_invariant_uniform_weights_are_exactly_the_identity(count, factor, weight):
    positions = sample_positions(torch.full((count,), weight), factor)
    assert torch.equal(positions, torch.arange(float(count)))


def test_positions_invariants_increasing_inside_and_scale_free():
    w = sampling_weights(M, 0.75, MASK)
    positions = sample_positions(w, mask=MASK)
    for i, n in each_video(MASK):
        assert (positions[i, :n].diff() > 0).all()
        assert positions[i, 0] >= -0.5 and positions[i, n - 1] <= n - 0.5
    close(sample_positions(w * 10, mask=MASK), positions, 1e-9)


def test_positions_closed_form_density_follows_the_weights():
    """Weight 3 on the first half of the axis and 1 on the second: three of four samples."""
    w = torch.cat([torch.full((400,), 3.0), torch.full((400,), 1.0)]).double()
    positions = sample_positions(w, 20)
    assert (positions < 399.5).sum() == 600
    # evenly spaced on either side: 400 / 600 and 400 / 200 snippets apart
    close(positions[100:500].diff(), np.full(399, 2 / 3), 1e-9)
    close(positions[650:750].diff(), np.full(99, 2.0), 1e-9)


@pytest.mark.parametrize(
    "offset", [0.0, 1.0], ids=["left ends of the intervals", "right ends of the intervals"]
)
def test_positions_mutant_other_rule_than_the_midpoint_is_caught(offset):
    def mutant(w, factor, mask):
        positions = sample_positions(w, factor, mask)
        return positions + (offset - 0.5) * torch.where(mask, 1, 0)

    with pytest.raises(AssertionError):
        check_positions(mutant)


def test_positions_mutant_samples_spread_over_the_padded_length_is_caught():
    with pytest.raises(AssertionError):
        check_positions(lambda w, factor, mask: sample_positions(w, factor))


def test_positions_where_weights_vanish():
    """eta = 0: G is flat where the CAS peaks, and nothing is read there."""
    w = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0])
    positions = sample_positions(w, 20)
    assert (positions.diff() > 0).all()
    assert not ((positions > 2.0) & (positions < 4.0)).any()
    assert torch.equal(sample_positions(torch.zeros(5)), torch.arange(5.0))


def test_positions_in_whole_bins_approach_the_continuous_ones():
    w = sampling_weights(M, 0.75, MASK)
    exact = sample_positions(w, 20, MASK)
    gaps = [
        (sample_positions(w, factor, MASK, "bins") - sample_positions(w, factor, MASK))
        .abs()
        .max()
        .item()
        for factor in (4, 20, 200)
    ]
    assert gaps[0] > gaps[1] > gaps[2] and gaps[2] <= 0.5 / 200 + 1e-9
    assert not torch.equal(sample_positions(w, 20, MASK, "bins"), exact)


def test_positions_errors():
    with pytest.raises(ValueError, match="-1"):
        sample_positions(torch.tensor([1.0, -1.0]))
    with pytest.raises(ValueError, match="factor=0"):
        sample_positions(torch.ones(3), 0)
    with pytest.raises(ValueError, match=r"T = 4 .* T = 3"):
        sample_positions(torch.ones(3), mask=torch.ones(4, dtype=torch.bool))
    with pytest.raises(ValueError, match="behind padding"):
        sample_positions(torch.ones(3), mask=torch.tensor([True, False, True]))


def test_erase_weights_are_zero_where_the_base_branch_fires():
    cas = torch.tensor([[0.9, 0.9], [0.1, 0.9], [0.1, 0.1], [0.1, 0.1]])
    close(erase_weights(cas, torch.tensor([1, 0])), [0, 1, 1, 1])
    close(erase_weights(cas, torch.tensor([1, 1])), [0, 0, 1, 1])


# -- Eq. 6 ---------------------------------------------------------------------------------------

POSITIONS = torch.arange(12.0).double().repeat(4, 1)  # padding goes on evenly
for i, n in each_video(MASK):
    w = oracle.sampling_weights(M[i, :n].numpy(), 0.5)
    POSITIONS[i, :n] = torch.from_numpy(oracle.sample_positions(w, 20))


def check_features(function):
    sampled = function(X, POSITIONS, MASK)
    for i, n in each_video(MASK):
        close(sampled[i, :n], oracle.sample_features(X[i, :n].numpy(), POSITIONS[i, :n].numpy()))


def test_features_oracle():
    check_features(sample_features)


def test_features_invariant_whole_positions_are_plain_indexing():
    assert torch.equal(sample_features(X[0], torch.arange(12.0)), X[0])


def test_features_closed_form_a_ramp_gives_its_positions():
    ramp = torch.arange(12.0, dtype=torch.double)[:, None]
    close(sample_features(ramp, POSITIONS[3])[:, 0], POSITIONS[3].clamp(0, 11), 1e-12)


def test_features_equal_indexing_a_materialised_array_as_bins_grow():
    """The literal reading: upsample the features to H T rows and index them."""
    w, factor = sampling_weights(M[3], 0.5), 400
    literal = np.stack(
        [oracle.interpolate(X[3].numpy(), (b + 0.5) / factor - 0.5) for b in range(12 * factor)]
    )
    index = ((sample_positions(w, factor, mode="bins") + 0.5) * factor - 0.5).round().long()
    close(sample_features(X[3], sample_positions(w, factor)), literal[index], 5e-3)


def test_features_mutant_nearest_neighbour_is_caught():
    def mutant(x, positions, mask):
        return torch.take_along_dim(x, positions.round().clamp(0).long()[..., None], -2)

    with pytest.raises(AssertionError):
        check_features(mutant)


def test_features_the_last_real_snippet_is_held_not_mixed_with_padding():
    """A position beyond the last centre: without the mask, padding leaks in."""
    x, mask = torch.tensor([[1.0], [2.0], [99.0]]), torch.tensor([True, True, False])
    positions = torch.tensor([0.0, 1.25, 2.0])
    close(sample_features(x, positions, mask)[1], [2.0])
    assert sample_features(x, positions)[1] > 2


# -- Eq. 7 ---------------------------------------------------------------------------------------


def check_align(function):
    aligned = function(CAS, POSITIONS, MASK)
    for i, n in each_video(MASK):
        close(aligned[i, :n], oracle.align(CAS[i, :n].numpy(), POSITIONS[i, :n].numpy()))
    assert (aligned[~MASK] == 0).all()


def test_align_oracle():
    check_align(align)


def test_align_invariant_round_trip_under_uniform_weights():
    positions = sample_positions(MASK.double(), mask=MASK)
    back = align(sample_features(CAS, positions, MASK), positions, MASK)
    close(back, torch.where(MASK[..., None], CAS, 0), 1e-12)


def test_align_closed_form_a_linear_signal_survives_any_sampling():
    ramp = torch.arange(12.0, dtype=torch.double)[:, None]
    back = align(POSITIONS[3][:, None], POSITIONS[3])
    inside = (ramp[:, 0] >= POSITIONS[3][0]) & (ramp[:, 0] <= POSITIONS[3][-1])
    assert inside.sum() >= 10
    close(back[inside], ramp[inside], 1e-9)


def test_align_mutant_hold_the_previous_sample_is_caught():
    def mutant(cas, positions, mask):
        centres = torch.arange(12.0, dtype=positions.dtype).expand(positions.shape).contiguous()
        last = (torch.searchsorted(positions, centres, right=True) - 1).clamp(0)
        return torch.where(mask[..., None], torch.take_along_dim(cas, last[..., None], -2), 0)

    with pytest.raises(AssertionError):
        check_align(mutant)


def test_align_survives_duplicate_positions_and_is_differentiable():
    cas = torch.rand(5, 2, dtype=torch.double, requires_grad=True)
    positions = torch.tensor([0.0, 1.0, 1.0, 1.0, 4.0], dtype=torch.double)
    aligned = align(cas, positions)
    assert aligned.isfinite().all()
    assert torch.autograd.gradcheck(lambda c: align(c, positions), cas)


# -- broadcasting and padding --------------------------------------------------------------------


def sampler_chain(cas, labels, x, mask):
    m = aggregate(cas, labels, mask=mask)
    positions = sample_positions(sampling_weights(m, 0.75, mask), mask=mask)
    return m, positions, sample_features(x, positions, mask), align(cas, positions, mask)


def test_one_video_a_batch_and_a_batch_of_models_agree():
    models = torch.stack([CAS, CAS.flip(0), CAS**2])  # (M, B, T, C)
    batched = sampler_chain(models, LABELS, X, MASK)
    for member in range(3):
        for i, n in each_video(MASK):
            alone = sampler_chain(
                models[member, i, :n], LABELS[i], X[i, :n], torch.ones(n, dtype=torch.bool)
            )
            for whole, single in zip(batched, alone, strict=True):
                close(whole[member, i, :n], single, 1e-9)
