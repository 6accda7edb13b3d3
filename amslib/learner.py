"""M members of one branch and the optimiser they keep for the whole run."""

from __future__ import annotations

import torch
from torch import Tensor

from .config import Config
from .kernels import PINNED_HERE
from .model import PARAMETERS, Branches

PAPER_WIDTH = 1024  # features of one I3D stream
STEP = "/step"  # Adam's counter, the only state that is not one number for each parameter


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
            self.model.parameters(),
            lr=lr,
            weight_decay=config.weight_decay,
            # the fused step rounds the last few elements of a tensor otherwise than the rest, so
            # that digits would depend on how many members there are
            fused=not PINNED_HERE,
            foreach=PINNED_HERE,
            capturable=self.model.weight1.is_cuda,
        )

    def step(self, loss: Tensor) -> None:
        """One step of Adam. Adam works element by element: members do not meet in it."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()

    def select(self, members: list[int]) -> Learner:
        """A learner of the chosen members, repeated or left out, with their optimiser state."""
        index = torch.tensor(members, device=self.model.weight1.device)
        state = {name: p if name.endswith(STEP) else p[index] for name, p in self.state().items()}
        return Learner.of_state(state, self.config, index.device)

    def state(self) -> dict[str, Tensor]:
        """Copies of the parameters, and of what Adam knows of each, as "weight1/exp_avg"."""
        tensors = {}
        for name, p in self.model.named_parameters():
            known = self.optimizer.state.get(p, {})
            tensors |= {name: p} | {f"{name}/{key}": value for key, value in known.items()}
        return {name: p.detach().clone() for name, p in tensors.items()}

    @classmethod
    def of_state(cls, state: dict[str, Tensor], config: Config, device: torch.device) -> Learner:
        """The learner that a `state` was taken of."""
        state = {name: p.to(device) for name, p in state.items()}
        learner = cls({name: state[name] for name in PARAMETERS}, config)
        for name, p in learner.model.named_parameters():
            known = {key: value for key, value in state.items() if key.startswith(f"{name}/")}
            if known:
                keys = {key.partition("/")[2]: value for key, value in known.items()}
                learner.optimizer.state[p] = keys
        return learner
