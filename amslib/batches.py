"""Training batches: pairs of videos that share a class, cropped, and packed without padding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .data.video import Video


@dataclass(frozen=True)
class Batch:
    """B (crops of) videos, as packed rows for the layers and as a padded grid for the rest.

    `rows` (N,) are the snippets' rows in the `Store`, `slots` (N,) their places in the flattened
    (B, T) grid, `first` and `lengths` (N,) where their crop starts in the store and its T_i;
    `mask` (B, T); `labels` (B, C); `ends` (B,) the number of packed rows up to each video's last.
    """

    rows: Tensor
    slots: Tensor
    first: Tensor
    lengths: Tensor
    mask: Tensor
    labels: Tensor
    ends: tuple[int, ...]

    def pad(self, values: Tensor, videos: int | None = None) -> Tensor:
        """Packed (..., N, K) to the grid (..., B, T, K), zero on padding; of the first `videos`."""
        shape = self.mask[:videos].shape
        rows = self.ends[shape[0] - 1]
        grid = values.new_zeros(*values.shape[:-2], shape.numel(), values.shape[-1])
        grid = grid.index_copy(-2, self.slots[:rows], values[..., :rows, :])
        return grid.unflatten(-2, shape)

    def pack(self, grid: Tensor) -> Tensor:
        """Grid (..., B, T, K) to packed (..., N, K)."""
        return grid.flatten(-3, -2).index_select(-2, self.slots)


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
        longest = lengths.max()
        inside = np.arange(lengths.sum()) - np.repeat(lengths.cumsum() - lengths, lengths)
        device = self.features.device

        def tensor(array):
            return torch.from_numpy(array).to(device)

        return Batch(
            rows=tensor(np.repeat(first, lengths) + inside),
            slots=tensor(np.repeat(np.arange(len(videos)) * longest, lengths) + inside),
            first=tensor(np.repeat(first, lengths)),
            lengths=tensor(np.repeat(lengths, lengths)),
            mask=tensor(np.arange(longest) < lengths[:, None]),
            labels=self.labels[tensor(videos)],
            ends=tuple(lengths.cumsum().tolist()),
        )


class PairSampler:
    """Draws the videos of a batch: pairs that share a class first, then others (W-TALC).

    A pair is two different videos of a class drawn uniformly among the classes with at least two
    videos; without such a class there are no pairs. The others are drawn without replacement.
    """

    def __init__(self, labels: np.ndarray, batch_size: int, pairs: int):
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

    def pair_rows(self) -> Tensor:
        """Rows of the batch that form the pairs, shape (P, 2)."""
        return torch.arange(2 * self.pairs).reshape(-1, 2)
