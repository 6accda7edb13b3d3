"""Files that are whole or not there, whenever the disk fills up or the process dies."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path


def write_whole(files: Mapping[Path, bytes | memoryview], outdated: Iterable[Path] = ()) -> None:
    """Write files that belong together; folders are made if missing.

    Each is whole or not there at any time. They get their names one by one, once all are on the
    disk; until then, older files of these names stay. While they are replaced, all but the first
    are away: a process that is stopped there leaves some missing, never old ones beside new ones. A
    reader that opens one before and another after gets both, though.

    Args:
        files: content by path.
        outdated: files about the older ones, which are removed with them.

    Raises:
        OSError: a file cannot be written; it is named, with the reason and what to do. Of the
            reason's own class and `errno`.
    """
    with _on_disk(files) as parts:
        for file in (*list(files)[1:], *outdated):
            file.unlink(missing_ok=True)
        for file, part in parts.items():
            part.replace(file)


def write_once(file: Path, content: bytes) -> None:
    """Write a file, whole or not at all, unless there is one: of many writers the first counts.

    On a disk that knows no hard links, the last of those that write at the same moment.

    Raises:
        OSError: see `write_whole`.
    """
    if file.exists():
        return
    with _on_disk({file: content}) as parts:
        try:
            os.link(parts[file], file)
        except OSError:  # it is there by now, or there are no links
            if not file.exists():
                parts[file].replace(file)


@contextmanager
def _on_disk(files: Mapping[Path, bytes | memoryview]) -> Iterator[dict[Path, Path]]:
    """Where the content of each file is, to be given its name; what gets none is removed."""
    parts = {file: file.with_name(f".{uuid.uuid4().hex}") for file in files}
    try:
        for file, part in parts.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            with part.open("xb") as scratch:
                scratch.write(files[file])
                scratch.flush()
                os.fsync(scratch.fileno())
        yield parts
    except OSError as reason:
        raise _told(reason.filename2 or file, reason) from reason
    finally:
        for part in parts.values():
            with suppress(OSError):  # a folder that cannot be written to
                part.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Make a folder, and try it, before hours of training have nowhere to go.

    Raises:
        OSError: it cannot be made or written; of the reason's own class and `errno`.
    """
    trial = folder / f".{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial.write_bytes(b"?")
    except OSError as reason:
        raise _told(folder, reason) from reason
    finally:
        with suppress(OSError):
            trial.unlink()


def _told(file: Path | str, reason: OSError) -> OSError:
    mend = "Make room on the disk, or name a folder that can be written to"
    if isinstance(reason, (FileExistsError, NotADirectoryError)):
        mend = "It, or what it should lie in, is a file; name a folder"
    error = type(reason)(f"{file}: cannot be written ({reason.strerror or reason}). {mend}")
    error.errno = reason.errno
    return error
