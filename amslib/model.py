"""The backbone h of Eqs 1 and 3, M members wide: every parameter has a leading member axis."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .config import Config

PARAMETERS = ("weight1", "bias1", "weight2", "bias2")


class Branches(nn.Module):
    """FC - ReLU - Dropout - FC for M members side by side (Sec. IV-B).

    Args:
        parameters: ``weight1 (M, D, H)``, ``bias1 (M, 1, H)``, ``weight2 (M, H, K)``,
            ``bias2 (M, 1, K)``; K logits per snippet, see `num_logits`.
        precision: "fp32", or "bf16" for the products of both layers; parameters and what comes
            out are float32 either way.
    """

    def __init__(self, parameters: dict[str, Tensor], precision: str = "fp32"):
        super().__init__()
        self.precision = precision
        for name in PARAMETERS:
            self.register_parameter(name, nn.Parameter(parameters[name].clone()))

    def forward(self, x: Tensor, keep: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Features (N, D) shared by all members, or (M, N, D), to hidden features and logits.

        Args:
            x: packed snippets of any number of videos.
            keep: dropout mask (N, H), already scaled by 1 / (1 - dropout); None in evaluation.

        Returns:
            Hidden features (M, N, H) and logits (M, N, K).
        """
        x = x.expand(len(self.weight1), *x.shape[-2:])
        half = self.precision == "bf16"
        with torch.autocast(x.device.type, torch.bfloat16, enabled=half):
            hidden = torch.baddbmm(self.bias1, x, self.weight1).relu_()
            if keep is not None:
                hidden = hidden * keep
            logits = torch.baddbmm(self.bias2, hidden, self.weight2)
        return (hidden.float(), logits.float()) if half else (hidden, logits)

    def state(self) -> dict[str, Tensor]:
        """A copy of the parameters of all members."""
        return {name: p.detach().clone() for name, p in self.named_parameters()}


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
        weight = torch.empty(1, rows, columns).uniform_(-bound, bound, generator=generator)
        parameters |= {f"weight{layer}": weight, f"bias{layer}": torch.zeros(1, 1, columns)}
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
