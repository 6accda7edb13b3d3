"""`load`: a data set by name or from a folder whose layout is recognised."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from numbers import Real
from pathlib import Path

from . import acmnet, actionformer, basnet, cmcs, own, plain, wtalc
from .annotated import read_json
from .findings import DataError, DataNotFoundError, Finding, error, settle, warning
from .labels import label_findings
from .layout import Layout, Scan
from .rules import (
    annotation_findings,
    duration_findings,
    segment_findings,
    shape_findings,
    start_findings,
    stream_findings,
)
from .values import shown
from .video import SNIPPET_SECONDS, Dataset

BUILT_IN = ("synthetic", "synthetic-tiny")
GENERATED = ("seed", "incompleteness", "width", "timeline")  # options of these
STATED = "options.json"  # of the layout, in a folder that states its own
LAYOUTS = tuple(m.LAYOUT for m in (plain, own, wtalc, basnet, acmnet, actionformer, cmcs))


def load(source: str | Path, **options) -> Dataset:
    """A data set: generated, or real features in one of the layouts of the field.

    Every byte of the features is hashed for the fingerprint, by all processors, once in a process
    as long as a file does not change. Arrays are opened when they are asked for; memory-mapped,
    except for W-TALC's one file, which is read whole the first time, and CMCS's npz, which are read
    each time (`convert` them). What headers and annotations show to be wrong is raised or warned of
    here, what only the values show (NaN) when they are first read.

    Args:
        source: ``"synthetic"``, ``"synthetic-tiny"``, or a folder in the layout of W-TALC, BaS-Net
            (CoLA), ACM-Net (ASM-Loc), ActionFormer (OpenTAD), CMCS, one written by `convert`, or
            your own files with a ``labels.csv``; see `book/data.md`.
        **options: for a generated data set those of its generator. For a folder, by its layout:
            ``snippet_seconds``, the time from one snippet to the next (default 16 / 25; W-TALC,
            BaS-Net, ACM-Net, own); ``stream_order``, the streams of the two halves of the columns
            (default ``("rgb", "flow")``; W-TALC, ACM-Net, ActionFormer); ``stride`` and ``window``,
            frames between and seen by rows (default 4 and 16; ActionFormer, CMCS); ``fps``, of all
            videos, where the annotations' is absent or not that of the features (same two);
            ``every``, to keep one row in so many (default 4; CMCS). A folder may state its own
            in a file ``options.json``, e.g. ``{"snippet_seconds": 0.5}``; those passed go first.

    Returns:
        Training and test videos. Segments are kept as annotated, never clipped. Its `options` are
        those passed.

    Raises:
        DataError: the data cannot be used; one message names the file, the video and the mend.
        DataNotFoundError: there is neither a built-in data set nor a folder of that name.
        TypeError: an option that does not exist.

    Warns:
        DataWarning: once per problem that leaves the data usable.
    """
    if source in BUILT_IN:
        from .synthetic import load_synthetic

        _check_names(source, "generator", GENERATED, options)
        return replace(load_synthetic(source, **options), options=options)
    found = scan(source, **options)
    settle([*found.findings, *annotation_rules(found)])
    if found.joint is None:
        settle(feature_rules(found))
    else:
        found.joint.on_read = partial(_settle_features, found)
    return replace(found.dataset, options=options)


def open_options(source: str | Path) -> tuple[str, ...]:
    """Names of the options that `load` takes for a source and that the folder does not state.

    Raises:
        DataError: a folder of no known layout.
        DataNotFoundError: see `load`.
    """
    if source in BUILT_IN:
        return GENERATED
    folder = _folder(source)
    layout = _layout_of(folder)
    stated = _stated(folder / STATED, layout)
    return tuple(name for name in layout.options if name not in stated)


def scan(source: str | Path, **options) -> Scan:
    """What the headers and annotations of a folder tell; raises only where there is no data set.

    Args:
        source: see `load`.
        **options: those of the layout, see `load`.
    """
    folder = _folder(source)
    layout = _layout_of(folder)
    _check_options(source, layout, options)
    options = _stated(folder / STATED, layout) | options
    return layout.scan(folder, **options)._replace(layout=layout, options=options)


def _folder(source: str | Path) -> Path:
    folder = Path(source).expanduser()
    if not folder.is_dir():
        message = f"neither a folder nor one of the built-in data sets {', '.join(BUILT_IN)}"
        raise DataNotFoundError(error("not found", source, message, "Correct the name"))
    return folder


def annotation_rules(found: Scan) -> list[Finding]:
    """Findings that need no features."""
    train, test = found.dataset.train, found.dataset.test
    timed = [v for v in (*train, *test) if v.duration]
    file, segments_file = found.annotations, found.segments_file
    findings = annotation_findings(train, test, file)
    # labels or segments of a video may be missing because its entry cannot be read
    broken = {finding.video for finding in found.findings if finding.level == "error"} - {""}
    labels = label_findings(found.dataset, file, segments_file)
    findings += [finding for finding in labels if finding.video not in broken]
    findings += start_findings((*train, *test), segments_file)
    findings += segment_findings(timed, segments_file)
    findings += stream_findings(found.dataset.streams, file)
    if found.step_assumed and not timed:
        message = f"snippets are taken to last {SNIPPET_SECONDS:g} s (16 frames at 25 fps)"
        stated = '{"snippet_seconds": ..}'
        mend = f"No duration confirms it; pass snippet_seconds, or write {stated} into {STATED}"
        findings.append(warning("snippet length", file, message, mend))
    return findings


def feature_rules(found: Scan) -> list[Finding]:
    """Findings that need the shapes of the features, but not their values."""
    videos = [v for v in (*found.dataset.train, *found.dataset.test) if v.features]
    wrong = shape_findings(videos)
    sound = [v for v in videos if v.id not in {f.video for f in wrong}]
    untimed = [v for v in sound if not v.duration]
    timing = found.layout.timing if found.layout else ""
    late = segment_findings(untimed, found.segments_file, timing)
    return [*wrong, *duration_findings(sound, found.fixes(sound)), *late]


def _layout_of(folder: Path) -> Layout:
    """The one layout of which everything is there.

    Raises:
        DataError: there is none, or more than one.
    """
    missing = {layout: layout.missing(folder) for layout in LAYOUTS}
    fitting = [layout for layout, patterns in missing.items() if not patterns]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        message = f"files of more than one layout: {'; '.join(layout.name for layout in fitting)}"
        raise DataError(error("layout", folder, message, "Give each a folder of its own"))
    looked_for = "; ".join(
        f"{layout.name}: {', '.join(layout.looks_for)} (not there: {', '.join(patterns)})"
        for layout, patterns in missing.items()
    )
    message = f"no known layout; looked for {looked_for}"
    mend = "Give the folder that holds all files of one (for annotations alone: read_annotations)"
    raise DataError(error("layout", folder, message, mend))


def _stated(file: Path, layout: Layout) -> dict:
    """The options a folder states; none without the file.

    Raises:
        DataError: it is no json of options of the layout.
    """
    options = read_json(file) if file.is_file() else {}
    try:
        if not isinstance(options, dict):
            raise TypeError(f"{shown(options)} where {{option: value}} was expected")
        _check_options(file, layout, options)
    except (TypeError, ValueError) as reason:
        raise DataError(error("options", file, str(reason), "Correct it, or remove it")) from None
    return options


def _settle_features(found: Scan) -> None:
    settle(feature_rules(found))


def _check_names(source, what: str, known: Collection[str], options: dict) -> None:
    unknown = ", ".join(sorted(options.keys() - known))
    if unknown:
        takes = f"takes {', '.join(known) or 'none'}"
        raise TypeError(f"unknown option {unknown} for {source}: its {what} {takes}")


def _check_options(source, layout: Layout, options: dict) -> None:
    _check_names(source, "layout", layout.options, options)
    for name, value in options.items():
        if name == "stream_order":
            if value not in (("rgb", "flow"), ("flow", "rgb"), ["rgb", "flow"], ["flow", "rgb"]):
                raise ValueError(
                    f"stream_order is {value!r}; it must be rgb and flow in some order"
                )
        elif isinstance(value, bool) or not (isinstance(value, Real) and 0 < value < math.inf):
            unit = " of seconds" if name == "snippet_seconds" else ""
            raise ValueError(f"{name} is {value!r}; it must be a positive number{unit}")
