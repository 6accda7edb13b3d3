"""`check`: everything that is wrong with a data set, with nothing left unread."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from .annotations import scan_annotations
from .findings import DataError, Finding, by_problem
from .folder import BUILT_IN, annotation_rules, feature_rules, load, scan
from .layout import Scan
from .oddities import annotation_oddities, unlisted_files
from .published import compare
from .rules import parts_of, value_findings
from .streams import swapped
from .video import Dataset, Video
from .wtalc import ambiguous_alone


@dataclass(frozen=True)
class Report:
    """What `check` found.

    Args:
        source: what was checked.
        findings: every problem of every video, in the order found.
        counts: ``{"classes", "streams": {stream: D}, "train": {..}, "test": {..}}``, a part being
            ``{"videos", "instances", "classes", "snippets"}``; empty if there is no data set.
        agreed: what is as published, in sentences.
        snippets: how long they last, and whether that is assumed; empty without features.
    """

    source: str
    findings: tuple[Finding, ...]
    counts: dict = field(default_factory=dict)
    agreed: tuple[str, ...] = ()
    snippets: str = ""

    @property
    def ok(self) -> bool:
        """No finding is an error."""
        return all(finding.level != "error" for finding in self.findings)

    @property
    def problems(self) -> list[list[Finding]]:
        """The findings, grouped by problem: errors first, then what most videos have."""
        groups = by_problem(self.findings)
        return sorted(groups, key=lambda group: (group[0].level, -len(group)))

    def to_dict(self) -> dict:
        """Plain values, for json."""
        findings = [asdict(finding) for finding in self.findings]
        return {
            "source": self.source,
            "ok": self.ok,
            "counts": self.counts,
            "agreed": list(self.agreed),
            "snippets": self.snippets,
            "findings": findings,
        }


def check(source: str | Path, progress: bool = False, **options) -> Report:
    """Reads all of a data set and collects what is wrong instead of stopping at the first.

    One video is in memory at a time (all of W-TALC's joint file).

    Args:
        source: what `load` takes; or annotations alone, as `read_annotations` takes them.
        progress: show a bar on standard error.
        **options: what `load` takes.

    Returns:
        The findings; that there is no data set at all is one of them.

    Raises:
        TypeError, ValueError: the options themselves are wrong.
    """
    try:
        found = _scan(source, **options)
        findings = [*found.findings, *annotation_rules(found)]
        findings += annotation_oddities(found.dataset, found.annotations, found.segments_file)
        if (found.annotations / "Ambiguous_test.txt").is_file():
            findings += ambiguous_alone(found.annotations, found.dataset)
        agreed, wrong = compare(found.dataset, found.annotations)
        findings += wrong
    except DataError as reason:
        return Report(str(source), reason.findings)
    videos = (*found.dataset.train, *found.dataset.test)
    if not any(video.features for video in videos):
        agreed.append("annotations alone: no features were read")
    if not any(video.segments for video in found.dataset.test):
        agreed.append("no segment in any test video: it can be predicted on, but not scored")
    try:
        findings += feature_rules(found)
        counts = _counts(found.dataset)
    except DataError as reason:  # the one file with all features cannot be read
        return Report(str(source), (*findings, *reason.findings), agreed=tuple(agreed))
    means = []
    for video in tqdm(videos, disable=not progress, unit="video"):
        found_here, mean = _values(video)
        findings += found_here
        means.append((video.id, mean))
    findings += [*unlisted_files(videos), *swapped(means, found.annotations)]
    return Report(str(source), tuple(findings), counts, tuple(agreed), _snippets(found))


def _snippets(found: Scan) -> str:
    """How long snippets last, in words."""
    videos = [v for v in (*found.dataset.train, *found.dataset.test) if v.features]
    steps = sorted({f"{v.snippet_seconds:.6g}" for v in videos}, key=float)
    if not steps:
        return ""
    assumed = ", assumed (16 frames at 25 fps): pass snippet_seconds if yours differ"
    lasting = steps[0] if len(steps) == 1 else f"{steps[0]} to {steps[-1]}"
    return f"a snippet lasts {lasting} s{assumed if found.step_assumed else ''}"


def _scan(source, **options) -> Scan:
    if source in BUILT_IN:
        return Scan(load(source, **options), [], Path(source))
    path = Path(source).expanduser()
    if path.is_file() or (path / "classlist.npy").is_file():
        if options:
            raise TypeError(f"{', '.join(options)}: annotations alone take no options")
        return scan_annotations(path)
    return scan(source, **options)


def _values(video: Video) -> tuple[list[Finding], dict[str, np.ndarray]]:
    """Findings of every value of a video, and the mean feature of each sound stream."""
    findings, means = [], {}
    for stream, part in parts_of(video).items():
        if len(part.shape) != 2 or 0 in part.shape or part.dtype.kind != "f":
            continue
        array = part.read()
        found = value_findings(video.id, part.path, array, stream)
        findings += found
        if not found:
            means[stream] = array.mean(axis=0, dtype=np.float64)
    return findings, means


def _counts(dataset: Dataset) -> dict:
    sound = [v for v in (*dataset.train, *dataset.test) if _has_rows(v)]
    widths = {stream: part.shape[1] for v in sound[:1] for stream, part in parts_of(v).items()}
    counts = {"classes": len(dataset.classes), "streams": widths}
    for name, part in (("train", dataset.train), ("test", dataset.test)):
        counts[name] = {
            "videos": len(part),
            "instances": sum(len(v.segments) for v in part),
            "classes": len({c for v in part for c in (*v.labels, *(s[2] for s in v.segments))}),
            "snippets": sum(v.num_snippets for v in part if _has_rows(v)),
        }
    return counts


def _has_rows(video: Video) -> bool:
    return all(len(part.shape) == 2 for part in parts_of(video).values())
