"""The experiments of the paper's Sec. IV as named configs, for the chapters and `make reproduce`.

Each function takes the config that all others derive from, so that a chapter can run on another
schedule, and returns configs by the name of their row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace

from .config import Config

DEFAULT = Config()
TINY = Config(steps_per_epoch=20)  # on synthetic-tiny: the smallest record, of chapter 3
ETAS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)  # Fig. 5
FIG_4_ITERATIONS = 4
DOSES = (0.0, 0.6, 1.0)  # incompleteness of the generated data
SEEDS, LEDGER_SEEDS, DOSE_SEEDS = 5, 3, 3  # how many: 0, 1, ..


def table_3(base: Config = DEFAULT) -> dict[str, Config]:
    """Components (Table III): (A) is the one-branch baseline, (F) the whole method."""
    return {
        "A": replace(base, branches=1, sampler="none", supervision="none", iterations=0),
        "B": replace(base, sampler="none", supervision="none", iterations=0),
        "C": replace(base, supervision="none", iterations=1),
        "D": replace(base, sampler="none", supervision="self"),
        "E": replace(base, sampler="none"),
        "F": base,
    }


def table_4(base: Config = DEFAULT) -> dict[str, Config]:
    """Sampling weights (Table IV), and the erase operation that Sec. III-C4 argues against."""
    return {how: replace(base, sampler=how) for how in ("uniform", "random", "adaptive", "erase")}


def table_5(base: Config = DEFAULT) -> dict[str, Config]:
    """Aggregation of the class channels (Table V)."""
    return {how: replace(base, aggregation=how) for how in ("random", "average", "maximum")}


def fig_4(base: Config = DEFAULT) -> Config:
    """The whole method with one iteration more than the paper's result (Fig. 4)."""
    return replace(base, iterations=FIG_4_ITERATIONS)


def fig_5(base: Config = DEFAULT, etas: Iterable[float] = ETAS) -> dict[str, Config]:
    """The whole method at each sampling adjustment value (Fig. 5)."""
    return {f"{eta:g}": replace(base, eta=float(eta)) for eta in etas}


def ledger(base: Config = DEFAULT) -> dict[str, dict[str, Config]]:
    """``ledger()[decision][alternative]``: each gap of the paper, filled in another way."""
    changes = {
        "head": {"parallel": dict(heads="parallel")},
        "activation": {"sigmoid": dict(activation="sigmoid", class_loss="bce")},
        "background class": {"yes": dict(background=True)},
        "class loss": {"bce": dict(class_loss="bce")},
        "top-k": {"4": dict(topk=4)},
        "supplementary initialisation": {
            "copy": dict(supp_init="copy_base"),
            "scratch": dict(supp_init="scratch"),
        },
        "steps per epoch": {"20": dict(steps_per_epoch=20)},
        "positions": {"whole bins": dict(positions="bins")},
        "test-time classes": {
            "all": dict(test_classes="all"),
            "argmax": dict(test_classes="argmax"),
            "oracle (leak)": dict(test_classes="oracle"),
        },
        "location loss": {"gathered labels": dict(location_axis="sampled")},
        "score": {"mean": dict(score="mean"), "oic": dict(score="oic")},
        "threshold scope": {"video": dict(threshold_scope="video")},
    }
    return {
        decision: {name: replace(base, **change) for name, change in alternatives.items()}
        for decision, alternatives in changes.items()
    }


def paper_grid(base: Config = DEFAULT) -> list[Config]:
    """Every config of Tables III-V and Figs 4-5, each once."""
    rows = [*table_3(base).values(), *table_4(base).values(), *table_5(base).values()]
    return list(dict.fromkeys([*rows, fig_4(base), *fig_5(base).values()]))


def _paper(base: Config) -> dict[str, Config]:
    parts = [name for name in EXPERIMENTS if name.startswith(("table", "fig"))]
    return {
        f"{name} {row}": config for name in parts for row, config in EXPERIMENTS[name](base).items()
    }


def _ledger(base: Config) -> dict[str, Config]:
    return {
        f"{decision}: {name}": config
        for decision, alternatives in ledger(base).items()
        for name, config in alternatives.items()
    }


# Configs by the name of their row, as functions of the base: what the command line computes.
EXPERIMENTS: dict[str, Callable[[Config], dict[str, Config]]] = {
    "table3": table_3,
    "table4": table_4,
    "table5": table_5,
    "fig4": lambda base: {f"{FIG_4_ITERATIONS} iterations": fig_4(base)},
    "fig5": fig_5,
    "paper": _paper,
    "ledger": _ledger,
}


def set_in_every_row(experiment: str, base: Config, field: str) -> bool:
    """Whether all rows of an experiment set a field themselves: the base's value has no effect.

    >>> set_in_every_row("table4", Config(sampler="none"), "sampler")
    True
    >>> set_in_every_row("table3", Config(sampler="none"), "sampler")
    False
    """
    rows = EXPERIMENTS[experiment](base)
    values = [getattr(config, field) for config in rows.values()]
    for other in {value for value in values if value != getattr(base, field)}:
        with suppress(ValueError):  # two fields contradict each other
            again = EXPERIMENTS[experiment](replace(base, **{field: other}))
            return values == [getattr(config, field) for config in again.values()]
    return False
