"""What must be computed and moved, on real snippets only: the floors that times are compared with.

One multiply-add counts as two operations. D is the width of the features, H of the hidden layer, K
the number of logits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from amslib import Config
from amslib.model import num_logits

FLOAT = 4  # bytes


class Sizes(NamedTuple):
    """Of one branch."""

    width: int
    hidden: int
    logits: int

    @property
    def parameters(self) -> int:
        return (self.width + 1) * self.hidden + (self.hidden + 1) * self.logits


def sizes(config: Config, width: int, classes: int) -> Sizes:
    """Of a branch on features (N, width)."""
    return Sizes(width, config.hidden or width, num_logits(config, classes))


def look(rows: float, size: Sizes, members: int = 1) -> float:
    """Operations of a forward pass of `members` models over `rows` snippets."""
    return 2 * members * rows * size.hidden * (size.width + size.logits)


def step(rows: float, size: Sizes, members: int = 1) -> float:
    """Operations of a training step: the forward pass, the gradients of both layers' weights, and
    that of the hidden features. Nobody needs the gradient of the features themselves.
    """
    return 2 * members * rows * size.hidden * (2 * size.width + 3 * size.logits)


def step_bytes(rows: float, size: Sizes, members: int = 1, item: int = FLOAT) -> float:
    """Bytes that a step cannot help moving: the features are read for the forward pass and for the
    weights' gradient, the hidden features are written once and read once, and Adam reads and writes
    parameters and both moments in float32.
    """
    return item * rows * 2 * (size.width + members * size.hidden) + 6 * FLOAT * members * (
        size.parameters
    )


def batch_rows(lengths: np.ndarray, labels: np.ndarray, config: Config) -> float:
    """Real snippets that a training batch has on average.

    Args:
        lengths: snippets of each training video, (V,).
        labels: (V, C) in {0, 1}.
    """
    lengths = np.minimum(lengths, config.max_snippets)
    classes = [lengths[column > 0].mean() for column in labels.T if column.sum() >= 2]
    paired = 2 * config.pairs if classes else 0
    others = min(config.batch_size - paired, len(lengths))
    return paired * float(np.mean(classes or 0)) + others * float(lengths.mean())


class Floor(NamedTuple):
    """Of training one stream, whole."""

    operations: float
    bytes: float


def training(
    lengths: np.ndarray, labels: np.ndarray, width: int, config: Config, members: int = 1
) -> Floor:
    """The whole method with two branches: phase zero is one member's work, each iteration trains
    both branches of every member and looks at the whole training set with each of them once.
    """
    size = sizes(config, width, labels.shape[1])
    rows, everything = batch_rows(lengths, labels, config), int(np.sum(lengths))
    zero = 2 * config.epochs_zero * config.steps_per_epoch
    later = 2 * config.iterations * config.epochs * config.steps_per_epoch
    looks = 2 * config.iterations
    operations = zero * step(rows, size) + later * step(rows, size, members)
    moved = zero * step_bytes(rows, size) + later * step_bytes(rows, size, members)
    return Floor(
        operations + looks * look(everything, size, members),
        moved + looks * FLOAT * everything * width,
    )


def inference(rows: float, config: Config, width: int, classes: int, streams: int = 2) -> float:
    """Operations of both branches of all streams over `rows` snippets."""
    return streams * config.branches * look(rows, sizes(config, width, classes))
