"""Training batches: pairs of videos that share a class, cropped, and packed without padding."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .data.video import Video


@dataclass(frozen=True, eq=False)
class Batch:
    """B (crops of) videos as packed rows: N snippets, those of a video behind each other.

    `rows` (N,) are the snippets' rows in the `Store`, `video` (N,) the places of their videos in
    the batch; `first` (B,) the store's row where each crop starts, `sizes` (B,) its T_i;
    `labels` (B, C); `ends` (B,) the number of packed rows up to each video's last; `cropped` the
    places of videos that are not whole.
    """

    rows: Tensor
    video: Tensor
    first: Tensor
    sizes: Tensor
    labels: Tensor
    ends: tuple[int, ...]
    cropped: tuple[int, ...]

    @cached_property
    def starts(self) -> Tensor:
        """The packed row of each video's first snippet, (B,)."""
        return self.sizes.cumsum(0) - self.sizes

    @cached_property
    def inside(self) -> Tensor:
        """The place of each snippet in its crop, (N,)."""
        return torch.arange(len(self.rows), device=self.rows.device) - self.starts[self.video]

    @cached_property
    def mask(self) -> Tensor:
        """Real snippets of the padded grid, (B, T)."""
        index = torch.arange(max(np.diff(self.ends, prepend=0)), device=self.rows.device)
        return index < self.sizes[:, None]

    @cached_property
    def membership(self) -> Tensor:
        """1 where a snippet belongs to a video, (B, N)."""
        index = torch.arange(len(self.sizes), device=self.rows.device)
        return (self.video == index[:, None]).to(self.labels.dtype)

    def total(self, values: Tensor) -> Tensor:
        """Sum over the snippets of each video, (..., N, K) to (..., B, K)."""
        return self.membership @ values

    def spread(self, values: Tensor) -> Tensor:
        """Each video's values for all its snippets, (..., B, K) to (..., N, K)."""
        return values.index_select(-2, self.video)

    def pad(self, values: Tensor) -> Tensor:
        """Packed (..., N, K) to the grid (..., B, T, K), zero on padding."""
        grid = values.new_zeros(*values.shape[:-2], self.mask.numel(), values.shape[-1])
        slots = self.video * self.mask.shape[1] + self.inside
        return grid.index_copy(-2, slots, values).unflatten(-2, self.mask.shape)

    def pack(self, grid: Tensor) -> Tensor:
        """Grid (..., B, T, K) to packed (..., N, K)."""
        slots = self.video * self.mask.shape[1] + self.inside
        return grid.flatten(-3, -2).index_select(-2, slots)

    def only(self, place: int) -> Batch:
        """The one video at a place of the batch."""
        end = self.ends[place]
        start = self.ends[place - 1] if place else 0
        chosen = slice(place, place + 1)
        return Batch(
            rows=self.rows[start:end],
            video=torch.zeros_like(self.video[start:end]),
            first=self.first[chosen],
            sizes=self.sizes[chosen],
            labels=self.labels[chosen],
            ends=(end - start,),
            cropped=(),
        )


class Shared(NamedTuple):
    """The classes that paired videos share: entry e is the pair of batch places `videos[e]` and
    `videos[E + e]` and the class `classes[e]` = `classes[E + e]`, both of shape (2E,).
    """

    videos: np.ndarray
    classes: np.ndarray


class Store:
    """One stream of a list of videos as a single matrix on the device.

    Args:
        videos: at least one; all have the stream at the same width.
        stream: "rgb", "flow", ..
        labels: (len(videos), C) in {0, 1}.
        device: where the features live.

    Raises:
        ValueError: no videos, a video without snippets, or widths that differ.
    """

    def __init__(self, videos: list[Video], stream: str, labels: np.ndarray, device: torch.device):
        if not videos:
            raise ValueError("no videos: training needs at least one; check the split files")
        features = [np.asarray(v.features[stream], np.float32) for v in videos]
        for video, x in zip(videos, features, strict=True):
            if not len(x) or x.shape[1] != features[0].shape[1]:
                raise ValueError(
                    f"video {video.id}: {stream} features have shape {x.shape}; expected "
                    f"(T >= 1, {features[0].shape[1]}) as in {videos[0].id}"
                )
        self.lengths = np.array([len(x) for x in features])
        self.starts = np.concatenate([[0], self.lengths.cumsum()[:-1]])
        self.features = torch.from_numpy(np.concatenate(features)).to(device)
        self.labels = torch.from_numpy(labels).to(device)

    def batch(self, videos: np.ndarray, crop: int | None, rng: np.random.Generator | None) -> Batch:
        """The chosen videos, each cropped to `crop` consecutive snippets if it is longer."""
        full = self.lengths[videos]
        lengths = full if crop is None else np.minimum(full, crop)
        # uniform over all full - length + 1 offsets
        offsets = rng.integers(0, full - lengths + 1) if crop is not None else 0
        first = self.starts[videos] + offsets
        ends = lengths.cumsum()
        inside = np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)
        device = self.features.device

        def tensor(array):
            return torch.from_numpy(array).to(device)

        return Batch(
            rows=tensor(np.repeat(first, lengths) + inside),
            video=tensor(np.repeat(np.arange(len(videos)), lengths)),
            first=tensor(first),
            sizes=tensor(lengths),
            labels=self.labels[tensor(videos)],
            ends=tuple(ends.tolist()),
            cropped=tuple(np.flatnonzero(lengths < full).tolist()),
        )


class PairSampler:
    """Draws the videos of a batch: pairs that share a class first, then others (W-TALC).

    A pair is two different videos of a class drawn uniformly among the classes with at least two
    videos; without such a class there are no pairs. The others are drawn without replacement.
    """

    def __init__(self, labels: np.ndarray, batch_size: int, pairs: int):
        self.labels = labels
        members = [np.flatnonzero(column) for column in labels.T]
        self.classes = [videos for videos in members if len(videos) >= 2]
        self.pairs = pairs if self.classes else 0
        self.others = min(batch_size - 2 * self.pairs, len(labels))
        self.videos = len(labels)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Indices of the videos, shape (2 * pairs + others,); rows 2p and 2p + 1 are pair p."""
        chosen = rng.integers(len(self.classes), size=self.pairs) if self.pairs else []
        paired = [rng.choice(self.classes[c], 2, replace=False) for c in chosen]
        others = rng.choice(self.videos, self.others, replace=False)
        return np.concatenate([*paired, others]).astype(np.int64)

    def shared(self, videos: np.ndarray) -> Shared:
        """What the pairs of a drawn batch have in common; a pair may share several classes."""
        a, b = videos[0 : 2 * self.pairs : 2], videos[1 : 2 * self.pairs : 2]
        pair, label = np.nonzero(self.labels[a] * self.labels[b])
        return Shared(np.concatenate([2 * pair, 2 * pair + 1]), np.concatenate([label, label]))
