"""One seed, many independent sources: each purpose has a generator of its own.

What one part of a run draws never shifts what another part draws, so runs that differ in one
switch see the same batches, crops, initial weights and dropout masks (common random numbers).
"""

from __future__ import annotations

import zlib

import numpy as np
import torch


def _sequence(seed: int, purpose: tuple) -> np.random.SeedSequence:
    return np.random.SeedSequence([seed, zlib.crc32("/".join(map(str, purpose)).encode())])


def numpy_generator(seed: int, *purpose) -> np.random.Generator:
    """A NumPy generator for `purpose`, any words and numbers."""
    return np.random.default_rng(_sequence(seed, purpose))


def torch_generator(seed: int, *purpose, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator for `purpose` on a device."""
    state = _sequence(seed, purpose).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(state >> np.uint64(1)))
