"""The default data: a world in which part of every action is hard to tell, as the paper presumes.

The mechanism was fixed before any result was seen; the book's data page describes it. Each
instant of a video shows one content out of a table: a background scene from a pool, the habitual
context of a class, or a phase of an action. An action's *core* is discriminative for its class.
Its *hard* phases, before and after the core, mostly look alike within a group of classes and carry
only little evidence of their own class. `incompleteness` is the hard share of every instance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from numbers import Integral, Real
from pathlib import Path

import numpy as np

from .timeline import Shape, draw_timeline
from .video import SNIPPET_SECONDS, Dataset, Video, fingerprint

VERSION = 1  # raise it when the same options and constants give other data

SHAPES = {
    "synthetic": Shape(),
    "synthetic-tiny": Shape(
        classes=4, train=24, test=12, median_snippets=60, spread=0.3, longest=120
    ),
}
WIDTHS = {"synthetic": 64, "synthetic-tiny": 32}


@dataclass(frozen=True)
class Stream:
    """How one stream sees the world, in units of its noise's standard deviation."""

    action: float
    scene: float
    context: float
    video: float  # appearance that all snippets of a video share
    mean: float  # what all snippets of a data set share
    norm: float  # of a feature vector, as I3D's


STREAMS = {
    "rgb": Stream(action=6.0, scene=3.0, context=4.0, video=2.0, mean=1.2, norm=7.7),
    "flow": Stream(action=6.0, scene=1.5, context=1.5, video=1.5, mean=1.0, norm=5.0),
}

SCENES = 10  # in the pool
SCENES_PER_VIDEO = 3
SCENE_SECONDS = 30.0  # a scene lasts, on average
CONTEXT_SECONDS = 6.0  # before and after an instance
CONTEXT_CHANCE = 0.5  # that a side of an instance shows its class's context
GROUP = 10  # classes that share the looks of their hard phases
EVIDENCE = 0.15  # of the own class in a hard phase (cosine to the core)
MEMORY = 0.5  # correlation of the noise from one snippet to the next
INSTANTS = 8  # looked at in a snippet
WORLD = (
    *(STREAMS, SCENES, SCENES_PER_VIDEO, SCENE_SECONDS, CONTEXT_SECONDS, CONTEXT_CHANCE),
    *(GROUP, EVIDENCE, MEMORY, INSTANTS),
)


def load_synthetic(
    source: str = "synthetic",
    *,
    seed: int = 0,
    incompleteness: float = 0.6,
    width: int | None = None,
    timeline: str | Path | None = None,
) -> Dataset:
    """Generate a data set. The same options give the same data.

    Args:
        source: "synthetic" (20 classes, 200 + 213 videos) or "synthetic-tiny" (4, 24 + 12).
        seed: of the timeline and of the world.
        incompleteness: share of every instance that is hard, in [0, 1]; at 0 the premise of the
            paper is absent.
        width: D of each stream, 1 to 1024; None: 64 ("synthetic"), 32 ("synthetic-tiny").
        timeline: a real annotation file or folder (see `read_annotations`) whose videos,
            durations, segments and classes are used instead of made-up ones.

    Returns:
        The data set; `Video.metadata["core"]` holds the (start_s, end_s) of the cores in the order
        of the segments, `Video.metadata["context"]` the (start_s, end_s, label) of the stretches
        that show the habitual context of a class.

    Raises:
        ValueError: unknown source, or an option out of range.
        TypeError: an option of another type.
    """
    for name, value, kind in (
        ("seed", seed, Integral),
        ("incompleteness", incompleteness, Real),
        ("width", 1 if width is None else width, Integral),
    ):
        if not isinstance(value, kind):
            number = "a number" if kind is Real else "a whole number"
            raise TypeError(f"{name}={value!r}; expected {number}")
    if seed < 0:
        raise ValueError(f"seed={seed}; expected 0 or more")
    if source not in SHAPES:
        raise ValueError(f"source={source!r}; expected one of {sorted(SHAPES)}")
    if not 0 <= incompleteness <= 1:
        raise ValueError(f"incompleteness={incompleteness!r}; expected a number in [0, 1]")
    width = WIDTHS[source] if width is None else width
    if not 1 <= width <= 1024:
        raise ValueError(f"width={width!r}; expected 1 <= width <= 1024")
    if timeline is None:
        plan = draw_timeline(SHAPES[source], np.random.default_rng([seed, 0]))
    else:
        plan = _real_timeline(timeline)
    tables = {
        name: _contents(stream, len(plan.classes), width, np.random.default_rng([seed, 1, i]))
        for i, (name, stream) in enumerate(STREAMS.items())
    }
    about = [VERSION, WORLD, source, seed, float(incompleteness), width, SHAPES[source]]
    segments = [(v.id, v.duration, v.segments) for v in (*plan.train, *plan.test)]
    name = fingerprint(*about, segments)
    recipe = (name, source, seed, incompleteness, width, timeline)
    train, test = (
        tuple(
            _film(video, plan.classes, tables, incompleteness, [seed, 2, part, i], recipe)
            for i, video in enumerate(videos)
        )
        for part, videos in enumerate((plan.train, plan.test))
    )
    return Dataset(source, plan.classes, train, test, name)


class Generated(Mapping):
    """The streams of one generated video; a pickle holds how to generate them, not their values.

    Args:
        arrays: (T, D) of each stream; they become read-only, so that a pickle stays true.
        recipe: fingerprint of the data set, then the arguments of `load_synthetic` in their order.
        place: 0 and the position in `Dataset.train`, or 1 and that in `Dataset.test`.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], recipe: tuple, place: tuple[int, int]):
        self.arrays, self.recipe, self.place = dict(arrays), recipe, place
        for array in self.arrays.values():
            array.flags.writeable = False

    def __getitem__(self, stream: str) -> np.ndarray:
        return self.arrays[stream]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    def __reduce__(self):
        return _again, (self.recipe, self.place)


def _again(recipe: tuple, place: tuple[int, int]) -> Generated:
    """The features that a pickle stands for.

    Raises:
        ValueError: this code generates other data from the recipe than the code that pickled it.
    """
    data = _from(recipe)
    if data.fingerprint != recipe[0]:
        raise ValueError(
            f"{recipe[1]} data of fingerprint {recipe[0]} is generated with fingerprint "
            f"{data.fingerprint} here; use the same version of amslib everywhere"
        )
    return (data.train, data.test)[place[0]][place[1]].features


@lru_cache(4)
def _from(recipe: tuple) -> Dataset:
    _, source, seed, incompleteness, width, timeline = recipe
    return load_synthetic(
        source, seed=seed, incompleteness=incompleteness, width=width, timeline=timeline
    )


def _real_timeline(path: str | Path) -> Dataset:
    """Real videos, durations and segments, without features."""
    from .annotations import read_annotations

    plan = read_annotations(path)
    unknown = [v.id for v in (*plan.train, *plan.test) if v.duration is None]
    if unknown:
        raise ValueError(
            f"timeline {path}: {len(unknown)} videos have no duration ({unknown[0]}, ..); "
            "use annotations with durations, e.g. W-TALC's folder or ActivityNet's json"
        )
    return plan


def _contents(stream: Stream, classes: int, width: int, rng: np.random.Generator) -> dict:
    """The world of one stream: a table of contents (rows, D), and what all videos share.

    Rows: SCENES scenes, then a context, a hard phase and a core for every class.
    """

    def directions(count):
        v = rng.standard_normal((count, width))
        return v / np.linalg.norm(v, axis=1, keepdims=True)

    scenes, contexts, cores = directions(SCENES), directions(classes), directions(classes)
    shared = directions(-(-classes // GROUP))[np.arange(classes) // GROUP]
    hard = EVIDENCE * cores + np.sqrt(1 - EVIDENCE**2) * shared
    parts = [stream.scene * scenes, stream.context * contexts]
    parts += [stream.action * hard, stream.action * cores]
    mean = stream.mean * np.abs(rng.standard_normal(width))
    return {"table": np.concatenate(parts), "mean": mean, "stream": stream}


def _film(
    video: Video, classes: tuple[str, ...], tables: dict, hard: float, seed: list, recipe: tuple
) -> Video:
    """The video with features in every stream."""
    rng = np.random.default_rng(seed)
    snippets = max(1, int(video.duration / SNIPPET_SECONDS))
    occupancy, about = _occupancy(video, classes, snippets, hard, rng)
    features = {name: _render(occupancy, world, rng) for name, world in tables.items()}
    return replace(
        video,
        features=Generated(features, recipe, tuple(seed[2:])),
        snippet_seconds=SNIPPET_SECONDS,
        metadata={**video.metadata, **about},
    )


def _occupancy(
    video: Video, classes: tuple[str, ...], snippets: int, hard: float, rng: np.random.Generator
) -> tuple[np.ndarray, dict]:
    """Share of each content in each snippet, (T, rows), the cores' (start_s, end_s) and the
    contexts' (start_s, end_s, label).
    """
    count = len(classes)
    time = (np.arange(snippets * INSTANTS) + 0.5) * SNIPPET_SECONDS / INSTANTS
    background = _scenes(time, rng)
    action = np.zeros((len(time), 2 * count), bool)  # hard phases, cores
    cores, contexts = [], []
    for start, end, label in video.segments:
        k = classes.index(label)
        for low, high in ((start - CONTEXT_SECONDS, start), (end, end + CONTEXT_SECONDS)):
            if rng.random() < CONTEXT_CHANCE:
                background[(time >= low) & (time < high)] = SCENES + k
                contexts.append((low, high, label))
        core_start = start + rng.random() * hard * (end - start)
        core_end = core_start + (1 - hard) * (end - start)
        core = (time >= core_start) & (time < core_end)
        action[:, k] |= (time >= start) & (time < end) & ~core
        action[:, count + k] |= core
        cores.append((core_start, core_end))
    shown = np.zeros((len(time), SCENES + count))
    shown[np.arange(len(time)), background] = ~action.any(1)
    shown = np.concatenate([shown, action], 1)
    shown /= shown.sum(1, keepdims=True)  # of simultaneous actions, an equal share each
    about = {"core": tuple(cores), "context": tuple(contexts)}
    return shown.reshape(snippets, INSTANTS, -1).mean(1), about


def _scenes(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Index of the background scene at each instant: a few scenes take turns."""
    palette = rng.choice(SCENES, SCENES_PER_VIDEO, replace=False)
    changes = np.cumsum(rng.exponential(SCENE_SECONDS, 2 + int(time[-1] / SCENE_SECONDS * 2)))
    turns = rng.choice(palette, len(changes) + 1)
    return turns[np.searchsorted(changes, time)]


def _render(occupancy: np.ndarray, world: dict, rng: np.random.Generator) -> np.ndarray:
    """(T, rows) to features (T, D): non-negative, with the norm of the real ones."""
    snippets, width = len(occupancy), world["table"].shape[1]
    stream = world["stream"]
    appearance = rng.standard_normal(width)
    appearance *= stream.video / np.linalg.norm(appearance)
    noise = rng.standard_normal((snippets, width))
    for t in range(1, snippets):
        noise[t] = MEMORY * noise[t - 1] + np.sqrt(1 - MEMORY**2) * noise[t]
    x = occupancy @ world["table"] + world["mean"] + appearance + noise
    # a random direction has no preferred sign: the expected norm is that of mean and noise
    scale = stream.norm / np.sqrt(width * (stream.mean**2 + 1))
    return (scale * x.clip(min=0)).astype(np.float32)
