"""`check`: everything that is wrong with a data set, with nothing left unread."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

from .findings import DataError, Finding, by_problem, warning
from .folder import BUILT_IN, annotation_rules, feature_rules, load, scan
from .layout import Scan
from .rules import parts_of, value_findings
from .video import Dataset, Video


@dataclass(frozen=True)
class Report:
    """What `check` found.

    Args:
        source: what was checked.
        findings: every problem of every video, in the order found.
        counts: ``{"classes", "streams": {stream: D}, "train": {..}, "test": {..}}``, a part being
            ``{"videos", "instances", "classes", "snippets"}``; empty if there is no data set.
    """

    source: str
    findings: tuple[Finding, ...]
    counts: dict = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """No finding is an error."""
        return all(finding.level != "error" for finding in self.findings)

    @property
    def problems(self) -> list[list[Finding]]:
        """The findings, grouped by problem, errors first."""
        return by_problem(self.findings)

    def to_dict(self) -> dict:
        """Plain values, for json."""
        findings = [asdict(finding) for finding in self.findings]
        return {"source": self.source, "ok": self.ok, "counts": self.counts, "findings": findings}


def check(source: str | Path, **options) -> Report:
    """Reads all of a data set and collects what is wrong instead of stopping at the first.

    Args:
        source: what `load` takes.
        **options: what `load` takes.

    Returns:
        The findings; that there is no data set at all is one of them.

    Raises:
        TypeError, ValueError: the options themselves are wrong.
    """
    try:
        found = _scan(source, **options)
        findings = [*found.findings, *annotation_rules(found), *_annotation_oddities(found)]
    except DataError as reason:
        return Report(str(source), reason.findings)
    try:
        findings += feature_rules(found)
        counts = _counts(found.dataset)
    except DataError as reason:  # the one file with all features cannot be read
        return Report(str(source), (*findings, *reason.findings))
    for video in (*found.dataset.train, *found.dataset.test):
        findings += _values(video)
    return Report(str(source), tuple(findings), counts)


def _scan(source, **options) -> Scan:
    if source in BUILT_IN:
        return Scan(load(source, **options), [], Path(source))
    return scan(source, **options)


def _values(video: Video) -> list[Finding]:
    return [
        finding
        for part in parts_of(video).values()
        if len(part.shape) == 2 and 0 not in part.shape and part.dtype.kind == "f"
        for finding in value_findings(video.id, part.path, part.read())
    ]


def _annotation_oddities(found: Scan) -> list[Finding]:
    """What is worth a look but happens in good data, so that `load` keeps quiet about it."""
    train, test = found.dataset.train, found.dataset.test
    file, findings = found.annotations, []
    for video in (*train, *test):
        empty = [s for s in video.segments if s[0] >= s[1]]
        if empty:
            message = f"{len(empty)} segments end where they start, or before ({empty[0]})"
            mend = "They are kept as annotated and no detection can match them; correct the times"
            findings.append(warning("degenerate", file, message, mend, video.id))
    taught = {label for video in train for label in video.labels}
    untaught = [name for name in found.dataset.classes if name not in taught]
    if untaught:
        message = f"classes without a training video: {', '.join(untaught)}"
        findings.append(warning("untaught", file, message, "Expect no detection of them"))
    return findings


def _counts(dataset: Dataset) -> dict:
    sound = [v for v in (*dataset.train, *dataset.test) if _has_rows(v)]
    widths = {stream: part.shape[1] for v in sound[:1] for stream, part in parts_of(v).items()}
    counts = {"classes": len(dataset.classes), "streams": widths}
    for name, part in (("train", dataset.train), ("test", dataset.test)):
        counts[name] = {
            "videos": len(part),
            "instances": sum(len(v.segments) for v in part),
            "classes": len({s[2] for v in part for s in v.segments}),
            "snippets": sum(v.num_snippets for v in part if _has_rows(v)),
        }
    return counts


def _has_rows(video: Video) -> bool:
    return all(len(part.shape) == 2 for part in parts_of(video).values())
