"""The phases of Sec. III-D2 on one stream, for M members side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from .batches import Batch, PairSampler, Shared, Store, ahead
from .config import Config
from .device import onto
from .forward import by_chance, plan_positions, read
from .graphs import Graphs
from .learner import Learner
from .model import Branches, initial_parameters
from .objective import TERMS
from .overview import chances, whole_base_cas, whole_labels, whole_positions, whole_supp_cas
from .packed import Plan, alignment, balanced, paired_rows
from .randomness import numpy_generator, torch_generator
from .sampler import neighbours
from .steps import Given, Step

PLACE = ("iteration", "phase", "branch", "step", "members")  # where training stands


class StreamTrainer:
    """Trains both branches of every member on one stream.

    Args:
        configs: of the members; they differ in fields of `train.FREE` only.
        store: the stream of the training videos.
        stream: its name, part of every random source's purpose.
        seed: of everything random.
        after_step: called with the trainer after every step; `state` is then all it takes to go on.

    Attributes:
        iteration, phase, branch, step: where training stands: so many steps into a phase, which
            trains a branch.
        members: which configs still train.
        learners: both branches of these members.
        losses: of this iteration by branch, mean over each epoch, (members, epochs, 3) in the order
            of `TERMS`.
    """

    def __init__(
        self,
        configs: Sequence[Config],
        store: Store,
        stream: str,
        seed: int,
        after_step: Callable[[StreamTrainer], None],
    ):
        self.configs, self.common = list(configs), configs[0]
        self.store, self.stream, self.seed, self.after_step = store, stream, seed, after_step
        labels = store.labels.cpu().numpy()
        self.sampler = PairSampler(labels, self.common.batch_size, self.common.pairs)
        self.iteration = self.phase = self.step = 0
        self.branch = "base"
        self.members = list(range(len(configs)))
        self.learners: dict[str, Learner] = {}
        self.losses: dict[str, Tensor] = {}
        self.start: dict[str, dict[str, Tensor]] = {}  # parameters as the iteration began
        self.terms = _zeros(0)  # of each step of the present epoch, (steps, members, 3)
        self.random: dict[str, Tensor | dict] = {}  # states of the random sources of a phase

    def iterations(self) -> Iterator[int]:
        """Train; yields the number of each iteration when it is done, 0 first."""
        if self.iteration:  # resumed
            self._iterate()
        else:
            self._phase_zero()
        yield self.iteration
        while self.iteration < max(c.iterations for c in self.configs):
            self._next_iteration()
            self._iterate()
            yield self.iteration

    def _phase_zero(self) -> None:
        """Both branches on the original features with the basic loss (or see `supp_init`).

        It uses no field that members differ in: it is one member's work.
        """
        one = self.configs[:1]
        dual = any(config.branches == 2 for config in self.configs)
        trained = ["base", "supp"] if dual and self.common.supp_init == "basic" else ["base"]
        for branch in trained[self.phase :]:
            self._start_learner(branch)
            self._train(branch, one)
        if dual:
            self._start_learner("supp")
        everyone = [0] * len(self.members)
        self.learners = {name: one.select(everyone) for name, one in self.learners.items()}
        self.losses = {name: curve[everyone] for name, curve in self.losses.items()}

    def _start_learner(self, branch: str) -> None:
        if branch in self.learners:
            return
        if branch == "supp" and self.common.supp_init == "copy_base":
            parameters = self.learners["base"].model.state()
        else:
            generator = torch_generator(self.seed, "init", self.stream, branch)
            width, classes = self.store.shape[1], self.store.labels.shape[1]
            parameters = initial_parameters(self.common, width, classes, generator)
        device = self.store.device
        self.learners[branch] = Learner(
            {name: p.to(device) for name, p in parameters.items()}, self.common
        )

    def _next_iteration(self) -> None:
        self.iteration, self.phase, self.losses = self.iteration + 1, 0, {}
        going = [
            i for i, m in enumerate(self.members) if self.configs[m].iterations >= self.iteration
        ]
        self.members = [self.members[i] for i in going]
        self.learners = {name: learner.select(going) for name, learner in self.learners.items()}
        self.start = {name: learner.model.state() for name, learner in self.learners.items()}

    def _iterate(self) -> None:
        """Phase one (the supplementary branch trains), then phase two (the base branch).

        The base branch stands still until phase two has begun: its CAS on the whole videos, and
        where the sampler reads them, are computed once.
        """
        configs = [self.configs[m] for m in self.members]
        base = whole_base_cas(self.store, Branches(self.start["base"]), self.common)
        positions = None
        if "supp" in self.learners:
            purpose = ("sampler", self.stream, self.iteration, "teacher")
            chance = torch_generator(self.seed, *purpose)
            positions = whole_positions(self.store, base, configs, chance)
        branches = [branch for branch in ("supp", "base") if branch in self.learners]
        for branch in branches[self.phase :]:
            labels = self._labels(branch, base, positions, configs)
            adapt = branch == "supp" and any(c.sampler != "none" for c in configs)
            self._train(branch, configs, labels, (base, positions) if adapt else None)

    def _labels(
        self, branch: str, base: Tensor, positions: Tensor | None, configs: Sequence[Config]
    ) -> Tensor | None:
        """`balanced` pseudo-labels (M, rows, C) that teach a branch; None if no member has any."""
        other = "supp" if branch == "base" else "base"
        source = {"mutual": other, "self": branch, "none": None}
        teachers = [source[c.supervision] for c in configs]
        cas = {"base": base}
        if "supp" in teachers:
            # as the phase began: the branch that trains teaches itself from there on
            state = self.start["supp"] if branch == "supp" else self.learners["supp"].model.state()
            cas["supp"] = whole_supp_cas(self.store, Branches(state), positions, self.common)
        return whole_labels(self.store, cas, teachers, configs)

    def _train(
        self,
        branch: str,
        configs: Sequence[Config],
        labels: Tensor | None = None,
        reading: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        """One phase, or what is left of it. The branch that stands still is present through
        `labels` and `reading` only.

        Args:
            labels: `balanced` pseudo-labels (M, rows, C), or None without location supervision.
            reading: base CAS (M, rows, C) that drives the sampler and the positions (M, rows) it
                leads to in whole videos, or None to read the original features.
        """
        self.branch = branch
        learner, device = self.learners[branch], self.store.device
        epochs = self.common.epochs if self.iteration else self.common.epochs_zero
        length = self.common.steps_per_epoch
        if not self.step:
            self.losses[branch] = _zeros(len(configs), epochs, len(TERMS))
            self.terms = _zeros(length, len(configs), len(TERMS)).to(device)
        draw, dropout, chance = self._sources(branch)
        step = Step(learner, configs, dropout)
        if device.type == "cuda":
            step = Graphs(step, int(min(self.common.max_snippets, self.store.lengths.max())))
        left = epochs * length - self.step
        for batch, shared, drawn in self._batches(draw, left):
            # no name for what is given: it would live on into the next step
            self.terms[self.step % length] = step(
                self._given(batch, shared, labels, reading, configs, chance)
            )
            self.step += 1
            self.random = {"batches": drawn, "dropout": dropout, "sampler": chance}
            if self.step % length == 0:
                self.check()
                self.losses[branch][:, self.step // length - 1] = self.terms.mean(0).cpu()
            self.after_step(self)
        self.phase, self.step, self.random = self.phase + 1, 0, {}

    def _given(
        self,
        batch: Batch,
        shared: Shared,
        labels: Tensor | None,
        reading: tuple[Tensor, Tensor] | None,
        configs: Sequence[Config],
        chance: torch.Generator,
    ) -> Given:
        """What a step works on; see `_train`."""
        plan = positions = taught = None
        if reading is not None:
            positions = self._positions(batch, *reading, configs, chance)
            plan = alignment(positions, batch)
        if labels is not None:
            taught = _taught(labels, batch, plan, positions, configs)
        rows = paired_rows(batch, shared)
        x = read(batch, positions)
        return Given(x, batch, shared.on(self.store.device), rows, plan, taught)

    def _sources(self, branch: str) -> tuple[np.random.Generator, torch.Generator, torch.Generator]:
        """Random sources of a phase: batches, dropout, sampler; as they stood, if resumed."""
        purpose = (self.stream, self.iteration, branch)
        draw = numpy_generator(self.seed, "batches", *purpose)
        dropout = torch_generator(self.seed, "dropout", *purpose, device=self.store.device)
        chance = torch_generator(self.seed, "sampler", *purpose)
        if self.random:
            draw.bit_generator.state = self.random["batches"]
            dropout.set_state(self.random["dropout"])
            chance.set_state(self.random["sampler"])
        return draw, dropout, chance

    def _batches(
        self, rng: np.random.Generator, steps: int, read: bool = True
    ) -> Iterator[tuple[Batch, Shared, dict]]:
        """The batches of a phase, what their pairs share, and the state of `rng` after each; read
        ahead if they are read.
        """

        def drawn():
            for _ in range(steps):
                videos = self.sampler.draw(rng)
                batch = self.store.batch(videos, self.common.max_snippets, rng, read)
                yield batch, self.sampler.shared(videos), rng.bit_generator.state

        return ahead(drawn()) if read and self.store.features is None else drawn()

    def _positions(
        self,
        batch: Batch,
        cas: Tensor,
        whole: Tensor,
        configs: Sequence[Config],
        chance: torch.Generator,
    ) -> Tensor:
        """Where the members read a batch, (M, N): as in the `whole` videos, but anew for crops
        and for members whose sampler draws.
        """
        positions = whole.index_select(1, batch.rows)
        lots = [i for i, c in enumerate(configs) if by_chance(c)]
        noise = drawn = None
        if lots:
            noise, drawn = chances(batch, chance)
            index = onto(cas.device, np.array(lots))
            seen = cas[index[:, None], batch.rows]
            where = plan_positions([configs[i] for i in lots], seen, batch, noise, drawn)
            positions.index_copy_(0, index, where)
        if batch.cropped:
            crops, here = batch.only(batch.cropped)
            seen = cas.index_select(1, crops.rows)
            if lots:
                noise, drawn = noise[here], drawn[batch.video[here[crops.starts]]]
            where = plan_positions(configs, seen, crops, noise, drawn)
            positions.index_copy_(1, here, where)
        return positions

    def check(self) -> None:
        """Look at the losses of the present epoch.

        Raises:
            FloatingPointError: one is not finite; names the step, its term and its videos.
        """
        length = self.common.steps_per_epoch
        begun = (self.step - 1) // length * length
        bad = (~self.terms[: self.step - begun].isfinite()).nonzero()
        if not len(bad):
            return
        place, member, term = bad[0].tolist()
        step = begun + place
        rng = numpy_generator(self.seed, "batches", self.stream, self.iteration, self.branch)
        *_, (batch, _, _) = self._batches(rng, step + 1, read=False)
        first = batch.rows[batch.starts].cpu().numpy()
        videos = np.searchsorted(self.store.starts, first, side="right") - 1
        names = ", ".join(self.store.videos[i].id for i in videos)
        raise FloatingPointError(
            f"stream {self.stream}, iteration {self.iteration}, {self.branch} branch, step {step}: "
            f"the {TERMS[term]} loss of member {self.members[member]} is "
            f"{self.terms[place, member, term].item()}. The videos of the batch: {names}. Look "
            "for extreme feature values with `python -m amslib check`, or lower lr"
        )

    def state(self) -> tuple[dict[str, Tensor], dict]:
        """Copies of the tensors that training goes on from, by name, and the rest as plain data."""
        tensors = {f"losses/{name}": curve for name, curve in self.losses.items()}
        for branch, learner in self.learners.items():
            tensors |= {f"now/{branch}/{name}": p for name, p in learner.state().items()}
        for branch, state in self.start.items():
            tensors |= {f"start/{branch}/{name}": p for name, p in state.items()}
        tensors["terms"] = self.terms
        for name in ("dropout", "sampler"):
            tensors[f"random/{name}"] = self.random[name].get_state()
        about = {
            **{name: getattr(self, name) for name in PLACE},
            "batches": self.random["batches"],
        }
        return {name: p.detach().to("cpu", copy=True) for name, p in tensors.items()}, about

    def restore(self, tensors: dict[str, Tensor], about: dict) -> None:
        """Stand where `state` was taken.

        Raises:
            Exception: of any kind; the tensors or the data are not what `state` gave.
        """
        for name in PLACE:
            setattr(self, name, about[name])
        groups: dict[str, dict] = {"losses": {}, "now": {}, "start": {}, "random": {}}
        for key, p in tensors.items():
            kind, _, rest = key.partition("/")
            if rest:
                groups[kind][rest] = p
        device = self.store.device
        self.losses, self.terms = groups["losses"], tensors["terms"].to(device)
        self.random = groups["random"] | {"batches": about["batches"]}
        for key, p in groups["start"].items():
            branch, _, name = key.partition("/")
            self.start.setdefault(branch, {})[name] = p.to(device)
        for branch in dict.fromkeys(key.partition("/")[0] for key in groups["now"]):
            own = {k.partition("/")[2]: p for k, p in groups["now"].items() if k.startswith(branch)}
            self.learners[branch] = Learner.of_state(own, self.common, device)
        self._sources(self.branch)  # a state that is none of a random source is told here


def _zeros(*shape: int) -> Tensor:
    return torch.zeros(shape, dtype=torch.float32, device="cpu")


def _taught(
    labels: Tensor,
    batch: Batch,
    plan: Plan | None,
    positions: Tensor | None,
    configs: Sequence[Config],
) -> Tensor:
    """The `balanced` pseudo-labels of a batch, out of those of all rows."""
    taught = labels.index_select(1, batch.rows)
    gathered = []
    if plan is not None:
        gathered = [i for i, c in enumerate(configs) if c.location_axis == "sampled"]
    for i in gathered:
        taught[i] = labels[i].index_select(0, _nearest(plan, positions, batch, i))
    if gathered or batch.cropped:  # other snippets than those of the whole videos
        anything = taught[:, :1, :1] != 0  # not of a member without a teacher
        taught = balanced(taught > 0, batch).mul_(anything)
    return taught


def _nearest(plan: Plan, positions: Tensor, batch: Batch, member: int) -> Tensor:
    """Let a member compare on the sampled axis: its CAS stays there, and the labels come from the
    store's rows (N,) nearest to where it reads.
    """
    plan.left[member] = plan.right[member] = batch.place
    plan.along[member] = 0
    before, after, share = neighbours(positions[member], batch.sizes[batch.video])
    return torch.where(share < 0.5, before, after) + batch.origin
