"""ActionFormer's and OpenTAD's layout: a json, and one file of both streams for each video.

``annotations/<name>.json`` gives the native frame rate of each video ("fps", or "frame" and
"duration"). Row t of a feature file of shape (T, 2 D) sees the `window` frames from frame
t * stride on, so that its centre is at (t * stride + window / 2) / fps seconds. Snippets are a
stride long, so they begin where this makes the centre theirs.

``category_idx.txt`` (one class a line) and ``missing_files.txt`` (one video a line that has no
features) are read where they are there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from .annotated import Annotations, class_list, read_lines, split
from .database import AMBIGUOUS, read_database
from .features import STREAMS, Features, contents, open_halves
from .findings import DataError, Finding, error, warning
from .layout import Layout, Scan, only
from .paths import visible
from .rules import Fix
from .values import finite
from .video import Dataset, Video, fingerprint

JSON, FEATURES = "annotations/*.json", ("*features*/*.npy", "*features*/*/*.npy")
BLOCKED = "missing_files.txt"
RATES, STRIDES = (30, 25, 24, 60, 50, 15, 12.5, 10), (4, 16, 8, 1, 2, 32)  # usual ones


def scan(folder: Path, *, stride=4, window=16, fps=None, stream_order=STREAMS) -> Scan:
    """The data set of a folder, from annotations and the headers of the feature files.

    Args:
        folder: holds the folders above and one folder of features.
        stride: frames from one row to the next.
        window: frames each row sees.
        fps: frames per second of all videos, where those of the json are not what the features
            were made from.
        stream_order: stream of the first and of the second half of the columns.

    Raises:
        DataError: a file is missing or cannot be read.
    """
    file, home = only(folder, JSON), _home(folder)
    annotations = read_database(file)
    findings, blocked, warned = list(annotations.findings), _blocked(home, file.parent), set()

    def open_video(video: Video) -> list[Video]:
        """The video with its features; none if it has none."""
        if video.id in blocked:
            mend = "Nothing, if its features are indeed missing; else take it out of the list"
            findings.append(warning("blocked", blocked[video.id], "left out", mend, video.id))
            return []
        try:
            video = retimed(video, stride, window, fps)
        except ValueError as reason:
            mend = "Give each video its frames per second, or pass fps=.. for all"
            findings.append(error("fps", file, f"no frame rate ({reason})", mend, video.id))
            return []
        mend = f"Add the file, or name the video in {BLOCKED}"
        parts, found = open_halves(home / f"{video.id}.npy", stream_order, video.id, mend)
        findings.extend(found)
        return [replace(video, features=Features(video.id, parts, warned))]

    *parts, found = split(annotations, file)
    findings += found
    train, test = (tuple(v for video in part for v in open_video(video)) for part in parts)
    classes, found = _classes(file.parent / "category_idx.txt", annotations)
    mark = fingerprint(classes, train, test, contents((*train, *test)))
    return Scan(Dataset(file.stem, classes, train, test, mark), findings + found, file)


def timing_of(stride: float, window: float, fps: float) -> dict[str, float]:
    """Step and offset of snippets that have the centres of the windows, in seconds."""
    return {"snippet_seconds": stride / fps, "offset_seconds": (window - stride) / 2 / fps}


def retimed(video: Video, stride: float, window: float, fps: float | None) -> Video:
    """A video whose rows are `stride` frames apart, by its own frame rate if none is passed.

    Raises:
        ValueError: the frame rate is unknown.
    """
    return replace(video, **timing_of(stride, window, fps or frame_rate(video)))


def fixes(videos: Sequence[Video], options: Mapping) -> list[Fix]:
    """Other frame rates than the json's, and other strides."""
    used = {"stride": 4, "window": 16, "fps": None} | {
        k: v for k, v in options.items() if k != "stream_order"
    }
    others = [{"fps": x} for x in RATES] + [{"stride": x} for x in STRIDES]
    return [Fix(hint(other), partial(retimed, **used | other)) for other in others]


def hint(options: Mapping) -> str:
    """How options are passed, in words."""
    return "Pass " + ", ".join(f"{name}={value:g}" for name, value in options.items())


def frame_rate(video: Video) -> float:
    """Frames per second, as the metadata of a json's entry tell.

    Raises:
        ValueError: they do not.
    """
    about = video.metadata
    if "fps" in about:
        fps = finite(about["fps"])
    elif "frame" in about and video.duration:
        fps = finite(about["frame"]) / video.duration
    else:
        raise ValueError('neither "fps" nor "frame" and "duration"')
    if fps <= 0:
        raise ValueError(f"{fps} frames per second")
    return fps


def _home(folder: Path) -> Path:
    homes = sorted({file.parent for file in visible(folder, *FEATURES)})
    if len(homes) != 1:
        names = ", ".join(str(home.relative_to(folder)) for home in homes)
        message = f"one folder of features was expected, there are {len(homes)} ({names})"
        raise DataError(error("which", folder, message, "Keep the one to be used"))
    return homes[0]


def _blocked(*folders: Path) -> dict[str, Path]:
    """Videos without features, and the file that says so."""
    files = [folder / BLOCKED for folder in folders if (folder / BLOCKED).is_file()]
    return {line: file for file in files for line in read_lines(file) if line}


def _classes(file: Path, annotations: Annotations) -> tuple[tuple[str, ...], list[Finding]]:
    """The classes in the order of the list, if there is one, and labels it does not have."""
    if not file.is_file():
        return annotations.classes, []
    classes = class_list((x for x in read_lines(file) if x and x != AMBIGUOUS), file)
    mend = "Correct the label, or add the class to the list"
    found = [
        error("class", file, f"class {label!r} is not in the list", mend, video.id)
        for video in annotations.videos
        for label in video.labels
        if label not in classes
    ]
    return classes, found


LAYOUT = Layout(
    "ActionFormer, OpenTAD", (JSON, "*features*/**/*.npy"), scan, "stride, window or fps", fixes
)
