"""Training batches: pairs of videos that share a class, cropped, and packed without padding."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from .data.video import Video
from .device import onto
from .inputs import feature_array, feature_shapes, require_finite

RESIDENT = 2**30  # bytes of one stream that the CPU keeps in memory: THUMOS14 yes, ActivityNet no
Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class Packed:
    """B videos as packed rows: N snippets, those of a video behind each other.

    `video` (N,) are the places of the snippets' videos in the batch; `sizes` (B,) each video's T_i,
    none of which is higher than `longest`; `labels` (B, C). Rows after the last video's belong to
    none.
    """

    video: Tensor
    sizes: Tensor
    labels: Tensor
    longest: int

    @cached_property
    def starts(self) -> Tensor:
        """The packed row of each video's first snippet, (B,)."""
        return self.sizes.cumsum(0) - self.sizes

    @cached_property
    def start(self) -> Tensor:
        """The packed row of the first snippet of each snippet's video, (N,)."""
        return self.starts[self.video]

    @cached_property
    def last(self) -> Tensor:
        """The packed row of the last snippet of each snippet's video, (N,)."""
        return (self.sizes.cumsum(0) - 1)[self.video]

    @cached_property
    def place(self) -> Tensor:
        """0, 1, .., N - 1."""
        return torch.arange(len(self.video), device=self.video.device)

    @cached_property
    def inside(self) -> Tensor:
        """The place of each snippet in its crop, (N,)."""
        return self.place - self.start

    @cached_property
    def mask(self) -> Tensor:
        """Real snippets of the padded grid, (B, T)."""
        index = torch.arange(self.longest, device=self.video.device)
        return index < self.sizes[:, None]

    @cached_property
    def membership(self) -> Tensor:
        """1 where a snippet belongs to a video, (B, N)."""
        inside = self.place - self.starts[:, None]
        return ((inside >= 0) & (inside < self.sizes[:, None])).to(self.labels.dtype)

    def total(self, values: Tensor) -> Tensor:
        """Sum over the snippets of each video, (..., N, K) to (..., B, K)."""
        if values.device.type != "cpu":  # a product with so few rows is slow there
            return self.pad(values).sum(-2)
        return self.membership @ values

    def highest(self, values: Tensor) -> Tensor:
        """Maximum over the snippets of each video, (M, N) to (M, B)."""
        into = values.new_zeros(len(values), len(self.sizes))
        where = self.video.expand(values.shape)
        return into.scatter_reduce(1, where, values, "amax", include_self=False)

    def spread(self, values: Tensor) -> Tensor:
        """Each video's values for all its snippets, (..., B, K) to (..., N, K)."""
        return values.index_select(-2, self.video)

    def pad(self, values: Tensor) -> Tensor:
        """Packed (..., N, K) to the grid (..., B, T, K), zero on padding."""
        index = torch.arange(self.longest, device=values.device)
        rows = (self.starts[:, None] + index).clamp_max(len(self.video) - 1)
        grid = values.index_select(-2, rows.flatten()).unflatten(-2, rows.shape)
        return torch.where(self.mask[..., None], grid, 0)


@dataclass(frozen=True, eq=False)
class Batch(Packed):
    """(Crops of) videos of a `Store`.

    `rows` (N,) are the snippets' rows there; `ends` (B,) the number of packed rows up to each
    video's last; `cropped` the places of videos that are not whole. The features are the rows
    `held` (N,) of `features`, or all of them, in order, where `held` is None; `features` itself is
    None in a batch that was made without.
    """

    rows: Tensor
    ends: tuple[int, ...]
    cropped: tuple[int, ...]
    features: Tensor | None
    held: Tensor | None

    @cached_property
    def origin(self) -> Tensor:
        """The store's row that each snippet's crop starts at, (N,)."""
        return self.rows - self.inside

    def only(self, places: Sequence[int]) -> tuple[Batch, Tensor]:
        """The videos at some places of the batch, without features, and their packed rows (n,)."""
        starts = (0, *self.ends)
        here = [np.arange(starts[place], self.ends[place]) for place in places]
        lengths = np.array([len(rows) for rows in here])
        here, video, chosen, sizes = on_device(
            self.rows.device,
            *(np.concatenate(here), np.repeat(np.arange(len(places)), lengths)),
            *(np.array(places), lengths),
        )
        batch = Batch(
            rows=self.rows[here],
            video=video,
            sizes=sizes,
            labels=self.labels[chosen],
            longest=int(lengths.max()),
            ends=tuple(lengths.cumsum().tolist()),
            cropped=(),
            features=None,
            held=None,
        )
        return batch, here


def on_device(device: torch.device, *arrays: np.ndarray) -> list[Tensor]:
    """Whole numbers on the device, in one transfer."""
    if device.type == "cpu":
        return [torch.from_numpy(array) for array in arrays]
    return list(onto(device, np.concatenate(arrays)).split([len(array) for array in arrays]))


class Shared(NamedTuple):
    """The classes that paired videos share: entry e is the pair of batch places `videos[e]` and
    `videos[E + e]` and the class `classes[e]` = `classes[E + e]`, both of shape (2E,).
    """

    videos: np.ndarray | Tensor
    classes: np.ndarray | Tensor

    def on(self, device: torch.device) -> Shared:
        """The same on a device."""
        return Shared(*on_device(device, *self))


class Store:
    """One stream of a list of videos: rows of features behind each other, video after video.

    What is small enough is one matrix on the device. Of anything larger, only the rows of a batch
    are read, when it is made.

    Args:
        videos: at least one; all have the stream at the same width.
        stream: "rgb", "flow", ..
        labels: (len(videos), C) in {0, 1}.
        device: where features and labels are used.
        dtype: of the features on the device.

    Raises:
        ValueError: no videos, features that are no numbers (T >= 1, D) or not finite in float32, or
            widths that differ. Of files too large to keep, values are looked at as they are read.
    """

    def __init__(
        self,
        videos: list[Video],
        stream: str,
        labels: np.ndarray,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ):
        if not videos:
            raise ValueError("no videos: training needs at least one; check the split files")
        shapes = feature_shapes(videos, stream)
        self.videos, self.stream, self.device, self.dtype = videos, stream, device, dtype
        self.lengths = np.array([shape[0] for shape in shapes])
        self.starts = np.concatenate([[0], self.lengths.cumsum()[:-1]])
        self.shape = int(self.lengths.sum()), shapes[0][1]
        self.labels = torch.from_numpy(labels).to(device)
        self.features = None
        if dtype.itemsize * self.shape[0] * self.shape[1] <= _room(device):
            everything = range(len(videos)), np.zeros_like(self.lengths), self.lengths
            self.features = self._read(*everything)
        else:
            check_values(videos, stream)

    def batch(
        self,
        videos: np.ndarray,
        crop: int | None = None,
        rng: np.random.Generator | None = None,
        read: bool = True,
    ) -> Batch:
        """The chosen videos, each cropped to `crop` consecutive snippets if it is longer.

        Args:
            videos: indices (B,).
            crop: the most snippets of a video, or None for whole videos.
            rng: draws where a crop starts.
            read: whether the features are needed.
        """
        full = self.lengths[videos]
        lengths = full if crop is None else np.minimum(full, crop)
        # uniform over all full - length + 1 offsets
        offsets = rng.integers(0, full - lengths + 1) if crop is not None else np.zeros_like(full)
        ends = lengths.cumsum()
        place, start = np.arange(len(videos)), self.starts[videos] + offsets
        video = np.repeat(place, lengths)
        rows = np.arange(ends[-1]) + np.repeat(start - ends + lengths, lengths)
        chosen = np.asarray(videos, dtype=np.int64)
        rows, video, sizes, chosen = on_device(self.device, rows, video, lengths, chosen)
        features, held = self.features, rows
        if features is not None and (start[1:] == start[:-1] + lengths[:-1]).all():
            # the rows stand behind each other: a view, not a copy
            features, held = features[start[0] : start[0] + ends[-1]], None
        elif features is None:
            features, held = self._read(videos, offsets, lengths) if read else None, None
        return Batch(
            rows=rows,
            video=video,
            sizes=sizes,
            labels=self.labels[chosen],
            longest=int(lengths.max()),
            ends=tuple(ends.tolist()),
            cropped=tuple(np.flatnonzero(lengths < full).tolist()),
            features=features,
            held=held,
        )

    def _read(self, videos: Iterable[int], offsets: np.ndarray, lengths: np.ndarray) -> Tensor:
        """Rows of the videos from their offsets on, copied once, (lengths.sum(), D)."""
        shape = int(lengths.sum()), self.shape[1]
        rows = torch.empty(shape, dtype=torch.float32, device="cpu")
        target, end = rows.numpy(), 0
        for i, offset, length in zip(videos, offsets, lengths, strict=True):
            start, end = end, end + length
            array = feature_array(self.videos[i], self.stream)
            with np.errstate(all="ignore"):  # what is too large becomes infinite, see below
                target[start:end] = array[offset : offset + length]
            require_finite(self.videos[i], self.stream, target[start:end], offset)
        return rows.to(self.device, self.dtype)


def check_values(videos: Sequence[Video], stream: str) -> None:
    """Look at all values of one stream; of files, only if they are small enough to be kept.

    Raises:
        ValueError: widths differ, or a value is not finite in float32; names video and stream.
    """
    size = 4 * sum(map(math.prod, feature_shapes(videos, stream)))  # bytes in float32
    for video in videos:
        if size <= RESIDENT or not hasattr(video.features, "parts"):
            require_finite(video, stream, feature_array(video, stream))


def _room(device: torch.device) -> float:
    """How many bytes of features one store may keep on the device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] / 2
    return RESIDENT


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The items of an iterator; while one is in use, a thread makes the next."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item


class PairSampler:
    """Draws the videos of a batch: pairs that share a class first, then others (W-TALC).

    A pair is two different videos of a class drawn uniformly among the classes with at least two
    videos; without such a class there are no pairs. The others are drawn without replacement.
    """

    def __init__(self, labels: np.ndarray, batch_size: int, pairs: int):
        self.labels = labels
        members = [np.flatnonzero(column) for column in labels.T]
        members = [videos for videos in members if len(videos) >= 2]
        self.counts = np.array([len(videos) for videos in members], dtype=np.int64)
        self.members = np.zeros((len(members), max([*self.counts, 0])), dtype=np.int64)
        for row, videos in zip(self.members, members, strict=True):
            row[: len(videos)] = videos
        self.pairs = pairs if members else 0
        self.others = min(batch_size - 2 * self.pairs, len(labels))
        self.videos = len(labels)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Indices of the videos, shape (2 * pairs + others,); rows 2p and 2p + 1 are pair p."""
        videos = np.empty(2 * self.pairs + self.others, dtype=np.int64)
        if self.pairs:
            chosen = rng.integers(len(self.counts), size=self.pairs)
            count = self.counts[chosen]
            one = rng.integers(count)
            other = rng.integers(count - 1)
            other += other >= one  # any but the first
            videos[0 : 2 * self.pairs : 2] = self.members[chosen, one]
            videos[1 : 2 * self.pairs : 2] = self.members[chosen, other]
        videos[2 * self.pairs :] = rng.choice(self.videos, self.others, replace=False)
        return videos

    def shared(self, videos: np.ndarray) -> Shared:
        """What the pairs of a drawn batch have in common; a pair may share several classes."""
        a, b = videos[0 : 2 * self.pairs : 2], videos[1 : 2 * self.pairs : 2]
        pair, label = np.nonzero(self.labels[a] * self.labels[b])
        return Shared(np.concatenate([2 * pair, 2 * pair + 1]), np.concatenate([label, label]))
