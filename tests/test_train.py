"""Training: reproducible, the same alone as among others, blind to segments and padding."""

from __future__ import annotations

import sys
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from amslib import Config, Run, Video, load, train
from amslib.batches import PairSampler, Store
from amslib.config import CHOICES
from amslib.data.video import Dataset
from amslib.phases import StreamTrainer
from amslib.train import FREE, groups_of

pytestmark = pytest.mark.slow

TINY = load("synthetic-tiny", width=16)
QUICK = Config(steps_per_epoch=5, epochs_zero=2, epochs=1, iterations=2)
ALONE = Config(branches=1, sampler="none", supervision="none", iterations=0, steps_per_epoch=3)
ABLATIONS = [
    QUICK,
    replace(QUICK, sampler="none", supervision="none", iterations=0),
    replace(QUICK, branches=1, sampler="none", supervision="self"),
    replace(QUICK, supervision="none", iterations=1),
    replace(QUICK, sampler="none"),
    replace(QUICK, sampler="random"),
    replace(QUICK, sampler="erase"),
    replace(QUICK, sampler="uniform", positions="bins", factor=4),
    replace(QUICK, aggregation="random", eta=0.25),
    replace(QUICK, aggregation="average", localization_weight=0.5, threshold_factor=0.9),
]
DEVICES = ["cpu", "cuda"]


def parameters(run: Run, iteration: int = -1) -> dict[str, torch.Tensor]:
    return {
        f"{stream}/{branch}/{name}": p
        for stream, branches in run.states[iteration].items()
        for branch, state in branches.items()
        for name, p in state.items()
    }


def furthest(a: Run, b: Run) -> float:
    """Largest difference of any parameter after any iteration."""
    assert len(a.states) == len(b.states)
    gaps = []
    for iteration in range(len(a.states)):
        left, right = parameters(a, iteration), parameters(b, iteration)
        assert left.keys() == right.keys()
        gaps += [(left[name] - right[name]).abs().max().item() for name in left]
    return max(gaps)


@pytest.mark.parametrize("device", DEVICES)
def test_same_seed_is_bitwise_the_same_and_another_seed_is_not(device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    runs = [train(TINY, QUICK, seed, device) for seed in (3, 3, 4)]
    assert furthest(runs[0], runs[1]) == 0
    assert runs[0].history == runs[1].history
    assert furthest(runs[0], runs[2]) > 1e-3
    predictions = [run.predict(TINY.test) for run in runs[:2]]
    assert predictions[0] == predictions[1]


def test_a_member_does_not_depend_on_which_others_ride_along():
    """50 steps in all: 10 of phase zero for either branch, then 5 for each phase."""
    together = train(TINY, [replace(c, iterations=c.iterations * 3) for c in ABLATIONS], seed=1)
    for config, member in zip(ABLATIONS, together, strict=True):
        alone = train(TINY, replace(config, iterations=config.iterations * 3), seed=1)
        assert furthest(alone, member) < 1e-4
        assert len(alone.history) == len(member.history)


def test_the_ablations_differ():
    """The comparison above would pass if no switch did anything."""
    runs = train(TINY, ABLATIONS[4:], seed=1)
    for i, a in enumerate(runs):
        for b in runs[:i]:
            assert furthest(a, b) > 1e-3


def test_no_sampler_and_uniform_sampling_are_the_same():
    """Uniform weights are the identity, so Table IV (A) is Table III (E)."""
    none, uniform = train(
        TINY, [replace(QUICK, sampler="none"), replace(QUICK, sampler="uniform")], seed=0
    )
    assert furthest(none, uniform) < 1e-5


def test_members_share_phase_zero():
    together = train(TINY, [QUICK, replace(QUICK, eta=0.1)], seed=0)
    a, b = (parameters(run, 0) for run in together)
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("f", fields(Config), ids=lambda f: f.name)
def test_only_fields_without_part_in_phase_zero_may_differ_within_a_group(f):
    base = {"branches": ALONE, "activation": Config(class_loss="bce")}.get(f.name, Config())
    given = getattr(base, f.name)
    if f.name in CHOICES:
        other = next(v for v in CHOICES[f.name] if v != given)
    else:
        other = {bool: True, int: 1 + (given or 0), float: 0.123}.get(type(given), 7)
    assert len(groups_of([base, replace(base, **{f.name: other})])) == (1 if f.name in FREE else 2)


@pytest.mark.parametrize(
    "change",
    [
        {"heads": "parallel"},
        {"activation": "sigmoid", "class_loss": "bce"},
        {"background": True},
        {"background": True, "heads": "parallel"},
        {"supp_init": "copy_base"},
        {"supp_init": "scratch"},
        {"hidden": 8},
        {"topk": 2},
        {"pairs": 0},
        {"max_snippets": 30},
    ],
    ids=str,
)
def test_every_option_trains_and_changes_the_result(change):
    run, default = train(TINY, replace(QUICK, **change)), train(TINY, QUICK)
    assert all(p.isfinite().all() for p in parameters(run).values())
    assert len(run.predict(TINY.test)) > 0
    a, b = parameters(run), parameters(default)
    assert any(a[k].shape != b[k].shape or not torch.equal(a[k], b[k]) for k in a)


def test_supplementary_initialisation():
    copied = train(TINY, replace(QUICK, supp_init="copy_base", iterations=0))
    state = copied.states[0]["rgb"]
    assert all(torch.equal(state["base"][name], state["supp"][name]) for name in state["base"])
    fresh = train(TINY, replace(QUICK, supp_init="scratch", iterations=0)).states[0]["rgb"]
    assert fresh["supp"]["bias1"].abs().max() == 0
    assert {h["branch"] for h in copied.history} == {"base"}


def test_training_never_looks_at_segments():
    def blind(videos):
        return tuple(replace(v, segments=(), ambiguous=(), metadata={}) for v in videos)

    hidden = replace(TINY, train=blind(TINY.train), test=())
    assert furthest(train(hidden, QUICK), train(TINY, QUICK)) == 0


def test_losses_fall():
    run = train(TINY, replace(ALONE, steps_per_epoch=40))
    for stream in ("rgb", "flow"):
        curve = [h["classification"] for h in run.history if h["stream"] == stream]
        assert curve[-1] < 0.7 * curve[0]


def test_one_stream_is_enough():
    def one(videos):
        return tuple(replace(v, features={"flow": v.features["flow"]}) for v in videos)

    single = replace(TINY, train=one(TINY.train), test=one(TINY.test))
    run = train(single, QUICK)
    assert set(run.cas(single.test[0])) == {"flow"}
    assert furthest_of_stream(run, train(TINY, QUICK), "flow") == 0
    assert run.predict(single.test)


def furthest_of_stream(a: Run, b: Run, stream: str) -> float:
    left, right = parameters(a), parameters(b)
    return max((left[k] - right[k]).abs().max().item() for k in left if k.startswith(stream))


def test_padding_never_changes_a_result():
    """The same video alone and in a batch with longer ones: losses' inputs agree to 1e-6."""
    from amslib.forward import plan_positions, read

    labels = TINY.labels(TINY.train)
    store = Store(TINY.train, "rgb", labels, torch.device("cpu"))
    together = store.batch(np.arange(8))
    shape = 1, len(together.rows), 4
    cas = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    noise, drawn = torch.rand(shape[1]), together.labels
    where = plan_positions([QUICK], cas, together, noise, drawn)
    packed = read(together, where)
    for i in range(8):
        alone, here = store.batch(np.array([i])), together.video == i
        own = plan_positions([QUICK], cas[:, here], alone, noise[here], drawn[i : i + 1])
        torch.testing.assert_close(where[:, here], own, atol=1e-6, rtol=0)
        torch.testing.assert_close(packed[:, here], read(alone, own), atol=1e-6, rtol=0)
        one, rows = together.only([i])
        assert torch.equal(one.rows, alone.rows) and torch.equal(rows, here.nonzero()[:, 0])
        assert one.ends == alone.ends and torch.equal(one.labels, alone.labels)


def test_the_grid_of_a_cropped_batch():
    store = Store(TINY.train, "rgb", TINY.labels(TINY.train), torch.device("cpu"))
    batch = store.batch(np.array([3, 0, 5]), 20, np.random.default_rng(0))
    x = store.features[batch.rows]
    grid = batch.pad(x)
    assert grid.shape == (3, 20, 16) and torch.equal(grid[batch.mask], x)
    assert (grid[~batch.mask] == 0).all()
    assert batch.cropped == tuple(i for i, v in enumerate((3, 0, 5)) if store.lengths[v] > 20)


def test_crops_are_consecutive_and_reach_both_ends():
    video = Video("v", {"rgb": np.arange(7, dtype=np.float32)[:, None]}, ("a",))
    store = Store([video], "rgb", np.ones((1, 1), np.float32), torch.device("cpu"))
    rng = np.random.default_rng(0)
    crops = [store.batch(np.array([0]), 5, rng).rows.tolist() for _ in range(60)]
    assert all(np.diff(rows).tolist() == [1] * 4 for rows in crops)
    assert {rows[0] for rows in crops} == {0, 1, 2}
    assert store.batch(np.array([0]), 7, rng).rows.tolist() == list(range(7))


def test_batches_begin_with_pairs_that_share_a_class():
    labels = TINY.labels(TINY.train)
    sampler, rng = PairSampler(labels, 10, 3), np.random.default_rng(0)
    seen = set()
    for _ in range(50):
        videos = sampler.draw(rng)
        assert len(videos) == 10 and len(set(videos[6:])) == 4
        for a, b in videos[:6].reshape(3, 2):
            assert a != b and (labels[a] * labels[b]).any()
        seen |= set(videos.tolist())
    assert seen == set(range(len(labels)))


def test_pairs_share_every_class_they_have_in_common():
    labels = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1], [0, 0, 1]], np.float32)
    shared = PairSampler(labels, 4, 2).shared(np.array([0, 1, 2, 3]))
    assert shared.videos.tolist() == [0, 0, 2, 1, 1, 3]
    assert shared.classes.tolist() == [0, 1, 2, 0, 1, 2]


def test_what_plays_a_part_after_training_only_is_trained_once(monkeypatch):
    asked = []

    class Noted(StreamTrainer):
        def __init__(self, configs, *rest):
            asked.append(list(configs))
            super().__init__(configs, *rest)

    monkeypatch.setattr(sys.modules["amslib.train"], "StreamTrainer", Noted)
    more = replace(QUICK, iterations=3)
    runs = train(TINY, [QUICK, more, replace(QUICK, beta=0.5, score="oic", iterations=1)])
    assert asked == [[more], [more]]
    assert [len(run.states) for run in runs] == [3, 4, 2]
    assert furthest(runs[0], train(TINY, QUICK)) == 0
    assert [run.config.beta for run in runs] == [0.15, 0.15, 0.5]


def test_no_class_with_two_videos_means_no_pairs():
    sampler = PairSampler(np.eye(3, dtype=np.float32), 10, 3)
    assert sampler.pairs == 0 and len(sampler.shared(np.arange(3)).videos) == 0
    assert sorted(sampler.draw(np.random.default_rng(0))) == [0, 1, 2]
    lonely = replace(TINY, train=TINY.train[:1])
    run = train(lonely, QUICK)
    assert all(h["coactivity"] == 0 for h in run.history)


def test_errors_say_what_is_missing():
    with pytest.raises(ValueError, match="0 training videos"):
        train(replace(TINY, train=()))
    empty = Dataset("bare", ("a",), (Video("v", labels=("a",)),), ())
    with pytest.raises(ValueError, match="'bare'"):
        train(empty)
    broken = replace(TINY.train[0], features={"rgb": np.full((5, 16), 3e38, np.float32)})
    with pytest.raises(FloatingPointError, match="stream rgb, iteration 0, base branch"):
        train(replace(TINY, train=(broken, *TINY.train[1:])).only("rgb"), QUICK)
