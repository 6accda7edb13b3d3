"""M members of one branch and the optimiser they keep for the whole run."""

from __future__ import annotations

import torch
from torch import Tensor

from .config import Config
from .model import Branches

PAPER_WIDTH = 1024  # features of one I3D stream


class Learner:
    """A branch that can train.

    Args:
        parameters: of all members, see `Branches`.
        config: its `lr` and `weight_decay` hold for every member.
    """

    def __init__(self, parameters: dict[str, Tensor], config: Config):
        self.config = config
        self.model = Branches(parameters)
        # Adam moves every weight by about lr a step, so the logits move in proportion to lr times
        # the width: the paper's lr belongs to its 1024 features, other widths keep the product
        lr = config.lr * PAPER_WIDTH / self.model.weight1.shape[-2]
        self.optimizer = torch.optim.Adam(
            self.model.parameters(), lr=lr, weight_decay=config.weight_decay
        )

    def step(self, loss: Tensor) -> None:
        """One step of Adam. Adam works element by element: members do not meet in it."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()

    def select(self, members: list[int]) -> Learner:
        """A learner of the chosen members, repeated or left out, with their optimiser state."""
        index = torch.tensor(members, device=self.model.weight1.device)
        chosen = Learner({n: p[index] for n, p in self.model.state().items()}, self.config)
        for old, new in zip(self.model.parameters(), chosen.model.parameters(), strict=True):
            state = self.optimizer.state.get(old, {})
            chosen.optimizer.state[new] = {
                key: value.clone() if key == "step" else value[index]
                for key, value in state.items()
            }
        return chosen
