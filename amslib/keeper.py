"""Keeps training from being lost: what is finished, where it stands, and when to save both."""

from __future__ import annotations

import signal
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor

from .checkpoint import Checkpoint, CheckpointWarning
from .parameters import clip
from .phases import StreamTrainer

SHARE = 20  # training takes at least this many times as long as saving


class StoppedError(RuntimeError):
    """Training was told to stop, and did after saving where it stands.

    Args:
        told: what happened.
        number: of the signal.
    """

    def __init__(self, told: str, number: int = signal.SIGINT):
        super().__init__(told)
        self.number = number


@dataclass(frozen=True)
class Done:
    """What one iteration of one batched model left behind.

    `members` are indices of the configs of the `group`; states (members, ...) by branch and
    parameter, losses (members, epochs, 3) by branch, all on the CPU.
    """

    stream: str
    group: int
    iteration: int
    members: list[int]
    states: dict[str, dict[str, Tensor]]
    losses: dict[str, Tensor]


class Keeper:
    """Goes on from a checkpoint, and writes one now and then, before an error, at a signal and at
    the end: the same training then has nothing left to do.

    In the main thread, SIGINT (Ctrl-C) and SIGTERM end training after the step at hand. A second
    one acts as it would otherwise.

    Args:
        checkpoint: None keeps nothing on disk and leaves signals alone.
        seconds: between two checkpoints.
    """

    def __init__(self, checkpoint: Checkpoint | None, seconds: float):
        self.checkpoint, self.seconds = checkpoint, seconds
        self.done: list[Done] = []
        self.steps = 0  # of all models
        self.place: tuple[str, int] | None = None  # stream and group that train
        self.resumed: tuple[tuple[str, int] | None, dict, dict] | None = None
        self.epoch_start: tuple[dict, dict] | None = None
        self.signal: int | None = None
        self.handlers: dict = {}
        self.due = time.monotonic() + seconds

    def __enter__(self) -> Keeper:
        if self.checkpoint is None:
            return self
        found = self.checkpoint.load()
        if found:
            with self._readable():
                self._take_over(*found)
        if threading.current_thread() is threading.main_thread():
            heeded = (signal.SIGINT, signal.SIGTERM)
            # what is ignored, as Ctrl-C in the background of a script, stays so
            for number in (n for n in heeded if signal.getsignal(n) != signal.SIG_IGN):
                self.handlers[number] = signal.signal(number, self._told)
        return self

    def __exit__(self, kind, error, trace) -> None:
        if kind is None and self.checkpoint is not None and self.place is not None:
            self.place = None
            try:
                self.checkpoint.save(*self._state())
            except OSError as reason:
                text = f"{reason}; the run itself is complete"
                warnings.warn(text, CheckpointWarning, stacklevel=3)
        self._restore_handlers()
        if kind is FloatingPointError and self.checkpoint is not None:
            error.add_note(self._keep_epoch_start())

    def _keep_epoch_start(self) -> str:
        """Save the state before an error, and tell how to meet it again."""
        folder = self.checkpoint.folder
        again = (
            f"The same call goes on from the last checkpoint in {folder}, or from the start if "
            "there is none, into the same step"
        )
        if self.epoch_start is None:
            return again
        try:
            self.checkpoint.save(*self.epoch_start)
        except OSError as error:
            return f"{error}. {again}"
        return (
            f"The state at the start of this epoch is saved in {folder}: the same call goes on "
            "from there, into the same step"
        )

    def _told(self, number: int, frame) -> None:
        self.signal = number
        self._restore_handlers()

    def _restore_handlers(self) -> None:
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.handlers = {}

    def begin(self, stream: str, group: int, trainer: StreamTrainer) -> None:
        """A model starts to train, or goes on where the checkpoint left it."""
        self.place = stream, group
        if self.resumed and self.resumed[0] == self.place:
            with self._readable():
                trainer.restore(*self.resumed[1:])
            self.resumed = None

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """What a checkpoint of the right work holds may still not be what training left."""
        try:
            yield
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                f"{self.checkpoint.folder}: training cannot go on from this checkpoint "
                f"({clip(repr(error))}). Name another folder, or delete this one to start anew"
            ) from error

    def finished(self, stream: str, group: int) -> bool:
        """Whether the checkpoint stands behind this model. Models train in a fixed order."""
        return self.resumed is not None and self.resumed[0] != (stream, group)

    def after_step(self, trainer: StreamTrainer) -> None:
        """Save if it is time to."""
        self.steps += 1
        if self.checkpoint is None:
            return
        if trainer.step % trainer.common.steps_per_epoch == 0:
            self.epoch_start = self._state(trainer)
        if self.signal is not None:
            self._save(trainer)
            raise StoppedError(
                f"stopped after step {self.steps}; saved in {self.checkpoint.folder}. The same "
                "command goes on from there",
                self.signal,
            )
        if time.monotonic() >= self.due:
            began = time.monotonic()
            try:
                self._save(trainer)
            except OSError as error:
                text = f"{error}; training goes on, and tries again"
                warnings.warn(text, CheckpointWarning, stacklevel=2)
            now = time.monotonic()
            self.due = now + max(self.seconds, SHARE * (now - began))

    def _save(self, trainer: StreamTrainer) -> None:
        trainer.check()
        self.checkpoint.save(*self._state(trainer))

    def _state(self, trainer: StreamTrainer | None = None) -> tuple[dict[str, Tensor], dict]:
        """What is finished, and where a model that trains stands."""
        tensors, about = trainer.state() if trainer else ({}, {})
        tensors = {f"trainer/{name}": p for name, p in tensors.items()}
        entries = []
        for i, one in enumerate(self.done):
            entries.append([one.stream, one.group, one.iteration, one.members])
            for branch, state in one.states.items():
                tensors |= {f"done/{i}/{branch}/{name}": p for name, p in state.items()}
            tensors |= {f"losses/{i}/{branch}": curve for branch, curve in one.losses.items()}
        told = {"place": self.place, "steps": self.steps, "done": entries, "trainer": about}
        return tensors, told

    def _take_over(self, tensors: dict[str, Tensor], told: dict) -> None:
        kept: list[tuple[dict, dict]] = [({}, {}) for _ in told["done"]]
        trainer = {}
        for key, p in tensors.items():
            kind, *rest = key.split("/")
            if kind == "trainer":
                trainer[key.partition("/")[2]] = p
            elif kind == "done":
                kept[int(rest[0])][0].setdefault(rest[1], {})[rest[2]] = p
            else:
                kept[int(rest[0])][1][rest[1]] = p
        self.done = [Done(*entry, *both) for entry, both in zip(told["done"], kept, strict=True)]
        self.steps = told["steps"]
        place = tuple(told["place"]) if told["place"] else None  # None: all have been trained
        self.resumed = place, trainer, told["trainer"]
