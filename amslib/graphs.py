"""Steps as CUDA graphs: one launch instead of hundreds, which take longer than the step itself."""

from __future__ import annotations

import torch
from torch import Tensor

from .steps import Given, Step, filled

ROWS = 512  # batches are filled up to a multiple: a few dozen sizes at the scale of THUMOS14


class Graphs:
    """A step on a GPU, launched as a whole.

    A graph has sizes and memory of its own: batches are filled up, and a size that is met a second
    time is captured. What a step computes does not depend on which of both happens.

    Args:
        step: what to do.
        longest: the most snippets of any video.
    """

    def __init__(self, step: Step, longest: int):
        self.step, self.longest = step, longest
        self.met: dict[tuple, _Graph | None] = {}
        torch.cuda.empty_cache()  # of the memory of the graphs of another phase
        self.pool = torch.cuda.graph_pool_handle()
        self.stream = torch.cuda.Stream()

    def __call__(self, given: Given) -> Tensor:
        """See `Step`."""
        rows = -(-len(given.batch.video) // ROWS) * ROWS
        given = filled(given, rows, self.longest)
        size = tuple(p.shape for p in given.tensors)
        if size not in self.met:
            self.met[size] = None
            return self.step(given)
        if self.met[size] is None:
            self.met[size] = _Graph(self.step, given, self.pool, self.stream)
        return self.met[size](given)


class _Graph:
    """A step at one size."""

    def __init__(self, step: Step, given: Given, pool: tuple, stream: torch.cuda.Stream):
        self.given = given
        self.graph = torch.cuda.CUDAGraph()
        self.graph.register_generator_state(step.dropout)
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            # another thread may read ahead meanwhile
            self.graph.capture_begin(pool=pool, capture_error_mode="thread_local")
            self.terms = step(self.given)
            self.graph.capture_end()
        torch.cuda.current_stream().wait_stream(stream)

    def __call__(self, given: Given) -> Tensor:
        for own, new in zip(self.given.tensors, given.tensors, strict=True):
            own.copy_(new)
        self.graph.replay()
        return self.terms
