"""What training leaves behind: both branches of every stream after every iteration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from .batches import Batch, Store, ahead
from .config import Config
from .data.video import Video, label_flags
from .detections import Detection
from .device import own_settings, pick_device
from .forward import plan_positions, read, supp_cas
from .inference import at_least_one, fuse, localize
from .inputs import feature_shape, require_distinct, require_streams, require_times
from .model import Branches, activate, heads, probabilities
from .objective import TERMS
from .overview import CHUNK
from .packed import topk_mean
from .randomness import torch_generator
from .sampler import one_class
from .saved import read_run, write_run


class Run:
    """A trained AMS (or ablation) and the history of its losses.

    Args:
        config: what was trained.
        classes: names of the C classes.
        seed: the run's seed.

    Attributes:
        states: ``states[iteration][stream][branch]``, parameters by name on the CPU.
        history: one dict an epoch: stream, iteration, branch ("base" or "supp"), epoch, and the
            mean of each loss term.
    """

    def __init__(self, config: Config, classes: tuple[str, ...], seed: int):
        self.config, self.classes, self.seed = config, tuple(classes), seed
        self.states: list[dict[str, dict[str, dict[str, Tensor]]]] = []
        self.history: list[dict] = []

    def add(self, iteration: int, stream: str, states: dict, curves: dict) -> None:
        """Take over one stream after one iteration: parameters and losses (epochs, 3) by branch."""
        if iteration == len(self.states):
            self.states.append({})
        used = [b for b in states if b == "base" or self.config.branches == 2]
        self.states[iteration][stream] = {
            branch: {name: p.cpu() for name, p in states[branch].items()} for branch in used
        }
        for branch in (b for b in curves if b in used):
            for epoch, terms in enumerate(curves[branch].tolist()):
                place = dict(stream=stream, iteration=iteration, branch=branch, epoch=epoch)
                self.history.append(place | dict(zip(TERMS, terms, strict=True)))

    def cas(
        self,
        video: Video,
        iteration: int = -1,
        classes: Tensor | None = None,
        device: str = "auto",
    ) -> dict[str, dict[str, Tensor]]:
        """CAS of a whole video, ``cas[stream][branch]`` of shape (T, C), ready for `fuse`.

        Args:
            video: with every stream the run was trained on.
            iteration: 0 is phase zero, -1 the last.
            classes: flags (C,) of the classes that steer the sampler, e.g. the true labels;
                by default they follow the config's `test_classes`.
            device: "auto" or a torch device.

        Raises:
            ValueError: the video lacks a stream or has another feature width, its streams differ in
                length, a value is not finite in float32, or so large that the CAS is not finite.
            IndexError: the run has no such iteration.
        """
        return self._look_at(video, iteration, classes, device)[0][0]

    def positions(
        self,
        video: Video,
        iteration: int = -1,
        classes: Tensor | None = None,
        device: str = "auto",
    ) -> dict[str, Tensor]:
        """Where the supplementary branch reads, ``positions[stream]`` of shape (T,), in snippets.

        Arguments and errors are those of `cas`; empty with one branch.
        """
        return self._look_at(video, iteration, classes, device)[1][0]

    def predict(
        self,
        videos: Iterable[Video],
        iteration: int = -1,
        device: str = "auto",
        progress: bool = False,
    ) -> list[Detection]:
        """Detections of all videos, at full length (Sec. III-E).

        Labels and borders of a video do not depend on the other videos or on their order, and
        scores do so by rounding alone (1e-6).

        Raises:
            ValueError: see `cas`; also a video given twice, or whose times (`snippet_seconds`,
                `offset_seconds`, `duration`) make no sense.
        """
        videos = list(videos)
        for v in videos:
            require_times(v.id, v.snippet_seconds, v.duration, v.offset_seconds)
        looked = self.all_cas(videos, iteration, device=device, progress=progress)
        return self.cut((video, fuse(cas, self.config.beta)) for video, cas in looked)

    def cut(self, fused: Iterable[tuple[Video, Tensor]]) -> list[Detection]:
        """Detections of videos, each with its fused CAS (T, C), as `predict` finds them."""
        c, detections = self.config, []
        for video, cas in fused:
            detections += localize(
                cas,
                video.snippet_seconds,
                video=video.id,
                classes=self.classes,
                duration=video.duration,
                class_threshold=c.class_threshold,
                threshold_factor=c.threshold_factor,
                threshold_scope=c.threshold_scope,
                topk=c.topk,
                score=c.score,
                offset_seconds=video.offset_seconds,
            )
        return detections

    def all_cas(
        self,
        videos: Iterable[Video],
        iteration: int = -1,
        known: bool = False,
        device: str = "auto",
        progress: bool = False,
    ) -> Iterator[tuple[Video, dict[str, dict[str, Tensor]]]]:
        """Every video with its `cas`, many at a time; errors are those of `cas`, and no video may
        be given twice.

        Args:
            videos: with every stream the run was trained on.
            iteration: 0 is phase zero, -1 the last.
            known: the true labels steer the sampler, as in training; all must be known classes.
            device: "auto" or a torch device.
            progress: show a progress bar on standard error.
        """
        videos, models = list(videos), self._models(iteration, device)
        require_distinct(videos)
        # where rounding alone decides which side of a jump is sampled, videos must not share sums
        size = 1 if self.config.sampler == "erase" or self.config.positions == "bins" else CHUNK
        chunks = (videos[start : start + size] for start in range(0, len(videos), size))
        with tqdm(total=len(videos), disable=not progress, unit="video") as bar:
            for stores in ahead(self._stores(chunk, device) for chunk in chunks):
                chunk = next(iter(stores.values())).videos
                classes = torch.from_numpy(label_flags(chunk, self.classes)) if known else None
                yield from zip(chunk, self._look(stores, models, classes)[0], strict=True)
                bar.update(len(chunk))

    def _stores(self, videos: list[Video], device: str) -> dict[str, Store]:
        """The features of each stream."""
        # no label of a test video is looked at otherwise
        oracle = self.config.test_classes == "oracle"
        labels = np.zeros((len(videos), len(self.classes)), np.float32)
        labels = label_flags(videos, self.classes) if oracle else labels
        require_streams(videos, self.states[0])
        stores = {}
        for stream, branches in self.states[0].items():
            for video in videos:
                self._check(video, stream, branches["base"]["weight1"].shape[1])
            stores[stream] = Store(videos, stream, labels, pick_device(device))
        return stores

    def _models(self, iteration: int, device: str) -> dict[str, dict[str, Branches]]:
        """Both branches of each stream."""
        return {
            stream: {b: Branches(state).to(pick_device(device)) for b, state in branches.items()}
            for stream, branches in self.states[iteration].items()
        }

    def _look_at(
        self, video: Video, iteration: int, classes: Tensor | None, device: str
    ) -> tuple[list[dict], list[dict]]:
        models = self._models(iteration, device)
        return self._look(self._stores([video], device), models, classes)

    @own_settings()
    def _look(
        self,
        stores: dict[str, Store],
        models: dict[str, dict[str, Branches]],
        classes: Tensor | None,
    ) -> tuple[list[dict], list[dict]]:
        """CAS and positions of each video; `classes` (C,) or (B, C) steer the sampler."""
        videos = next(iter(stores.values())).videos
        cas, positions = [{} for _ in videos], [{} for _ in videos]
        for stream, store in stores.items():
            base, supp = (models[stream].get(branch) for branch in ("base", "supp"))
            batch = store.batch(np.arange(len(videos)))
            sizes = batch.sizes.tolist()
            cas_logits, video_logits = heads(base(read(batch))[1], self.config)
            seen = activate(cas_logits, self.config)
            self._require_finite(seen, batch, store, models[stream])
            for place, values in enumerate(seen[0].cpu().split(sizes)):
                cas[place][stream] = {"base": values}
            if supp is None:
                continue
            batch = replace(batch, labels=self._steering_classes(video_logits, batch, classes))
            where = self._positions(seen, batch, stream, videos)
            again = supp_cas(supp, batch, where, self.config)
            self._require_finite(again, batch, store, models[stream])
            for place, values in enumerate(again[0].cpu().split(sizes)):
                cas[place][stream]["supp"] = values
            for place, values in enumerate(where[0].cpu().split(sizes)):
                positions[place][stream] = values
        return cas, positions

    def _positions(self, cas: Tensor, batch: Batch, stream: str, videos: Sequence[Video]) -> Tensor:
        """Where the supplementary branch reads, packed (1, N). Each video has its own chances."""
        noise, drawn = [], []
        for video, size, labels in zip(videos, batch.sizes.tolist(), batch.labels, strict=True):
            chance = torch_generator(self.seed, "sampler", stream, video.id)
            noise.append(torch.rand(size, generator=chance, dtype=torch.float32, device="cpu"))
            drawn.append(one_class(labels, chance))
        noise = torch.cat(noise).to(cas.device)
        return plan_positions([self.config], cas, batch, noise, torch.stack(drawn))

    def _check(self, video: Video, stream: str, width: int) -> None:
        own = feature_shape(video, stream)[1]
        if own != width:
            raise ValueError(
                f"video {video.id}: {stream} features are {own} wide, but the run was trained on "
                f"width {width}"
            )

    def _require_finite(
        self, cas: Tensor, batch: Batch, store: Store, branches: dict[str, Branches]
    ) -> None:
        """What is not finite in one video would change where the sampler reads others."""
        if cas.isfinite().all():
            return
        if not all(p.isfinite().all() for branch in branches.values() for p in branch.parameters()):
            raise ValueError(f"the run's {store.stream} weights are not finite; train it again")
        row = int((~cas.isfinite()).any(-1).any(0).nonzero()[0])
        raise ValueError(
            f"video {store.videos[int(batch.video[row])].id}: its {store.stream} features are so "
            "large that its CAS is not finite; scale them as those the run was trained on"
        )

    def _steering_classes(self, logits: Tensor, batch: Batch, classes: Tensor | None) -> Tensor:
        """Flags (B, C) of the classes whose CAS steers the sampler; no labels at test time.

        Args:
            logits: of the base branch's video-level head, packed (1, N, K).
            batch: its labels are the true ones.
            classes: the flags themselves, where they are given.
        """
        how, labels = self.config.test_classes, batch.labels
        if classes is not None:
            flags = torch.as_tensor(classes, device=labels.device, dtype=labels.dtype)
            if flags.shape not in (labels.shape, labels.shape[1:]):
                raise ValueError(
                    f"classes have shape {tuple(flags.shape)}; expected one flag for each of "
                    f"{len(self.classes)} classes"
                )
            return flags.expand_as(labels)
        if how == "oracle":
            return labels
        if how == "all":
            return torch.ones_like(labels)
        scores = probabilities(topk_mean(logits, batch, self.config.topk), self.config)
        threshold = torch.inf if how == "argmax" else self.config.class_threshold
        return at_least_one(scores[0, :, : len(self.classes)], threshold).to(labels.dtype)

    def save(self, folder: str | Path) -> None:
        """Write ``run.json`` and ``run.safetensors`` into a folder, made if missing.

        Raises:
            OSError: they cannot be written; on a full disk, a run that was there stays.
        """
        about = {"classes": self.classes, "seed": self.seed, "history": self.history}
        write_run(Path(folder), self.config, about, self.states)

    @classmethod
    def load(cls, folder: str | Path) -> Run:
        """Read what `save` wrote. No pickle is involved.

        Raises:
            FileNotFoundError: a file is missing.
            ValueError: the files are of another format, damaged, or not of one run.
        """
        config, about, states = read_run(Path(folder))
        run = cls(config, about["classes"], about["seed"])
        run.history, run.states = about["history"], states
        return run
