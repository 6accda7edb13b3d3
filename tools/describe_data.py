"""The tables of the book's data page, computed from the default data.

Usage: python tools/describe_data.py    (seconds)

Writes `book/_static/data_constants.md` and `book/_static/data_statistics.md`. The columns of the
real data are figures: neither THUMOS14's annotations nor any real feature is part of the project.
A test computes them again where the files are at hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from amslib import Dataset, Video, load
from amslib.data import synthetic as world
from amslib.data.video import SNIPPET_SECONDS

STATIC = Path(__file__).parents[1] / "book" / "_static"
FAR = 10  # snippets apart

# row: how its values are printed
TIMELINE = {
    "videos": "{:.0f}",
    "snippets of a video, median": "{:.0f}",
    "snippets of a video, mean": "{:.0f}",
    "snippets of a video, shortest": "{:.0f}",
    "snippets of a video, longest": "{:.0f}",
    "videos longer than 1000 snippets (%)": "{:.0f}",
    "instances": "{:.0f}",
    "instances of a video, mean": "{:.1f}",
    "length of an instance (s), mean": "{:.1f}",
    "length of an instance (s), median": "{:.1f}",
    "share of a video that is action (%), mean": "{:.0f}",
    "classes of a video, mean": "{:.2f}",
}
THUMOS14 = {
    "train": (200, 235, 326, 13, 2202, 6, 3007, 15.0, 4.0, 2.9, 30, 1.14),
    "test": (212, 252, 338, 23, 2614, 6, 3358, 15.8, 4.5, 3.2, 32, 1.17),
}
# norm; cosine of neighbours; cosine of snippets at least FAR apart in a video
I3D = {"rgb": (7.7, 0.87, 0.73), "flow": (5.0, 0.75, 0.64)}


def timeline(videos: Sequence[Video]) -> tuple[float, ...]:
    """One value for each row of `TIMELINE`; lengths follow from durations, 16 frames at 25 fps."""
    lengths = np.array([int(v.duration / SNIPPET_SECONDS) for v in videos])
    instances = np.array([end - start for v in videos for start, end, _ in v.segments])
    action = [sum(e - s for s, e, _ in v.segments) / v.duration for v in videos]
    return (
        len(videos),
        np.median(lengths),
        lengths.mean(),
        lengths.min(),
        lengths.max(),
        100 * (lengths > 1000).mean(),
        len(instances),
        len(instances) / len(videos),
        instances.mean(),
        np.median(instances),
        100 * np.mean(action),
        np.mean([len(v.labels) for v in videos]),
    )


def appearance(videos: Sequence[Video], stream: str) -> tuple[float, float, float]:
    """Mean norm of a snippet's features, and mean cosines of near and far pairs of a video."""
    sums, counts = np.zeros(3), np.zeros(3)
    for video in videos:
        x = np.asarray(video.features[stream], np.float64)
        length = np.linalg.norm(x, axis=1)
        unit = x / length[:, None]
        gone = unit.cumsum(0)[:-FAR]  # row t: the sum of all snippets far before snippet t + FAR
        sums += length.sum(), (unit[1:] * unit[:-1]).sum(), (unit[FAR:] * gone).sum()
        far = max(0, len(x) - FAR)
        counts += len(x), len(x) - 1, far * (far + 1) / 2
    return tuple((sums / counts).tolist())


def printed(values: Sequence[float]) -> list[str]:
    """A column of `TIMELINE`."""
    return [form.format(x) for form, x in zip(TIMELINE.values(), values, strict=True)]


def table(name: str, title: str, head: Sequence[str], rows: Sequence[Sequence]) -> str:
    """A numbered table in MyST."""
    lines = [f":::{{table}} {title}", f":name: {name}", ""]
    lines += [f"| {' | '.join(head)} |", f"|:--|{'--:|' * (len(head) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows), ":::", ""])


def statistics(dataset: Dataset) -> str:
    """The two tables that compare the default data with real data."""
    columns = [
        [" / ".join(pair) for pair in zip(printed(train), printed(test), strict=True)]
        for train, test in (
            (timeline(dataset.train), timeline(dataset.test)),
            (THUMOS14["train"], THUMOS14["test"]),
        )
    ]
    head = ("training / test", "here", "THUMOS14")
    title = "Videos and instances of the default data and of THUMOS14."
    first = table("tab-timeline", title, head, list(zip(TIMELINE, *columns, strict=True)))
    rows = []
    for stream, real in I3D.items():
        ours = appearance((*dataset.train, *dataset.test), stream)
        for what, a, b in zip(
            ("norm", "cosine, neighbours", "cosine, far"), ours, real, strict=True
        ):
            digits = 1 if what == "norm" else 2
            rows.append((f"{stream}: {what}", f"{a:.{digits}f}", f"{b:.{digits}f}"))
    title = "Features of a snippet, here and of ten real videos (I3D)."
    return first + "\n" + table("tab-features", title, ("", "here", "I3D"), rows)


def constants(dataset: Dataset) -> str:
    """The constants of the world."""
    rows = [
        ("background scenes in the pool", world.SCENES),
        ("scenes of one video", world.SCENES_PER_VIDEO),
        ("a scene lasts, on average", f"{world.SCENE_SECONDS:g} s"),
        ("context before and after an instance", f"{world.CONTEXT_SECONDS:g} s"),
        ("chance of context, each side", world.CONTEXT_CHANCE),
        ("hard share of an instance (`incompleteness`)", 0.6),
        ("classes that share the looks of their hard phases", world.GROUP),
        ("own evidence in a hard phase (cosine to the core)", world.EVIDENCE),
        ("correlation of the noise of neighbours", world.MEMORY),
        ("instants looked at in a snippet", world.INSTANTS),
        ("features of a stream (`width`)", world.WIDTHS[dataset.name]),
    ]
    first = table("tab-world", "The world, both streams.", ("", "value"), rows)
    streams = world.STREAMS
    names = {
        "action": "a phase of an action",
        "context": "the context of a class",
        "scene": "a background scene",
        "video": "appearance all snippets of a video share",
        "mean": "mean of the data set, per feature (half-normal)",
        "norm": "norm of a snippet's features",
    }
    rows = [(text, *(getattr(s, name) for s in streams.values())) for name, text in names.items()]
    title = (
        "The streams. The first four are lengths of a content's vector, where noise has standard "
        "deviation 1 in each feature."
    )
    made = f"Version {world.VERSION}, fingerprint `{dataset.fingerprint}`.\n"
    return "\n".join([first, table("tab-streams", title, ("", *streams), rows), made])


if __name__ == "__main__":
    default = load("synthetic")
    (STATIC / "data_constants.md").write_text(constants(default))
    (STATIC / "data_statistics.md").write_text(statistics(default))
