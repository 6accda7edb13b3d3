"""ACM-Net's and ASM-Loc's layout: one file of both streams for each video.

As BaS-Net's (``gt.json`` and ``split_{train,test}.txt``), but the features are
``{train,test}/<video>.npy`` of shape (T, 2 D), rgb before flow.
"""

from __future__ import annotations

from pathlib import Path

from .basnet import SPLIT, scan_split
from .features import STREAMS, open_halves
from .layout import Layout, Scan
from .video import SNIPPET_SECONDS


def scan(folder: Path, *, snippet_seconds=SNIPPET_SECONDS, stream_order=STREAMS) -> Scan:
    """The data set of a folder, from annotations and the headers of the feature files.

    Args:
        folder: holds the files above.
        snippet_seconds: seconds from one snippet to the next.
        stream_order: stream of the first and of the second half of the columns.

    Raises:
        DataError: a file is missing or cannot be read.
    """

    def open_video(part, video, mend):
        return open_halves(folder / part / f"{video}.npy", stream_order, video, mend)

    return scan_split(folder, snippet_seconds, open_video)


LAYOUT = Layout("ACM-Net, ASM-Loc", (*SPLIT, "train/*.npy", "test/*.npy"), scan)
