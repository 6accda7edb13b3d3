"""The json files ``{"database": {video: {"subset", "annotations", ..}}}`` of ActivityNet's form."""

from __future__ import annotations

from pathlib import Path

from .annotated import Annotations, finite, in_order, instances, names_of, read_json
from .findings import DataError, error
from .video import Video

AMBIGUOUS = "Ambiguous"  # a label of no class: intervals some protocols leave out


def read_database(file: Path) -> Annotations:
    """Every video of ActivityNet's, ActionFormer's or BaS-Net's json; classes sorted by name.

    Times may be strings, a duration may be absent; where there are no instances, ``"labels"`` are
    the labels of the video.

    Raises:
        DataError: the file is not json or has no such database.
    """
    try:
        entries = list(read_json(file)["database"].items())
    except (KeyError, TypeError, AttributeError) as reason:
        message = f'no json of the form {{"database": {{video: ..}}}} ({reason!r})'
        raise DataError(error("json", file, message, "Give an annotation file")) from None
    videos, subsets, findings = [], [], []
    for name, entry in entries:
        try:
            video, subset, found = _video(name, entry, file)
        except (KeyError, TypeError, ValueError, AttributeError) as reason:
            message = f"an entry that cannot be read ({reason!r})"
            mend = 'Give it "subset" and "annotations" with "segment" and "label"'
            findings.append(error("entry", file, message, mend, name))
            continue
        videos.append(video)
        subsets.append(subset)
        findings += found
    classes = tuple(sorted({name for v in videos for name in v.labels}))
    return Annotations(videos, subsets, classes, findings)


def _video(name, entry, file):
    listed = entry.get("annotations", []) if "labels" in entry else entry["annotations"]
    times = [a["segment"] for a in listed]
    labels = [str(a["label"]) for a in listed]
    rows, found = instances(name, file, times, labels)
    segments = tuple(row for row in rows if row[2] != AMBIGUOUS)
    given = names_of(entry.get("labels", []))
    video = Video(
        name,
        labels=in_order((row[2] for row in segments) if listed else given, ()),
        segments=segments,
        ambiguous=tuple(row[:2] for row in rows if row[2] == AMBIGUOUS),
        duration=finite(entry["duration"]) if "duration" in entry else None,
        metadata={key: entry[key] for key in ("fps", "frame") if key in entry},
    )
    return video, str(entry["subset"]).lower(), found
