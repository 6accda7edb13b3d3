"""The experiments are the paper's rows, each a small change of one base."""

from __future__ import annotations

from dataclasses import asdict, fields, replace

import numpy as np
import pytest

from amslib import Config, load, run_grid
from amslib.config import CHOICES
from amslib.experiments import (
    ETAS,
    fig_4,
    fig_5,
    ledger,
    paper_grid,
    table_3,
    table_4,
    table_5,
)

# The schedule of every row comes from the base.
QUICK = Config(steps_per_epoch=2, epochs_zero=1, epochs=1, iterations=2)


def changes(config: Config, base: Config = QUICK) -> dict:
    """Fields in which a config differs from a base."""
    default = asdict(base)
    return {name: value for name, value in asdict(config).items() if value != default[name]}


def test_the_components():
    none = {"sampler": "none", "supervision": "none", "iterations": 0}
    assert {row: changes(config) for row, config in table_3(QUICK).items()} == {
        "A": none | {"branches": 1},
        "B": none,
        "C": {"supervision": "none", "iterations": 1},
        "D": {"sampler": "none", "supervision": "self"},
        "E": {"sampler": "none"},
        "F": {},
    }
    assert table_3()["F"] == Config()


@pytest.mark.parametrize("rows, field", [(table_4, "sampler"), (table_5, "aggregation")])
def test_one_field_a_table(rows, field):
    default = getattr(Config(), field)
    found = rows(QUICK)
    assert found.keys() == set(CHOICES[field]) - {"none"}
    for name, config in found.items():
        assert changes(config) == ({} if name == default else {field: name})


def test_the_curves():
    assert changes(fig_4(QUICK)) == {"iterations": 4}
    curve = fig_5(QUICK)
    assert [float(name) for name in curve] == list(ETAS) == list(np.arange(0, 2.25, 0.25))
    assert [config.eta for config in curve.values()] == list(ETAS)
    assert all(config == replace(QUICK, eta=config.eta) for config in curve.values())
    assert fig_5(QUICK, [1, 0.1]).keys() == {"1", "0.1"}


def test_the_grid_of_the_paper_holds_each_config_once():
    grid = paper_grid(QUICK)
    rows = [*table_3(QUICK).values(), *table_4(QUICK).values(), *table_5(QUICK).values()]
    wanted = [*rows, fig_4(QUICK), *fig_5(QUICK).values()]
    assert set(grid) == set(wanted) and len(grid) == len(set(grid)) < len(wanted)


def test_an_alternative_is_not_the_base():
    configs = [c for alternatives in ledger(QUICK).values() for c in alternatives.values()]
    assert QUICK not in configs and len(configs) == len(set(configs))
    for decision, alternatives in ledger(QUICK).items():
        changed = {frozenset(changes(config)) for config in alternatives.values()}
        assert len(changed) == 1, decision


def test_every_choice_is_part_of_an_experiment():
    alternatives = [c for named in ledger().values() for c in named.values()]
    run = [*paper_grid(), *alternatives]
    for name, choices in CHOICES.items():
        assert {getattr(config, name) for config in run} == set(choices), name
    flags = [f.name for f in fields(Config) if isinstance(f.default, bool)]
    assert all({getattr(config, name) for config in run} == {False, True} for name in flags)


@pytest.mark.slow
def test_identities_that_records_must_keep(one_thread, tmp_path):
    """Uniform weights are no sampler; what comes before a change is the same with and without."""
    three, four = table_3(QUICK), table_4(QUICK)
    configs = [three["B"], three["E"], three["F"], four["uniform"], fig_4(QUICK)]
    data = load("synthetic-tiny", width=8)
    b, e, f, uniform, longer = run_grid(configs, [0], data, out=tmp_path)
    assert uniform.iterations == e.iterations
    assert e.iterations[:1] == b.iterations
    assert longer.iterations[:3] == f.iterations
    assert f.iterations[-1] != e.iterations[-1]
