"""The backbone h of Eqs 1 and 3, M members wide: every parameter has a leading member axis."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd import Function

from .config import Config
from .kernels import baddbmm, bmm

PARAMETERS = ("weight1", "bias1", "weight2", "bias2")


class Branches(nn.Module):
    """FC - ReLU - Dropout - FC for M members side by side (Sec. IV-B).

    Args:
        parameters: ``weight1 (M, D, H)``, ``bias1 (M, 1, H)``, ``weight2 (M, H, K)``,
            ``bias2 (M, 1, K)``; K logits per snippet, see `num_logits`.
    """

    def __init__(self, parameters: dict[str, Tensor]):
        super().__init__()
        for name in PARAMETERS:
            self.register_parameter(name, nn.Parameter(parameters[name].clone()))

    def forward(
        self,
        x: Tensor,
        keep: Tensor | None = None,
        rate: float = 0.0,
        rows: int = 0,
    ) -> tuple[Tensor, Tensor]:
        """Features (N, D) shared by all members, or (M, N, D), to hidden features and logits.

        Args:
            x: packed snippets of any number of videos; products are in its precision.
            keep: dropout, see `kept_units`, (N, H); None in evaluation.
            rate: of dropout.
            rows: how many hidden features are asked for.

        Returns:
            Hidden features (M, rows, H) and logits (M, N, K), in the precision of the parameters.
        """
        x = x.expand(len(self.weight1), *x.shape[-2:])
        return _Backbone.apply(
            x, self.weight1, self.bias1, self.weight2, self.bias2, keep, 1 / (1 - rate), rows
        )

    def state(self) -> dict[str, Tensor]:
        """A copy of the parameters of all members."""
        return {name: p.detach().clone() for name, p in self.named_parameters()}


class _Backbone(Function):
    """Both layers with a backward pass that holds one gradient of the size of the hidden layer, and
    none of the features.
    """

    @staticmethod
    def forward(ctx, x, weight1, bias1, weight2, bias2, keep, scale, rows):
        half = [p.to(x.dtype) for p in (weight1, bias1, weight2, bias2)]
        hidden = baddbmm(half[1] * scale, x, half[0], alpha=scale)
        hidden = hidden.relu_() if keep is None else hidden.clamp_(keep.new_zeros(()), keep)
        logits = baddbmm(half[3], hidden, half[2])
        ctx.save_for_backward(x, hidden, half[2])
        ctx.scale, ctx.rows, ctx.dtype = scale, rows, weight1.dtype
        return hidden[:, :rows].to(ctx.dtype), logits.to(ctx.dtype)

    @staticmethod
    def backward(ctx, of_hidden, of_logits):
        x, hidden, weight2 = ctx.saved_tensors
        of_logits = of_logits.to(x.dtype)
        gradient = bmm(of_logits, weight2.mT * ctx.scale)
        if ctx.rows:
            gradient[:, : ctx.rows].add_(of_hidden, alpha=ctx.scale)
        # 0 where the unit was not active or not kept
        torch.ops.aten.threshold_backward.grad_input(gradient, hidden, 0, grad_input=gradient)
        gradients = (
            bmm(x.mT, gradient),
            gradient.sum(-2, keepdim=True),
            bmm(of_logits.mT, hidden).mT.contiguous(),  # faster than the other way round
            of_logits.sum(-2, keepdim=True),
        )
        return (None, *(g.to(ctx.dtype) for g in gradients), None, None, None)


def kept_units(
    rows: int, width: int, rate: float, generator: torch.Generator, dtype: torch.dtype
) -> Tensor:
    """Dropout as an upper bound (rows, width) of hidden features: 0 where a unit is dropped, the
    highest number elsewhere. The probability to be dropped is `rate` to the nearest 65536th.
    """
    count = rows * width
    # 16 random bits a unit: several times faster than random numbers in floating point
    words = torch.empty(-(-count // 4), dtype=torch.int64, device=generator.device)
    bits = words.random_(-(2**63), None, generator=generator).view(torch.int16)[:count]
    kept = torch.empty(count, dtype=dtype, device=generator.device)
    torch.ge(bits, round(rate * 2**16) - 2**15, out=kept)
    return kept.mul_(torch.finfo(dtype).max).view(rows, width)


def num_logits(config: Config, classes: int) -> int:
    """K: one logit per class, one more for the background, twice that for parallel heads."""
    return (classes + config.background) * (2 if config.heads == "parallel" else 1)


def initial_parameters(
    config: Config, width: int, classes: int, generator: torch.Generator
) -> dict[str, Tensor]:
    """Xavier-uniform weights and zero biases of one member, drawn on the CPU."""
    hidden, logits = config.hidden or width, num_logits(config, classes)
    parameters = {}
    for layer, (rows, columns) in enumerate([(width, hidden), (hidden, logits)], start=1):
        # each of two parallel heads is a layer of its own and has its own fan-out
        fan_out = columns // 2 if layer == 2 and config.heads == "parallel" else columns
        bound = (6 / (rows + fan_out)) ** 0.5
        weight = torch.empty(1, rows, columns, dtype=torch.float32, device="cpu")
        weight.uniform_(-bound, bound, generator=generator)
        parameters |= {f"weight{layer}": weight, f"bias{layer}": weight.new_zeros(1, 1, columns)}
    return parameters


def heads(logits: Tensor, config: Config) -> tuple[Tensor, Tensor]:
    """Logits (..., K) of the CAS and of the video-level prediction: the same ones if shared."""
    return logits.chunk(2, -1) if config.heads == "parallel" else (logits, logits)


def activate(logits: Tensor, config: Config) -> Tensor:
    """Probabilities of the C classes; with a background logit it takes part and is dropped."""
    p = logits.sigmoid() if config.activation == "sigmoid" else logits.softmax(-1)
    return p[..., :-1] if config.background else p


def probabilities(scores: Tensor, config: Config) -> Tensor:
    """y_hat of Eqs 1 and 3: activation of the top-k means over time, (..., K) -> (..., K)."""
    return scores.sigmoid() if config.activation == "sigmoid" else scores.softmax(-1)
