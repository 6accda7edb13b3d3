"""Tables of the book as MyST text, and the line that says where their numbers come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .records import ROOT, Record
from .statistics import Estimate

REPOSITORY = "https://github.com/ams-companion/ams-companion"


def table(
    rows: Mapping[str, Sequence[str]], columns: Sequence[str], caption: str, name: str
) -> str:
    """A numbered table with a caption, for `IPython.display.Markdown`.

    Args:
        rows: cells of each row by its heading.
        columns: headings, the first of the column of row headings.
        caption: one sentence or two, with the unit.
        name: for references, "tab-...".
    """
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


def provenance(records: Sequence[Record]) -> str:
    """One line of Markdown: which records, made by which commit, and links to them."""
    raise NotImplementedError
