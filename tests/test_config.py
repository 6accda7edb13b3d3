"""A config is checked, frozen, hashable, and says what is wrong with it."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from amslib import Config
from amslib.config import CHOICES, RANGES
from amslib.train import FREE


def test_defaults_are_the_papers():
    c = Config()
    paper = (c.lr, c.eta, c.factor, c.beta, c.class_threshold, c.localization_weight)
    assert paper == (1e-4, 0.75, 20, 0.15, 0.25, 1.0)
    schedule = (c.epochs_zero, c.epochs, c.iterations, c.max_snippets, c.threshold_factor)
    assert schedule == (20, 5, 3, 1000, 0.7)
    assert (c.sampler, c.aggregation, c.supervision, c.branches) == (
        "adaptive",
        "maximum",
        "mutual",
        2,
    )


def test_equal_configs_are_one():
    assert Config(eta=1) == Config(eta=1.0)
    assert len({Config(), Config(), Config(eta=0.5)}) == 2
    with pytest.raises(FrozenInstanceError):
        Config().eta = 1.0


def test_changes_are_the_fields_that_are_not_the_default():
    assert Config().changes() == Config(eta=0.75, iterations=3).changes() == {}
    changes = {"eta": 1.0, "sampler": "random"}
    assert Config(sampler="random", eta=1).changes() == changes
    assert Config(**changes).changes() == changes


@pytest.mark.parametrize("name", sorted(CHOICES))
def test_every_choice_is_accepted_and_others_are_named(name):
    for value in CHOICES[name]:
        extra = {"branches": {"sampler": "none", "supervision": "self"}, "activation": {}}
        extra = extra.get(name, {}) if value == 1 else {}
        if (name, value) == ("activation", "sigmoid"):
            extra = {"class_loss": "bce"}
        assert getattr(Config(**{name: value}, **extra), name) == value
    with pytest.raises(ValueError, match=rf"{name}='other'; expected one of"):
        Config(**{name: "other"})


@pytest.mark.parametrize("name", sorted(RANGES))
def test_numbers_out_of_range_or_of_the_wrong_type_are_named(name):
    low, high = RANGES[name]
    with pytest.raises(ValueError, match=f"Config: {name}="):
        Config(**{name: low - 1})
    with pytest.raises(ValueError, match=f"Config: {name}="):
        Config(**{name: high * 2 + 1})
    with pytest.raises(TypeError, match=f"Config: {name}="):
        Config(**{name: "many"})
    with pytest.raises(TypeError, match=f"Config: {name}="):
        Config(**{name: True})


def test_every_field_is_validated():
    known = {*CHOICES, *RANGES, "background"}
    assert {f.name for f in fields(Config)} == known
    assert known >= FREE
    with pytest.raises(TypeError, match="background"):
        Config(background=1)
    with pytest.raises(ValueError, match="eta=nan"):
        Config(eta=float("nan"))
    with pytest.raises(TypeError, match="etta"):
        Config(etta=1.0)


def test_contradictions_are_refused():
    with pytest.raises(ValueError, match="pairs=6"):
        Config(pairs=6)
    with pytest.raises(ValueError, match="branches=1"):
        Config(branches=1)
    with pytest.raises(ValueError, match="softmax_ce"):
        Config(activation="sigmoid")
