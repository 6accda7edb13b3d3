"""The phases of Sec. III-D2 on one stream, for M members side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from .batches import Batch, PairSampler, Shared, Store, ahead
from .config import Config
from .forward import base_cas, by_chance, plan_positions, read, supp_cas
from .learner import Learner
from .losses import classification_loss, pseudo_labels
from .model import Branches, activate, heads, initial_parameters, probabilities
from .packed import alignment, coactivity_loss, interpolate, localization_loss, topk_mean
from .randomness import numpy_generator, torch_generator
from .sampler import neighbours, one_class

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
            losses = self._iteration(iteration, learners, [self.configs[m] for m in members])
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
        width, classes = self.store.shape[1], self.store.labels.shape[1]
        parameters = initial_parameters(self.common, width, classes, generator)
        device = self.store.device
        return Learner({name: p.to(device) for name, p in parameters.items()}, self.common)

    def _iteration(
        self, iteration: int, learners: dict[str, Learner], configs: Sequence[Config]
    ) -> dict[str, Tensor]:
        """Phase one (the supplementary branch trains), then phase two (the base branch).

        The base branch stands still until phase two has begun: its CAS on the whole videos, and
        where the sampler reads them, are computed once.
        """
        base = self._whole_base_cas(learners["base"].model)
        positions = None
        if "supp" in learners:
            positions = self._whole_positions(base, configs, iteration)
        losses = {}
        for branch in ("supp", "base"):
            if branch not in learners:
                continue
            labels = self._labels(branch, base, positions, learners, configs)
            adapt = branch == "supp" and any(c.sampler != "none" for c in configs)
            reading = (base, positions) if adapt else None
            losses[branch] = self._phase(
                branch, iteration, learners[branch], configs, labels, reading
            )
        return losses

    def _labels(
        self,
        branch: str,
        base: Tensor,
        positions: Tensor | None,
        learners: dict[str, Learner],
        configs: Sequence[Config],
    ) -> Tensor | None:
        """Pseudo-labels (M, rows, C) that teach a branch; None if no member has any."""
        teachers = [self._teacher(branch, c.supervision) for c in configs]
        cas = {"base": base}
        if "supp" in teachers:
            cas["supp"] = self._whole_supp_cas(learners["supp"].model, positions)
        if not any(teachers):
            return None
        labels = torch.zeros_like(base)
        for i, (teacher, c) in enumerate(zip(teachers, configs, strict=True)):
            if teacher:
                labels[i] = self._whole_labels(cas[teacher][i], c)
        return labels

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
        reading: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Train one branch; the other is present through `labels` and `reading` only.

        Args:
            labels: pseudo-labels (M, rows, C), or None without location supervision.
            reading: base CAS (M, rows, C) that drives the sampler and the positions (M, rows) it
                leads to in whole videos, or None to read the original features.

        Returns:
            Mean losses of each epoch, (M, epochs, 3).
        """
        purpose = (self.stream, iteration, branch)
        device = self.store.device
        draw = numpy_generator(self.seed, "batches", *purpose)
        dropout = torch_generator(self.seed, "dropout", *purpose, device=device)
        chance = torch_generator(self.seed, "sampler", *purpose)
        weights = torch.tensor([_weights(c) for c in configs], device=device)  # (M, 3)
        epochs = self.common.epochs if iteration else self.common.epochs_zero
        means = torch.zeros(len(configs), epochs, len(TERMS), device=device)
        batches = self._batches(draw, epochs * self.common.steps_per_epoch)
        for epoch in range(epochs):
            for batch, shared in islice(batches, self.common.steps_per_epoch):
                positions = taught = plan = None
                if labels is not None:
                    taught = labels.index_select(1, batch.rows)
                if reading is not None:
                    positions = self._positions(batch, *reading, configs, chance)
                    plan = alignment(positions, batch)
                    for i in (i for i, c in enumerate(configs) if c.location_axis == "sampled"):
                        rows = _gathered(plan, positions, batch, i)
                        if taught is not None:
                            taught[i] = labels[i].index_select(0, rows)
                hidden, logits = self._forward(learner.model, batch, positions, dropout)
                terms = self._terms(hidden, logits, batch, shared, plan, taught)
                # Eq. 11, summed: no member's loss depends on another's parameters
                learner.step((weights * terms).sum())
                means[:, epoch] += terms.detach() / self.common.steps_per_epoch
                self.bar.update()
            self._check_finite(means[:, epoch], branch, iteration, epoch)
        return means.cpu()

    def _batches(self, rng: np.random.Generator, steps: int) -> Iterator[tuple[Batch, Shared]]:
        """The batches of a phase, and what their pairs share; read ahead if they are read."""

        def drawn():
            for _ in range(steps):
                videos = self.sampler.draw(rng)
                batch = self.store.batch(videos, self.common.max_snippets, rng)
                yield batch, self.sampler.shared(videos)

        return drawn() if self.store.features is not None else ahead(drawn())

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
        noise, drawn = _chances(batch, chance)
        positions = whole.index_select(1, batch.rows)
        for i in (i for i, c in enumerate(configs) if by_chance(c)):
            seen = cas[i : i + 1].index_select(1, batch.rows)
            positions[i] = plan_positions([configs[i]], seen, batch, noise, drawn)[0]
        for place in batch.cropped:
            crop, here = batch.only(place), batch.video == place
            seen = cas.index_select(1, crop.rows)
            positions[:, here] = plan_positions(
                configs, seen, crop, noise[here], drawn[place : place + 1]
            )
        return positions

    def _forward(
        self, model: Branches, batch: Batch, positions: Tensor | None, dropout: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Hidden features (M, N, H) and logits (M, N, K); all members share one dropout mask."""
        rate = self.common.dropout
        shape = len(batch.rows), model.weight1.shape[-1]
        keep = torch.rand(shape, generator=dropout, device=dropout.device)
        keep = (keep >= rate).to(keep.dtype).mul_(1 / (1 - rate))
        return model(read(batch, positions), keep)

    def _terms(
        self,
        hidden: Tensor,
        logits: Tensor,
        batch: Batch,
        shared: Shared,
        plan: tuple[Tensor, Tensor, Tensor] | None,
        taught: Tensor | None,
    ) -> Tensor:
        """The losses of every member on one batch, (M, 3) in the order of `TERMS`.

        Args:
            hidden, logits: from `_forward`.
            shared: what the pairs of the batch have in common.
            plan: how the CAS is aligned, see `alignment`; None: it need not be.
            taught: pseudo-labels (M, N, C), or None.
        """
        c, classes = self.common, batch.labels.shape[-1]
        cas_logits, video_logits = heads(logits, c)
        classification = self._classification(video_logits, batch)
        if c.heads == "parallel":  # a CAS head that Eq. 10 does not reach would not learn classes
            classification = (classification + self._classification(cas_logits, batch)) / 2
        coactivity = coactivity_loss(hidden, cas_logits[..., :classes], batch, shared)
        localization = torch.zeros_like(classification)
        if taught is not None:
            cas = activate(cas_logits, c)
            if plan is not None:
                cas = interpolate(cas, plan)
            localization = localization_loss(cas, taught, batch)
        return torch.stack([classification, coactivity, localization], -1)

    def _classification(self, logits: Tensor, batch: Batch) -> Tensor:
        labels = batch.labels
        if self.common.background:  # every video has some
            labels = torch.cat([labels, torch.ones_like(labels[:, :1])], -1)
        scores = topk_mean(logits, batch, self.common.topk)
        return classification_loss(
            probabilities(scores, self.common), labels, self.common.class_loss
        )

    def _check_finite(self, means: Tensor, branch: str, iteration: int, epoch: int) -> None:
        if not means.isfinite().all():
            raise FloatingPointError(
                f"stream {self.stream}, iteration {iteration}, {branch} branch, epoch {epoch}: "
                f"a loss is not finite; mean {TERMS} by member: {means.tolist()}. Look for "
                "extreme feature values with `python -m amslib check`, or lower lr"
            )

    def _chunks(self, read: bool = False) -> Iterator[Batch]:
        """All videos, whole, those of like length together; with features to `read`."""
        order = np.argsort(self.store.lengths, kind="stable")
        parts = (order[start : start + CHUNK] for start in range(0, len(order), CHUNK))
        chunks = (self.store.batch(part, read=read) for part in parts)
        return ahead(chunks) if read and self.store.features is None else chunks

    def _whole(self, members: int, *shape: int) -> Tensor:
        """An empty table with a row for each snippet of the store."""
        return torch.empty(members, self.store.shape[0], *shape, device=self.store.device)

    @torch.no_grad()
    def _whole_base_cas(self, model: Branches) -> Tensor:
        """(M, rows, C)."""
        cas = self._whole(len(model.weight1), self.store.labels.shape[1])
        for batch in self._chunks(read=True):
            cas[:, batch.rows] = base_cas(model, batch, self.common)
        return cas

    @torch.no_grad()
    def _whole_positions(self, cas: Tensor, configs: Sequence[Config], iteration: int) -> Tensor:
        """Where the sampler reads the whole videos by the CAS of the base branch, (M, rows)."""
        chance = torch_generator(self.seed, "sampler", self.stream, iteration, "teacher")
        positions = self._whole(len(configs))
        for batch in self._chunks():
            seen = cas.index_select(1, batch.rows)
            noise, drawn = _chances(batch, chance)
            positions[:, batch.rows] = plan_positions(configs, seen, batch, noise, drawn)
        return positions

    @torch.no_grad()
    def _whole_supp_cas(self, model: Branches, positions: Tensor) -> Tensor:
        """(M, rows, C), aligned."""
        cas = self._whole(len(model.weight1), self.store.labels.shape[1])
        for batch in self._chunks(read=True):
            where = positions.index_select(1, batch.rows)
            cas[:, batch.rows] = supp_cas(model, batch, where, self.common)
        return cas

    def _whole_labels(self, cas: Tensor, config: Config) -> Tensor:
        """Eq. 8 over whole videos, (rows, C) to (rows, C)."""
        labels = torch.empty_like(cas)
        for batch in self._chunks():
            grid = pseudo_labels(
                batch.pad(cas[batch.rows]),
                batch.labels,
                config.threshold_factor,
                batch.mask,
                config.threshold_scope,
            )
            labels[batch.rows] = batch.pack(grid)
        return labels


def _chances(batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random weights (N,) and one random class of each video (B, C).

    Drawn once for all members, whether or not one needs them: what a member gets does not depend
    on the others.
    """
    noise = torch.rand(len(batch.rows), generator=generator, device=generator.device)
    return noise.to(batch.rows.device), one_class(batch.labels, generator)


def _gathered(
    plan: tuple[Tensor, Tensor, Tensor], positions: Tensor, batch: Batch, member: int
) -> Tensor:
    """Let a member compare on the sampled axis: its CAS stays there, and the labels come from the
    store's rows (N,) nearest to where it reads.
    """
    left, right, along = plan
    left[member] = right[member] = torch.arange(len(batch.rows), device=left.device)
    along[member] = 0
    before, after, share = neighbours(positions[member], batch.sizes[batch.video])
    return torch.where(share < 0.5, before, after) + batch.first[batch.video]


def _weights(c: Config) -> tuple[float, float, float]:
    """Of the terms in Eq. 11."""
    return c.class_weight, c.coactivity_weight, c.localization_weight * (c.supervision != "none")
