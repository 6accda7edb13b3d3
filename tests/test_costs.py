"""What a training step may cost, in counts. Those of tensor operations and of allocations do not
grow with videos, classes, members or pairs; that of Python calls does, by a few for each video of a
batch and for each member.

`make bench` measures times; no test fails on one.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import counting
import numpy as np
import pytest
import torch
from counting import PHASES, STEPS, config, dataset

from amslib import train
from amslib.experiments import table_3
from amslib.graphs import Graphs

OPERATIONS, CALLS, ALLOCATIONS = 500, 1000, 450  # of a step, at most
TABLES = 3.5  # of members x snippets x hidden units that a step holds at once, at most
CALLS_A_VIDEO = 10  # the CPU selects the highest logits video by video
CALLS_A_MEMBER = 2  # a look at its config

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


def members(count: int) -> list:
    return [config(eta=1 / (1 + i)) for i in range(count)]


BASE = dataset(), config()
GROWN = {
    "longer videos": (dataset(snippets=48), config()),
    "more videos": (dataset(videos=48), config()),
    "more classes": (dataset(classes=8), config()),
    "larger batches": (dataset(), config(batch_size=20)),
}
MORE_MEMBERS = dataset(), members(8)
CROPPED = dataset(), config(max_snippets=24)  # every video but the shortest
HALF_CROPPED = dataset(), config(max_snippets=36)


def bounded(counts: dict[str, list[int]], most: int) -> bool:
    return max(map(max, counts.values())) <= most


def test_the_operations_of_a_step_are_few():
    assert bounded(counting.operations(*BASE), OPERATIONS)


@pytest.mark.parametrize("grown", GROWN)
def test_the_operations_of_a_step_do_not_grow(grown):
    assert counting.operations(*GROWN[grown]) == counting.operations(*BASE)


def test_the_operations_of_a_step_do_not_grow_with_members():
    assert counting.operations(*MORE_MEMBERS) == counting.operations(dataset(), members(2))


def test_the_operations_of_a_step_do_not_grow_with_pairs():
    """More pairs share more entries at once."""
    few = counting.operations(dataset(), config(batch_size=20, pairs=2))
    assert counting.operations(dataset(), config(batch_size=20, pairs=9)) == few


def test_the_operations_of_a_step_do_not_grow_with_crops():
    assert counting.operations(*CROPPED) == counting.operations(*HALF_CROPPED)


def test_python_calls_of_a_step_are_few():
    assert bounded(counting.python_calls(*BASE), CALLS)


@pytest.mark.parametrize("grown", ["longer videos", "more videos", "more classes"])
def test_python_calls_of_a_step_do_not_grow(grown):
    assert counting.python_calls(*GROWN[grown]) == counting.python_calls(*BASE)


@pytest.mark.parametrize(
    "few, many, most",
    [
        (BASE, GROWN["larger batches"], 10 * CALLS_A_VIDEO),
        ((dataset(), members(2)), MORE_MEMBERS, 6 * CALLS_A_MEMBER),
    ],
    ids=["videos", "members"],
)
def test_python_calls_of_a_step_hardly_grow(few, many, most):
    few, many = counting.python_calls(*few), counting.python_calls(*many)
    assert all((np.subtract(many[phase], few[phase]) <= most).all() for phase in PHASES)


@pytest.mark.parametrize("count", [1, 8])
def test_a_step_reads_each_snippet_once(count):
    """Or, at the positions of a member, the two snippets around each."""
    data, configs = dataset(), members(count)
    read = counting.rows_read(data, configs)
    trained, _ = counting.passes(data, configs)
    snippets = np.reshape([rows for _, rows in trained], (len(PHASES), STEPS))[:, 1:]
    for phase, expected in zip(PHASES, snippets, strict=True):
        factor = 2 * count if phase == "supp" else 1
        assert read[phase] == (factor * expected).tolist()


@pytest.mark.parametrize("row, looks", [("A", 0), ("B", 0), ("C", 1), ("D", 2), ("E", 2), ("F", 2)])
def test_passes_over_the_training_set(row, looks):
    """Of the base branch at most one an iteration, and one of the supplementary branch if it
    teaches; in phase zero none.
    """
    data, c = dataset(), table_3(config(iterations=2))[row]
    _, looked = counting.passes(data, c)
    snippets = sum(video.num_snippets for video in data.train)
    assert sum(rows for _, rows in looked) == looks * c.iterations * snippets


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
@pytest.mark.parametrize("data, configs", [HALF_CROPPED, MORE_MEMBERS], ids=["crops", "members"])
def test_nothing_in_an_epoch_waits_for_the_gpu(data, configs, monkeypatch):
    configs = [*np.atleast_1d(configs), config(sampler="random"), config(aggregation="random")]
    configs[-2:] = [replace(c, max_snippets=configs[0].max_snippets) for c in configs[-2:]]
    steps, step = itertools.count(1), Graphs.__call__

    def watched(graphs, given):
        terms = step(graphs, given)
        torch.cuda.set_sync_debug_mode("error" if next(steps) % STEPS else "default")
        return terms

    train(data, configs, device="cuda")  # what is done once for a process
    monkeypatch.setattr(Graphs, "__call__", watched)
    try:
        train(data, configs, device="cuda")
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert next(steps) == len(PHASES) * STEPS + 1


def test_members_that_stop_cost_nothing_afterwards():
    data = dataset()
    configs = [config(eta=0.5, iterations=1), config(iterations=3)]
    trained, looked = counting.passes(data, configs)
    steps = [members for members, _ in trained]
    assert steps == [1] * 2 * STEPS + [2] * 2 * STEPS + [1] * 4 * STEPS
    snippets = sum(video.num_snippets for video in data.train)
    assert sum(members * rows for members, rows in looked) == 2 * (2 + 1 + 1) * snippets


def test_members_share_phase_zero():
    trained, _ = counting.passes(*MORE_MEMBERS)
    assert [members for members, _ in trained] == [1] * 2 * STEPS + [8] * 2 * STEPS


def counts_of(allocations: dict) -> dict[str, list[int]]:
    return {phase: [count for count, _ in steps] for phase, steps in allocations.items()}


def test_the_allocations_of_a_step_are_few():
    assert bounded(counts_of(counting.allocations(*BASE)), ALLOCATIONS)


@pytest.mark.parametrize("grown", GROWN)
def test_the_allocations_of_a_step_do_not_grow(grown):
    grown = counting.allocations(*GROWN[grown])
    assert counts_of(grown) == counts_of(counting.allocations(*BASE))


def test_the_allocations_of_a_step_do_not_grow_with_members():
    few = counting.allocations(dataset(), members(2))
    assert counts_of(counting.allocations(*MORE_MEMBERS)) == counts_of(few)


@pytest.mark.parametrize("count", [1, 4])
def test_the_memory_of_a_step_is_that_of_a_few_hidden_layers(count):
    """Parameters and features are small here: the hidden layer is 512 units wide."""
    data = dataset()
    configs = [config(eta=1 / (1 + i), hidden=512) for i in range(count)]
    trained, _ = counting.passes(data, configs)
    hidden = np.reshape([4 * 512 * np.prod(sizes) for sizes in trained], (len(PHASES), STEPS))
    held = counting.allocations(data, configs)
    for phase, sizes in zip(PHASES, hidden[:, 1:], strict=True):
        assert all(
            peak <= TABLES * size for (_, peak), size in zip(held[phase], sizes, strict=True)
        )
