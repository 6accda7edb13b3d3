"""The phases of Sec. III-D2 on one stream, for M members side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from tqdm import tqdm

from .batches import Batch, PairSampler, Store
from .config import Config
from .forward import base_cas, plan_positions, read, supp_cas
from .learner import Learner
from .losses import classification_loss, coactivity_loss, localization_loss, pseudo_labels
from .model import Branches, activate, heads, initial_parameters, video_probabilities
from .randomness import numpy_generator, torch_generator
from .sampler import align

TERMS = ("classification", "coactivity", "localization")
CHUNK = 16  # videos at a time where a whole training set is looked at


class StreamTrainer:
    """Trains both branches of every member on one stream.

    Args:
        configs: of the members; they differ in fields of `train.FREE` only.
        store: the stream of the training videos.
        stream: its name, part of every random source's purpose.
        seed: of everything random.
        bar: advanced by one a step.
    """

    def __init__(self, configs: Sequence[Config], store: Store, stream: str, seed: int, bar: tqdm):
        self.configs, self.common = list(configs), configs[0]
        self.store, self.stream, self.seed, self.bar = store, stream, seed, bar
        labels = store.labels.cpu().numpy()
        self.sampler = PairSampler(labels, self.common.batch_size, self.common.pairs)
        self.pairs = self.sampler.pair_rows().to(store.features.device)

    def iterations(self) -> Iterator[tuple[list[int], dict[str, Learner], dict[str, Tensor]]]:
        """After each iteration, 0 first: the members still training, the learners of both
        branches with one entry for each of these, and the mean losses of each epoch by branch,
        (members, epochs, 3) in the order of `TERMS`.
        """
        members = list(range(len(self.configs)))
        learners, losses = self._phase_zero()
        # phase zero uses no field that members differ in: it was one member's work
        learners = {name: one.select([0] * len(members)) for name, one in learners.items()}
        yield members, learners, {k: v.expand(len(members), -1, -1) for k, v in losses.items()}
        for iteration in range(1, max(c.iterations for c in self.configs) + 1):
            going = [i for i, m in enumerate(members) if self.configs[m].iterations >= iteration]
            members = [members[i] for i in going]
            learners = {name: learner.select(going) for name, learner in learners.items()}
            configs = [self.configs[m] for m in members]
            losses = {
                branch: self._mutual_phase(branch, iteration, learners, configs)
                for branch in ("supp", "base")  # phase one, phase two
                if branch in learners
            }
            yield members, learners, losses

    def _phase_zero(self) -> tuple[dict[str, Learner], dict[str, Tensor]]:
        """Both branches on the original features with the basic loss (or see `supp_init`)."""
        c, one = self.common, self.configs[:1]
        learners = {"base": self._new_learner("base")}
        losses = {"base": self._phase("base", 0, learners["base"], one)}
        if all(config.branches == 1 for config in self.configs):
            return learners, losses
        if c.supp_init == "copy_base":
            learners["supp"] = Learner(learners["base"].model.state(), c)
        else:
            learners["supp"] = self._new_learner("supp")
        if c.supp_init == "basic":
            losses["supp"] = self._phase("supp", 0, learners["supp"], one)
        return learners, losses

    def _new_learner(self, branch: str) -> Learner:
        generator = torch_generator(self.seed, "init", self.stream, branch)
        width, classes = self.store.features.shape[1], self.store.labels.shape[1]
        parameters = initial_parameters(self.common, width, classes, generator)
        device = self.store.features.device
        return Learner({name: p.to(device) for name, p in parameters.items()}, self.common)

    def _mutual_phase(
        self, branch: str, iteration: int, learners: dict[str, Learner], configs: list[Config]
    ) -> Tensor:
        """Phase one (`branch` "supp") or two ("base"): the other branch is frozen, so its CAS on
        the whole videos, and the pseudo-labels from it, are computed once.
        """
        cas = {"base": self._whole_base_cas(learners["base"].model)}
        teachers = [self._teacher(branch, c.supervision) for c in configs]
        if "supp" in teachers:
            supp = learners["supp"].model
            cas["supp"] = self._whole_supp_cas(supp, cas["base"], configs, iteration)
        labels = None
        if any(teachers):
            labels = torch.zeros_like(cas["base"])
            for i, (teacher, c) in enumerate(zip(teachers, configs, strict=True)):
                if teacher:
                    labels[i] = self._whole_labels(cas[teacher][i], c.threshold_factor)
        sampled = branch == "supp" and any(c.sampler != "none" for c in configs)
        steering = cas["base"] if sampled else None
        return self._phase(branch, iteration, learners[branch], configs, labels, steering)

    @staticmethod
    def _teacher(branch: str, supervision: str) -> str | None:
        """Which branch's CAS the pseudo-labels of `branch` come from."""
        other = "supp" if branch == "base" else "base"
        return {"mutual": other, "self": branch, "none": None}[supervision]

    def _phase(
        self,
        branch: str,
        iteration: int,
        learner: Learner,
        configs: Sequence[Config],
        labels: Tensor | None = None,
        steering: Tensor | None = None,
    ) -> Tensor:
        """Train one branch; the other is present through `labels` and `steering` only.

        Args:
            labels: pseudo-labels (M, rows, C), or None without location supervision.
            steering: base CAS (M, rows, C) that drives the sampler, or None to read the
                original features.

        Returns:
            Mean losses of each epoch, (M, epochs, 3).
        """
        purpose = (self.stream, iteration, branch)
        device = self.store.features.device
        draw = numpy_generator(self.seed, "batches", *purpose)
        dropout = torch_generator(self.seed, "dropout", *purpose, device=device)
        chance = torch_generator(self.seed, "sampler", *purpose)
        weights = torch.tensor([_weights(c) for c in configs], device=device)  # (M, 3)
        epochs = self.common.epochs if iteration else self.common.epochs_zero
        means = torch.zeros(len(configs), epochs, len(TERMS), device=device)
        for epoch in range(epochs):
            for _ in range(self.common.steps_per_epoch):
                videos = self.sampler.draw(draw)
                batch = self.store.batch(videos, self.common.max_snippets, draw)
                positions = None
                if steering is not None:
                    cas = batch.pad(steering[:, batch.rows])
                    positions = plan_positions(configs, cas, batch.labels, batch.mask, chance)
                taught = None if labels is None else batch.pad(labels[:, batch.rows])
                terms = self._terms(learner.model, batch, positions, taught, dropout)
                # Eq. 11, summed: no member's loss depends on another's parameters
                learner.step((weights * terms).sum())
                means[:, epoch] += terms.detach() / self.common.steps_per_epoch
                self.bar.update()
            self._check_finite(means[:, epoch], branch, iteration, epoch)
        return means.cpu()

    def _terms(
        self,
        model: Branches,
        batch: Batch,
        positions: Tensor | None,
        taught: Tensor | None,
        dropout: torch.Generator,
    ) -> Tensor:
        """The losses of every member on one batch, (M, 3) in the order of `TERMS`."""
        c, classes = self.common, batch.labels.shape[-1]
        shape = len(batch.rows), model.weight1.shape[-1]
        keep = torch.rand(shape, generator=dropout, device=dropout.device)
        keep = (keep >= c.dropout) / (1 - c.dropout)
        hidden, logits = model(read(self.store.features, batch, positions), keep)
        cas_logits, video_logits = heads(batch.pad(logits), c)

        classification = self._classification(video_logits, batch)
        if c.heads == "parallel":  # a CAS head that Eq. 10 does not reach would not learn classes
            classification = (classification + self._classification(cas_logits, batch)) / 2
        paired = 2 * len(self.pairs)
        coactivity = localization = torch.zeros_like(classification)
        if paired:
            coactivity = coactivity_loss(
                batch.pad(hidden, paired),
                cas_logits[:, :paired, :, :classes],
                batch.labels[:paired],
                self.pairs,
                batch.mask[:paired],
            )
        if taught is not None:
            cas = activate(cas_logits, c)
            if positions is not None:
                cas = align(cas, positions, batch.mask)
            localization = localization_loss(cas, taught, batch.mask)
        return torch.stack([classification, coactivity, localization], -1)

    def _classification(self, logits: Tensor, batch: Batch) -> Tensor:
        labels = batch.labels
        if self.common.background:  # every video has some
            labels = torch.cat([labels, torch.ones_like(labels[:, :1])], -1)
        probabilities = video_probabilities(logits, self.common, batch.mask)
        return classification_loss(probabilities, labels, self.common.class_loss)

    def _check_finite(self, means: Tensor, branch: str, iteration: int, epoch: int) -> None:
        if not means.isfinite().all():
            raise FloatingPointError(
                f"stream {self.stream}, iteration {iteration}, {branch} branch, epoch {epoch}: "
                f"a loss is not finite; mean {TERMS} by member: {means.tolist()}. Look for "
                "extreme feature values with `python -m amslib check`, or lower lr"
            )

    def _chunks(self) -> Iterator[Batch]:
        """All videos, whole and in the store's order."""
        for chunk in torch.arange(len(self.store.lengths)).split(CHUNK):
            yield self.store.batch(chunk.numpy(), None, None)

    @torch.no_grad()
    def _whole_base_cas(self, model: Branches) -> Tensor:
        """(M, rows, C)."""
        parts = [base_cas(model, self.store.features, b, self.common) for b in self._chunks()]
        return torch.cat(parts, -2)

    @torch.no_grad()
    def _whole_supp_cas(
        self, model: Branches, steering: Tensor, configs: Sequence[Config], iteration: int
    ) -> Tensor:
        """(M, rows, C), aligned; sampled with the base CAS of the start of the phase."""
        chance = torch_generator(self.seed, "sampler", self.stream, iteration, "teacher")
        parts = []
        for batch in self._chunks():
            cas = batch.pad(steering[:, batch.rows])
            positions = plan_positions(configs, cas, batch.labels, batch.mask, chance)
            parts.append(supp_cas(model, self.store.features, batch, positions, self.common))
        return torch.cat(parts, -2)

    def _whole_labels(self, cas: Tensor, factor: float) -> Tensor:
        """Eq. 8 over whole videos, (rows, C) to (rows, C)."""
        parts = []
        for batch in self._chunks():
            grid = pseudo_labels(batch.pad(cas[batch.rows]), batch.labels, factor, batch.mask)
            parts.append(batch.pack(grid))
        return torch.cat(parts, -2)


def _weights(c: Config) -> tuple[float, float, float]:
    """Of the terms in Eq. 11."""
    return c.class_weight, c.coactivity_weight, c.localization_weight * (c.supervision != "none")
