"""What can be wrong with data, told once per problem."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass

SHOWN = 3  # videos named in full when many share a problem


@dataclass(frozen=True)
class Finding:
    """One problem of one video (or of the whole data set).

    Args:
        level: ``"error"`` (the data cannot be used) or ``"warning"`` (it can, but look at it).
        problem: short name, the same for every video that has this problem.
        file: where the problem is.
        message: what was found and what was expected.
        mend: what to do about it.
        video: name of the video, "" where the problem is not one video's.
    """

    level: str
    problem: str
    file: str
    message: str
    mend: str
    video: str = ""

    def __str__(self) -> str:
        where = f"{self.file}: {self.video}" if self.video else self.file
        return f"{where}: {self.message}. {self.mend}."


class DataError(ValueError):
    """Data that cannot be used; `findings` says why, one entry per problem and video."""

    def __init__(self, *findings: Finding):
        super().__init__(*findings)
        self.findings = findings

    def __str__(self) -> str:
        (text, *others) = [describe(group) for group in by_problem(self.findings)]
        more = f" ({len(others)} other kinds of problem: see `python -m amslib check`.)"
        return text + (more if others else "")


class DataNotFoundError(DataError, FileNotFoundError):
    """Nothing of the name that was given."""


class DataWarning(UserWarning):
    """Data that can be used but is probably not what its user thinks."""


def error(problem: str, file, message: str, mend: str, video: str = "") -> Finding:
    """A finding that stops `load`."""
    return Finding("error", problem, str(file), message, mend, video)


def warning(problem: str, file, message: str, mend: str, video: str = "") -> Finding:
    """A finding that `load` warns of."""
    return Finding("warning", problem, str(file), message, mend, video)


def by_problem(findings: Iterable[Finding]) -> list[list[Finding]]:
    """Findings grouped by level and problem, errors first, otherwise in order of appearance."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.level, finding.problem), []).append(finding)
    return [groups[key] for key in sorted(groups, key=lambda key: key[0])]


def describe(group: list[Finding]) -> str:
    """The first finding in full, and who else has the problem."""
    others = list(dict.fromkeys(f.video for f in group if f.video != group[0].video))
    if not others:
        return str(group[0])
    names = ", ".join(others[: SHOWN - 1]) + (", .." if len(others) >= SHOWN else "")
    return f"{group[0]} The same in {len(others)} more videos ({names})."


def settle(findings: Iterable[Finding]) -> None:
    """Raises one `DataError` when there is an error, else warns once per problem.

    Raises:
        DataError: with every finding of level error.
    """
    findings = list(findings)
    errors = [f for f in findings if f.level == "error"]
    if errors:
        raise DataError(*errors)
    for group in by_problem(findings):
        warnings.warn(describe(group), DataWarning, stacklevel=3)
