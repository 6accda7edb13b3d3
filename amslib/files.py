"""Files that are whole or not there, whenever the disk fills up or the process dies."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def write_whole(files: Mapping[Path, bytes | memoryview]) -> None:
    """Write files that belong together; they get their names once all are on the disk.

    Folders are made if missing. Older files of these names stay if the new ones cannot be written.
    While several are replaced, all but the first are away: a reader finds the old ones, the new
    ones, or one missing, and never a mixture.

    Raises:
        OSError: a file cannot be written; it is named, with the reason and what to do. Of the
            reason's own class and `errno`.
    """
    parts = {file: file.with_name(f".{uuid.uuid4().hex}") for file in files}
    try:
        for file, part in parts.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            with part.open("xb") as scratch:
                scratch.write(files[file])
                scratch.flush()
                os.fsync(scratch.fileno())
        for file in list(files)[1:]:
            file.unlink(missing_ok=True)
        for file, part in parts.items():
            part.replace(file)
    except OSError as reason:
        raise _told(file, reason) from reason
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


def _told(file: Path, reason: OSError) -> OSError:
    mend = "Make room on the disk, or name a folder that can be written to"
    error = type(reason)(f"{file}: cannot be written ({reason.strerror or reason}). {mend}")
    error.errno = reason.errno
    return error
