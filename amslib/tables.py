"""Tables of the book as MyST text, and the line that says where their numbers come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .records import COMMITTED, Record
from .statistics import Estimate

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
    return "\n".join([*lines, ":::"])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def spread(e: Estimate, scale: float = 100) -> str:
    """Mean ± standard deviation, by default of fractions in percent: "54.5 ± 0.6"."""
    return f"{scale * e.mean:.1f}" + (f" ± {scale * e.sd:.1f}" if e.n > 1 else "")


def interval(e: Estimate, scale: float = 100) -> str:
    """A difference with its 95 % interval: "+0.8 [+0.2, +1.4]"."""
    text = f"{scale * e.mean:+.1f}"
    return text + (f" [{scale * e.low:+.1f}, {scale * e.high:+.1f}]" if e.n > 1 else "")


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
        f"{_count(len({r.config for r in records}), 'config')} on {_data(records)}",
        _seeds({r.seed for r in records}),
        "method " + _each(f"`{r.made['method'][:8]}`" for r in records),
        "commit " + _each(_commit(r) for r in records),
        _each(f"{r.made['device']}, {_count(r.made['threads'], 'thread')}" for r in records),
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
    commit = record.made["commit"]
    short = commit.rstrip("+")
    if not short:
        return "unknown"
    linked = f"[{short}]({REPOSITORY}/commit/{short})" if _is_committed(record) else f"`{short}`"
    return linked + " with changes" * commit.endswith("+")


def _data(records: Iterable[Record]) -> str:
    return _each(f"{r.dataset['name']} `{r.dataset['fingerprint'][:8]}`" for r in records)


def _seeds(seeds: set[int]) -> str:
    low, high = min(seeds), max(seeds)
    if len(seeds) == 1:
        return f"seed {low}"
    whole = len(seeds) == high - low + 1 and len(seeds) > 2
    return "seeds " + (f"{low}–{high}" if whole else ", ".join(map(str, sorted(seeds))))


def _count(n: int, what: str) -> str:
    return f"{n} {what}" + "s" * (n != 1)


def _each(texts: Iterable[str]) -> str:
    """Different ones in the order they come."""
    return " and ".join(dict.fromkeys(texts))
