"""`load`: a data set by name or from a folder whose layout is recognised."""

from __future__ import annotations

import math
from functools import partial
from numbers import Real
from pathlib import Path

from . import basnet, wtalc
from .findings import DataError, DataNotFoundError, Finding, error, settle
from .layout import Scan
from .rules import annotation_findings, duration_findings, segment_findings, shape_findings
from .video import SNIPPET_SECONDS, Dataset

BUILT_IN = ("synthetic", "synthetic-tiny")


def load(source: str | Path, **options) -> Dataset:
    """A data set: generated, or real features in W-TALC's or BaS-Net's (CoLA's) layout.

    Features are opened when they are asked for; memory-mapped, except for W-TALC's one file, which
    is read whole the first time. What headers and annotations show to be wrong is raised or warned
    of here, what only the values show (NaN) when they are first read.

    Args:
        source: ``"synthetic"``, ``"synthetic-tiny"``, or a folder with either
            ``X-I3D-JOINTFeatures.npy`` and ``X-Annotations/`` (W-TALC), or ``gt.json``,
            ``split_{train,test}.txt`` and ``features/{train,test}/{rgb,flow}/<video>.npy``.
        **options: for a folder ``snippet_seconds``, the time from one snippet to the next
            (default 16 / 25); for a generated data set those of its generator.

    Returns:
        Training and test videos. Segments are kept as annotated, never clipped.

    Raises:
        DataError: the data cannot be used; one message names the file, the video and the mend.
        DataNotFoundError: there is neither a built-in data set nor a folder of that name.
        TypeError: an option that does not exist.

    Warns:
        DataWarning: once per problem that leaves the data usable.
    """
    if source in BUILT_IN:
        from .synthetic import load_synthetic

        return load_synthetic(source, **options)
    found = scan(source, **options)
    settle([*found.findings, *annotation_rules(found)])
    if found.joint is None:
        settle(feature_rules(found))
    else:
        found.joint.on_read = partial(_settle_features, found)
    return found.dataset


def scan(source: str | Path, **options) -> Scan:
    """What the headers and annotations of a folder tell; raises only where there is no data set.

    Args:
        source: see `load`.
        **options: ``snippet_seconds``, see `load`.
    """
    step = _snippet_seconds(source, **options)
    folder = Path(source).expanduser()
    if not folder.is_dir():
        message = f"neither a folder nor one of the built-in data sets {', '.join(BUILT_IN)}"
        raise DataNotFoundError(error("not found", source, message, "Correct the name"))
    joint = sorted(folder.glob(f"*{wtalc.FEATURES}"))
    if len(joint) == 1:
        return wtalc.scan(joint[0], step)
    if all((folder / name).exists() for name in basnet.NAMES):
        return basnet.scan(folder, step)
    raise DataError(_unknown_layout(folder, len(joint)))


def annotation_rules(found: Scan) -> list[Finding]:
    """Findings that need no features."""
    train, test = found.dataset.train, found.dataset.test
    timed = [v for v in (*train, *test) if v.duration]
    file = found.annotations
    return annotation_findings(train, test, file) + segment_findings(timed, file)


def feature_rules(found: Scan) -> list[Finding]:
    """Findings that need the shapes of the features, but not their values."""
    videos = [v for v in (*found.dataset.train, *found.dataset.test) if v.features]
    wrong = shape_findings(videos)
    sound = [v for v in videos if v.id not in {f.video for f in wrong}]
    untimed = [v for v in sound if not v.duration]
    return wrong + duration_findings(sound) + segment_findings(untimed, found.annotations)


def _unknown_layout(folder: Path, joint_files: int) -> Finding:
    missing = ", ".join(name for name in basnet.NAMES if not (folder / name).exists())
    message = (
        f"no known layout; looked for one *{wtalc.FEATURES} beside *{wtalc.ANNOTATIONS}/ "
        f"(there are {joint_files}), and for {', '.join(basnet.NAMES)} (not there: {missing})"
    )
    mend = "Give the folder that holds either (for annotations alone: read_annotations)"
    return error("layout", folder, message, mend)


def _settle_features(found: Scan) -> None:
    settle(feature_rules(found))


def _snippet_seconds(source, snippet_seconds=SNIPPET_SECONDS, **unknown) -> float:
    if unknown:
        names = ", ".join(sorted(unknown))
        raise TypeError(f"unknown option {names} for {source}: a folder takes snippet_seconds")
    if not (isinstance(snippet_seconds, Real) and 0 < snippet_seconds < math.inf):
        message = f"snippet_seconds is {snippet_seconds!r}; it must be a positive number of seconds"
        raise ValueError(message)
    return float(snippet_seconds)
