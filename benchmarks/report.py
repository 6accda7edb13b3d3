"""What was measured, as short tables for the terminal."""

from __future__ import annotations

from amslib.method import method_fingerprint


def columns(lines: list[list[str]]) -> str:
    """Cells side by side, the first column to the left."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip()
        for line in lines
    )


def seconds(value: float) -> str:
    """With its unit, in three digits."""
    if value >= 120:
        return f"{value / 60:.3g} min"
    return f"{value:.3g} s" if value >= 1 else f"{1000 * value:.3g} ms"


def rates(seen: dict[str, list[float]]) -> str:
    """In 10^9 a second, from the lowest to the highest that was seen in the run."""
    told = []
    for name, values in seen.items():
        ends = dict.fromkeys(f"{value / 1e9:.3g}" for value in (min(values), max(values)))
        told.append(f"{name} {' to '.join(ends)}")
    return ", ".join(told)


def figure(row: dict) -> list[str]:
    """Name, time, what it is worth, and what was wanted."""
    worth = f"{row['times']:.1f} times" if "times" in row else f"{row['share']:.1%} of {row['of']}"
    wanted = ""
    if row.get("target"):
        wanted = f"{row['target']:g} times" if "times" in row else f"{row['target']:.0%}"
    if row.get("limit"):
        wanted = seconds(row["limit"])
    return [row["name"], seconds(row["seconds"]), worth, wanted]


def growth(entry: dict) -> list[str]:
    """Cost, size, the power that the cost grows with, and the most it should."""
    sizes = f"{entry['sizes'][0]:,} to {entry['sizes'][-1]:,}"
    return [
        f"{entry['cost']}, by {entry['of']}",
        sizes,
        f"{entry['slope']:.2f}",
        f"{entry['most']:g}",
    ]


def memory(entry: dict) -> list[str]:
    size = "not measured" if entry["bytes"] is None else f"{entry['bytes'] / 1e6:,.0f} MB"
    return [entry["name"], size, f"{entry['limit'] / 1e6:,.0f} MB" if entry["limit"] else ""]


def parts(shares: dict[str, dict[str, float]]) -> list[list[str]]:
    """A line a part of a step, a column a kind of run."""
    names = list(next(iter(shares.values())))
    return [["share of", *shares]] + [
        [name, *(f"{of.get(name, 0):.1%}" for of in shares.values())] for name in names
    ]


def outdated(files: dict[str, dict]) -> str:
    """A sentence that names the files measured with other code than the present, "" for none.

    Args:
        files: by name, what holds a file's "code"; old files lack it.
    """
    code = method_fingerprint()
    names = [f"`{name}`" for name, about in files.items() if about.get("code") != code]
    if not names:
        return ""
    return f"Measured with other code of the method than the present one: {', '.join(names)}."


def report(measured: dict) -> str:
    """Everything."""
    told = []
    if measured["rates"]:
        told.append(rates(measured["rates"]) + " G/s")
    if measured["rows"]:
        head = ["figure", "time", "reached", "wanted"]
        told.append(columns([head, *map(figure, measured["rows"])]))
    if measured["parts"]:
        told.append(columns(parts(measured["parts"])))
    if measured["growth"]:
        head = ["cost", "sizes", "grows as power", "at most"]
        told.append(columns([head, *map(growth, measured["growth"])]))
    if measured["memory"]:
        told.append(columns([["peak memory", "", "at most"], *map(memory, measured["memory"])]))
    about = ", ".join(f"{name} {value}" for name, value in measured["about"].items())
    return "\n\n".join([*told, about])
