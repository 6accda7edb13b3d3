"""The numbers that the paper prints, as data: Tables I-V, Figs 4-5, Sec. IV-A and IV-B.

They were measured by its authors, or quoted by them, on THUMOS14 and ActivityNet1.2; none of them
comes from this code. Scores are mAP in percent, as printed.

>>> from amslib import paper
>>> paper.table(3)["F"].numbers["AVG(0.1-0.7)"]
42.3
>>> paper.fig_4()[3]
33.1
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from importlib.resources import files
from math import isnan, nan
from statistics import mean
from typing import NamedTuple

ROUNDING = 0.1  # a mean of rounded numbers, rounded: 0.05 for each of the two


@dataclass(frozen=True)
class Row:
    """One row of a table of the paper.

    Args:
        name: of the method or setting; of the choice in `Config` where there is one.
        numbers: mAP in percent by column, "0.5" or "AVG(0.1-0.7)"; nan where a dash is printed.
        about: what else the table says of the row, such as "supervision" and "training".
        reference: its number in the paper's list of references; None for the paper's own.
        cite: its key in the book's bibliography; "" for the paper's own settings.
    """

    name: str
    numbers: dict[str, float]
    about: dict[str, str] = field(default_factory=dict)
    reference: int | None = None
    cite: str = ""


class Average(NamedTuple):
    """A printed average beside the mean of the printed numbers it stands for, in percent."""

    row: str
    column: str
    printed: float
    recomputed: float

    @property
    def agrees(self) -> bool:
        """Whether rounding alone can explain the difference."""
        return abs(self.printed - self.recomputed) <= ROUNDING + 1e-9


def _content() -> dict:
    return tomllib.loads(files(__name__).joinpath("numbers.toml").read_text(encoding="utf-8"))


def _table(number: int) -> dict:
    tables = _content()["table"]
    if str(number) not in tables:
        raise ValueError(f"table {number!r}; the paper has tables {', '.join(tables)}")
    return tables[str(number)]


def table(number: int) -> dict[str, Row]:
    """Rows by name, in the paper's order.

    Args:
        number: 1-5. Rows of 1 and 2 are named after the method, those of 3 "A" to "F", those of
            4 and 5 after the choice: "uniform", "random", "adaptive"; "random", "average",
            "maximum".

    Raises:
        ValueError: the paper has no such table.
    """
    about, rows = _table(number), {}
    for name, row in about["rows"].items():
        numbers = dict(zip(about["columns"], row["numbers"], strict=True))
        rows[name] = Row(name, **row | {"numbers": numbers})
    return rows


def averages(number: int) -> list[Average]:
    """Every printed average of a table that can be recomputed from its row.

    Raises:
        ValueError: the paper has no such table.
    """
    found = []
    for row in table(number).values():
        for column, levels in _table(number)["averages"].items():
            shown, parts = row.numbers[column], [row.numbers.get(t, nan) for t in levels]
            if not any(map(isnan, [shown, *parts])):
                found.append(Average(row.name, column, shown, mean(parts)))
    return found


def elsewhere(number: int) -> dict[str, dict[str, float]]:
    """What an independent list has for the methods of Table I or II, quoted as well.

    Args:
        number: 1 or 2.

    Returns:
        mAP in percent by column for each method of the list; nan where it has none.

    Raises:
        ValueError: there is nothing for this table.
    """
    lists = _content()["elsewhere"]
    if str(number) not in lists:
        raise ValueError(f"table {number!r}; the list covers tables {' and '.join(lists)}")
    columns = _table(number)["columns"]
    return {
        name: dict(zip(columns, numbers, strict=False))
        for name, numbers in lists[str(number)].items()
    }


def printed(number: float) -> str:
    """As the paper prints it: one decimal, or a dash for nan."""
    return "–" if isnan(number) else f"{number:.1f}"


def fig_4() -> dict[int, float]:
    """mAP at IoU 0.5 on THUMOS14, in percent, by iteration 0-4."""
    about = _content()["figure"]["4"]
    return dict(zip(about["iterations"], about["map"], strict=True))


def fig_5() -> dict:
    """Of Fig. 5, which prints no values: its axis as "etas", and the "best" of them."""
    return _content()["figure"]["5"]


def settings() -> dict:
    """Hyper-parameters of Sec. IV-B, by field of `Config` where there is one."""
    return _content()["settings"]


def data(name: str) -> dict[str, int]:
    """What Sec. IV-A says of "THUMOS14" or "ActivityNet1.2": numbers of classes, videos, ...

    Raises:
        ValueError: another name.
    """
    known = _content()["data"]
    if name not in known:
        raise ValueError(f"data {name!r}; the paper has {' and '.join(known)}")
    return known[name]
