"""Where training stands, on disk: one file that is whole or not there, and the one before it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .method import method_fingerprint
from .parameters import brief, clip

FORMAT = 1
SHOWN = 5  # differences that are named
NOW, BEFORE = "now.safetensors", "before.safetensors"


class CheckpointWarning(UserWarning):
    """A checkpoint could not be read or written; training goes on without it."""


class Checkpoint:
    """A folder that holds the last two checkpoints of one piece of work.

    A file is written in a folder of its own first, so a process may die at any moment; the next
    `save` removes what is left of it. Let one process train in a folder: of two, each may remove
    what the other is writing, whose `save` then fails. What bears a final name is whole even so.

    Tensors are safetensors, all else is JSON in the file's header: reading one executes nothing.

    Args:
        folder: made when the first checkpoint is written.
        work: plain data that says what is trained; a checkpoint of other work, or of other code
            of the method, is refused.
    """

    def __init__(self, folder: str | Path, work: dict):
        work = {"method": method_fingerprint(), **work}
        self.folder, self.work = Path(folder), json.loads(json.dumps(work))

    def load(self) -> tuple[dict[str, Tensor], dict] | None:
        """The last good checkpoint; None if there is none yet.

        What is damaged, or of other work, is refused with a warning, and the one before is used.

        Raises:
            ValueError: there are checkpoints, but none is good.
        """
        refused: dict[str, Path] = {}  # the first file by what is wrong with it
        for path in (self.folder / NOW, self.folder / BEFORE):
            if not path.is_file():
                continue
            try:
                found = self._read(path)
            except ValueError as error:
                refused.setdefault(str(error), path)
                continue
            for text, bad in refused.items():
                text = f"{bad}: {text}; going on from {path}"
                warnings.warn(text, CheckpointWarning, stacklevel=3)
            return found
        if refused:
            told = "; ".join(f"{path}: {text}" for text, path in refused.items())
            raise ValueError(f"{told}. Name another folder, or delete this one to start anew")
        return None

    def _read(self, path: Path) -> tuple[dict[str, Tensor], dict]:
        try:
            with safe_open(path, "pt") as file:
                header = file.metadata() or {}
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            about = json.loads(header["about"])
            kind, work, state = about["format"], dict(about["work"]), about["state"]
            damaged = header["digest"] != _digest(tensors, header["about"])
        except (SafetensorError, OSError, KeyError, ValueError, TypeError, RecursionError) as error:
            raise ValueError(f"not a readable checkpoint ({clip(repr(error))})") from error
        if damaged:
            raise ValueError("damaged, its content is not what was written")
        if kind != FORMAT or work != self.work:
            raise ValueError(f"a checkpoint of other work ({self._difference(kind, work)})")
        return tensors, state

    def _difference(self, kind: int, theirs: dict) -> str:
        if kind != FORMAT:
            return f"format {kind}, expected {FORMAT}"
        return _apart(theirs, self.work)

    def save(self, tensors: dict[str, Tensor], state: dict) -> None:
        """Write a checkpoint; the one there becomes the one before.

        Raises:
            OSError: it cannot be written; the last one that was there stays.
        """
        about = json.dumps({"format": FORMAT, "work": self.work, "state": state})
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for left in self.folder.glob(f"{NOW}.*"):
                shutil.rmtree(left, ignore_errors=True)
            with TemporaryDirectory(prefix=f"{NOW}.", dir=self.folder) as scratch:
                part = Path(scratch, NOW)
                save_file(tensors, part, {"about": about, "digest": _digest(tensors, about)})
                with part.open("rb") as file:
                    os.fsync(file.fileno())
                with suppress(FileNotFoundError):
                    os.replace(self.folder / NOW, self.folder / BEFORE)
                os.replace(part, self.folder / NOW)
        except (OSError, SafetensorError) as error:
            raise OSError(f"{self.folder}: no checkpoint could be written ({error})") from error


def _apart(there: dict, asked: dict) -> str:
    """In which entries two pieces of work differ; of configs, in which fields of which one."""
    told = []
    for key in dict.fromkeys([*asked, *there]):
        one, other = there.get(key), asked.get(key)
        if one == other:
            continue
        if key == "configs" and isinstance(one, list) and isinstance(other, list):
            told.append(_configs_apart(one, other))
        else:
            told.append(f"{key} was {brief(one)}, now {brief(other)}")
    return "; ".join(told[:SHOWN] + ["and more"] * (len(told) > SHOWN))


def _configs_apart(there: list, asked: list) -> str:
    if len(there) != len(asked):
        return f"{len(there)} configs were trained, now {len(asked)}"
    unlike = [i for i, (one, other) in enumerate(zip(there, asked, strict=True)) if one != other]
    first = unlike[0]
    name = "configs" if len(asked) == 1 else f"config {first}"
    more = f", and {len(unlike) - 1} more configs differ" if len(unlike) > 1 else ""
    return f"{name}: {_apart(dict(there[first]), dict(asked[first]))}{more}"


def _digest(tensors: dict[str, Tensor], about: str) -> str:
    digest = hashlib.sha256(about.encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].contiguous().numpy())
    return digest.hexdigest()
