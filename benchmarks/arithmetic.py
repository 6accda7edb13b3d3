"""What must be computed and moved, on real snippets only: the floors that times are compared with.

One multiply-add counts as two operations. D is the width of the features, H of the hidden layer, K
the number of logits.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    """What training one stream cannot do without."""

    operations: float
    bytes: float


def training(
    lengths: np.ndarray,
    labels: np.ndarray,
    width: int,
    configs: Sequence[Config],
    item: int = FLOAT,
) -> Floor:
    """Of configs with two branches that train side by side.

    Phase zero is one member's work. An iteration trains both branches of every member that has not
    stopped, and looks at the whole training set with its base branch and, where it is
    supervised, with the supplementary one, too. A feature takes `item` bytes.
    """
    c = configs[0]
    size = sizes(c, width, labels.shape[1])
    rows, everything = batch_rows(lengths, labels, c), int(np.sum(lengths))
    steps = 2 * c.steps_per_epoch * c.epochs_zero
    operations, moved = steps * step(rows, size), steps * step_bytes(rows, size, 1, item)
    for iteration in range(1, max(config.iterations for config in configs) + 1):
        going = [config for config in configs if config.iterations >= iteration]
        steps, members = 2 * c.steps_per_epoch * c.epochs, len(going)
        looks = sum(1 + (config.supervision != "none") for config in going)
        operations += steps * step(rows, size, members) + looks * look(everything, size)
        moved += steps * step_bytes(rows, size, members, item) + 2 * item * everything * width
    return Floor(operations, moved)


def inference(rows: float, config: Config, width: int, classes: int, streams: int = 2) -> float:
    """Operations of both branches of all streams over `rows` snippets."""
    return streams * config.branches * look(rows, sizes(config, width, classes))
