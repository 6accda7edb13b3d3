"""Random videos for the tests, alone and in a padded batch."""

from __future__ import annotations

import numpy as np
import torch

LENGTHS = (9, 5, 1, 12)
CLASSES = 4


def random_batch(seed=0, lengths=LENGTHS, classes=CLASSES, width=3):
    """CAS, features, labels and mask of a padded batch; padding holds garbage on purpose."""
    rng = np.random.default_rng(seed)
    videos, longest = len(lengths), max(lengths)
    cas = torch.from_numpy(rng.uniform(0.02, 0.98, (videos, longest, classes)))
    x = torch.from_numpy(rng.normal(size=(videos, longest, width)))
    labels = torch.from_numpy((rng.random((videos, classes)) < 0.5).astype(float))
    labels[:, 1] = 1
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    return cas, x, labels, mask


def each_video(mask):
    """(row, true length) of a padded batch."""
    return [(i, int(n)) for i, n in enumerate(mask.sum(-1))]


def close(actual, expected, tolerance=1e-9):
    """Assert two arrays agree, shapes included."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)
