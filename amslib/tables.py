"""Tables of the book as MyST text, and the line that says where their numbers come from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from .records import COMMITTED, Record
from .statistics import Estimate, estimate

REPOSITORY = "https://github.com/ams-companion/ams-companion"
FEW = 3  # so many records are named in the line itself


def table(
    rows: Mapping[str, Sequence[str]], columns: Sequence[str], caption: str, name: str
) -> str:
    """A numbered table with a caption, for `IPython.display.Markdown`.

    Args:
        rows: cells of each row by its heading.
        columns: headings, the first of the column of row headings.
        caption: one sentence or two, with the unit.
        name: for references, "tab-...".

    Returns:
        Markdown, in which a cell may break its line by ``<br>``; no other HTML gets through.

    Raises:
        ValueError: a row does not have a cell for each column.
    """
    for heading, cells in rows.items():
        if len(cells) != len(columns) - 1:
            raise ValueError(
                f"row {heading!r} of {name} has {len(cells)} cells; expected {len(columns) - 1}, "
                f"for the columns {', '.join(columns[1:])}"
            )
    lines = [f":::{{table}} {caption}", f":name: {name}", "", _line(columns)]
    lines.append(_line([":--", *["--:"] * (len(columns) - 1)]))
    lines += [_line([heading, *cells]) for heading, cells in rows.items()]
    return re.sub("<(?!br>)", "&#60;", "\n".join([*lines, ":::"]))


def literal(name: str) -> str:
    """A name out of data as it stands, for text that is Markdown or HTML: nothing in it is markup.

    >>> literal("Long Jump_2"), literal("<b>|*")
    ('Long Jump_2', '&#60;b&#62;&#124;&#42;')
    """
    words = " ".join(name.split())
    return re.sub(r"[^\w .,;()+-]", lambda sign: f"&#{ord(sign[0])};", words)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def spread(e: Estimate, scale: float = 100) -> str:
    """Mean ± standard deviation, by default of fractions in percent: "54.5 ± 0.6"."""
    return f"{scale * e.mean:z.1f}" + (f" ±\N{NO-BREAK SPACE}{scale * e.sd:.1f}" if e.n > 1 else "")


def interval(e: Estimate, scale: float = 100) -> str:
    """A difference with its 95 % interval: "+0.8 [+0.2, +1.4]"."""
    if e.n == 1:
        return f"{scale * e.mean:+z.1f}"
    low, mean, high = (f"{scale * value:+z.1f}" for value in (e.low, e.mean, e.high))
    return f"{mean} [{low},\N{NO-BREAK SPACE}{high}]"


def by_threshold(rows: Mapping[str, Sequence[Record]]) -> dict[str, list[str]]:
    """Rows of a `table` with a column for each of the given rows: mAP (%) as mean ± sd.

    Args:
        rows: records of the same data by the name of their config, one a seed.

    Returns:
        `spread` at each IoU threshold 0.1, .., 0.7, and last of AVG(0.1-0.7).
    """
    scores = {name: [r.evaluation() for r in records] for name, records in rows.items()}
    levels = next(iter(scores.values()))[0].tiou
    cells = {
        f"{level:.1f}": [spread(estimate([e.map[i] for e in es])) for es in scores.values()]
        for i, level in enumerate(levels)
    }
    average = [spread(estimate([e.average(0.1, 0.7) for e in es])) for es in scores.values()]
    return cells | {"**AVG**": average}


def outcomes(differences: Mapping[str, Estimate]) -> str:
    """In words: of which differences the 95 % interval lies above zero, below, or around it.

    Raises:
        ValueError: no differences.
    """
    if not differences:
        raise ValueError("no differences given; expected at least one")
    if min(e.n for e in differences.values()) == 1:
        return "One seed gives no interval: no difference can be told from chance."
    above = [name for name, e in differences.items() if e.low > 0]
    below = [name for name, e in differences.items() if e.high < 0]
    around = [name for name in differences if name not in (*above, *below)]
    places = {"above zero": above, "below zero": below, "around zero": around}
    told = [f"{place} for {', '.join(names) or 'none'}" for place, names in places.items()]
    return f"95 % interval {'; '.join(told)}."


def provenance(records: Iterable[Record]) -> str:
    """Where numbers come from, as one short line of Markdown.

    It tells how many records, configs and seeds, the data, the method, the commit and the device.
    Records of the repository are linked and those computed here only named, more than three of
    them in a collapsed block under the line.

    Args:
        records: that the numbers were read from; each counts once.

    Raises:
        ValueError: no records.
    """
    records = list({r.key: r for r in records}.values())
    if not records:
        raise ValueError("no records given; expected those that the numbers were read from")
    keys = ", ".join(_record(r) for r in records)
    facts = [
        f"{count(len({r.config for r in records}), 'config')} on {_data(records)}",
        _seeds({r.seed for r in records}),
        "method " + _each(f"`{r.made['method'][:8]}`" for r in records),
        "commit " + _each(_commit(r) for r in records),
        _each(map(_computed, records)),
    ]
    if len(records) <= FEW:
        return f"Source: {'record' if len(records) == 1 else 'records'} {keys}; {'; '.join(facts)}."
    committed = sum(map(_is_committed, records))
    folder = f"[{COMMITTED.name}]({REPOSITORY}/tree/main/{COMMITTED.name})"
    places = [f"{committed} in {folder}"] * (committed > 0)
    places += [f"{len(records) - committed} computed here"] * (committed < len(records))
    line = f"Source: records, {', '.join(places)}; {'; '.join(facts)}."
    return f"{line}\n\n<details>\n<summary>Keys of the records</summary>\n\n{keys}\n\n</details>"


def _is_committed(record: Record) -> bool:
    return record.folder == COMMITTED


def _record(record: Record) -> str:
    """The key, linked where the record is part of the repository."""
    if not _is_committed(record):
        return f"`{record.key}`"
    return f"[{record.key}]({REPOSITORY}/blob/main/{COMMITTED.name}/{record.key}.json)"


def _commit(record: Record) -> str:
    """The commit, linked where readers may have it; changes on top of it are told."""
    told = []
    for commit in record.made["commit"].split("; "):  # of several machines
        short = commit.rstrip("+")
        link = f"[{short}]({REPOSITORY}/commit/{short})" if _is_committed(record) else f"`{short}`"
        told.append(link + " with changes" * commit.endswith("+") if short else "unknown")
    return " and ".join(told)


def _computed(record: Record) -> str:
    made = record.made
    kernels = ", pinned kernels" if made.get("pinned") else ""
    return f"{made['device']}, {count(made['threads'], 'thread')}{kernels}"


def _data(records: Iterable[Record]) -> str:
    return _each(f"{literal(r.dataset['name'])} `{r.dataset['fingerprint'][:8]}`" for r in records)


def _seeds(seeds: set[int]) -> str:
    low, high = min(seeds), max(seeds)
    if len(seeds) == 1:
        return f"seed {low}"
    whole = len(seeds) == high - low + 1 and len(seeds) > 2
    return "seeds " + (f"{low}–{high}" if whole else ", ".join(map(str, sorted(seeds))))


def change(before: float, after: float, scale: float = 100) -> str:
    """A share then and now, in percent: "26.1 → 25.4"; a dash where it is nan.

    >>> change(0.261, 0.254), change(0.5, float("nan"))
    ('26.1 → 25.4', '50.0 → –')
    """
    return " → ".join("–" if v != v else f"{scale * v:.1f}" for v in (before, after))


def count(n: int, what: str, several: str = "") -> str:
    """How many, "1 video" or "2 videos"; `several` is an irregular plural.

    >>> count(2, "video"), count(1, "class", "classes"), count(0, "class", "classes")
    ('2 videos', '1 class', '0 classes')
    """
    return f"{n} {what if n == 1 else several or what + 's'}"


def _each(texts: Iterable[str]) -> str:
    """Different ones in the order they come."""
    return " and ".join(dict.fromkeys(texts))
