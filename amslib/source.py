"""What a run was trained on and how that was read: ``data.json``, written by ``train --out``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .data import Dataset
from .data.folder import BUILT_IN, open_options
from .files import write_whole
from .method import method_fingerprint
from .parameters import brief, clip
from .saved import DATA


@dataclass(frozen=True)
class Source:
    """The data of a run, and what tells whether other data are the same or are read alike.

    Args:
        data: name of a generated data set, or the absolute path of a folder.
        options: of `load`.
        fingerprint: of the data set.
        seconds: from one snippet to the next in all training videos; None where that varies.
        videos: names of the training videos.
        method: fingerprint of the code that trained.
    """

    data: str
    options: dict
    fingerprint: str
    seconds: float | None = None
    videos: list[str] = field(default_factory=list)
    method: str | None = None

    @classmethod
    def of(cls, data: str, options: dict, dataset: Dataset) -> Source:
        """The source of what is trained now."""
        return cls(
            data if data in BUILT_IN else str(Path(data).expanduser().resolve()),
            options,
            dataset.identity,
            snippet_seconds(dataset.train),
            [video.id for video in dataset.train],
            method_fingerprint(),
        )

    @classmethod
    def read(cls, run: Path) -> Source:
        """The source of a finished run.

        Raises:
            FileNotFoundError: there is none: the run was saved from Python, or is not finished.
            ValueError: it cannot be read.
        """
        file = run / DATA
        if not file.is_file():
            raise FileNotFoundError(f"{file}: no such file")
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            source = cls(**content)
            kinds = (source.data, str), (source.options, dict), (source.fingerprint, str)
            kinds += (source.seconds, float | int | None), (source.method, str | None)
            if not all(isinstance(value, kind) for value, kind in kinds):
                raise ValueError("an entry of another kind")
            source.videos[:] = map(str, source.videos)
        except (OSError, ValueError, TypeError, RecursionError) as reason:
            raise ValueError(f"{file}: cannot be read ({clip(reason)})") from reason
        return source

    def write(self, run: Path) -> None:
        """Write it beside a run.

        Raises:
            OSError: see `files.write_whole`.
        """
        text = json.dumps(asdict(self), indent=1)
        write_whole({run / DATA: f"{text}\n".encode()})

    def options_for(self, data: str) -> dict:
        """The options that read other data as those of training were: all that its layout takes
        and the folder does not state.

        Raises:
            DataError: there are no data of that name.
        """
        known = self.options if self.seconds is None else {"snippet_seconds": self.seconds}
        taken = open_options(data)
        return {key: value for key, value in (known | self.options).items() if key in taken}

    def differences(self, asked: Source) -> list[str]:
        """In what the source of another training differs, in words; [] if the data are the same."""
        told = []
        if self.fingerprint != asked.fingerprint:
            keys = dict.fromkeys([*self.options, *asked.options])
            pairs = {"data": (self.data, asked.data)}
            pairs |= {
                key: (_passed(self.options, key), _passed(asked.options, key)) for key in keys
            }
            told += differing(pairs) or [f"the data in {self.data} have changed since"]
        if self.method not in (None, asked.method):
            told.append("it was trained by another version of the method's code")
        return told


def differing(pairs: dict[str, tuple]) -> list[str]:
    """``name was one, now other`` of each pair that differs."""
    return [f"{k} was {brief(a)}, now {brief(b)}" for k, (a, b) in pairs.items() if a != b]


def _passed(options: dict, key: str):
    return options.get(key, "the default")


def snippet_seconds(videos) -> float | None:
    """Seconds from one snippet to the next, if they are the same in all videos."""
    steps = {float(video.snippet_seconds) for video in videos}
    return steps.pop() if len(steps) == 1 else None
