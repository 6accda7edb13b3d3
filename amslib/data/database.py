"""The json files ``{"database": {video: {"subset", "annotations", ..}}}`` of ActivityNet's form."""

from __future__ import annotations

from pathlib import Path

from .annotated import Annotations, in_order, instances, read_json
from .findings import DataError, Finding, error
from .values import class_names, finite, nfc, shown
from .video import Video

AMBIGUOUS = "Ambiguous"  # a label of no class: intervals some protocols leave out


def read_database(file: Path) -> Annotations:
    """Every video of ActivityNet's, ActionFormer's or BaS-Net's json; classes sorted by name.

    Times may be strings, a duration may be absent, and so may the annotations of a whole subset,
    which is withheld; where there are no instances, ``"labels"`` are the labels of the video.

    Raises:
        DataError: the file is not json, has a key twice, or has no such database.
    """
    try:
        entries = [(nfc(name), entry) for name, entry in read_json(file)["database"].items()]
    except (KeyError, TypeError, AttributeError):
        message = 'no json of the form {"database": {video: ..}}'
        raise DataError(error("json", file, message, "Give an annotation file")) from None
    videos, subsets, findings = [], [], []
    for name, entry in entries:
        try:
            video, subset, found = _video(name, entry, file)
        except ValueError as reason:
            message, mend = reason.args
            message = f"an entry that cannot be read: {message}"
            findings.append(error("entry", file, message, mend, name))
            continue
        videos.append(video)
        subsets.append(subset)
        findings += found
    findings += _without_annotations(entries, videos, subsets, file)
    classes = tuple(sorted({name for v in videos for name in v.labels}))
    return Annotations(videos, subsets, classes, findings)


def _video(name, entry, file) -> tuple[Video, str, list[Finding]]:
    """A video, its subset, and what is wrong with its instances.

    Raises:
        ValueError: of the message and the mend, the entry cannot be read.
    """
    if not isinstance(entry, dict) or not isinstance(entry.get("subset"), str):
        raise ValueError(f"no subset in {shown(entry)}", 'Give it "subset" and "annotations"')
    listed = entry.get("annotations", [])
    if not isinstance(listed, list) or not all(isinstance(a, dict) for a in listed):
        mend = 'Write "annotations": [{"segment": [start, end], "label": name}, ..]'
        raise ValueError(f'"annotations" is {shown(listed)}', mend)
    for k, row in enumerate(listed):
        if not row.keys() >= {"segment", "label"}:
            mend = 'Write {"segment": [start, end], "label": name}'
            raise ValueError(f"annotation {k} (the first is 0) is {shown(row)}", mend)
    times, labels = ([row[key] for row in listed] for key in ("segment", "label"))
    rows, found = instances(name, file, times, labels)
    segments = tuple(row for row in rows if row[2] != AMBIGUOUS)
    try:
        of_video = class_names(entry.get("labels", []))
    except ValueError as reason:
        raise ValueError(f'"labels": {reason}', "Name the classes of the video") from None
    try:
        duration = finite(entry["duration"]) if "duration" in entry else None
    except ValueError:
        message = f"its duration is {shown(entry['duration'])}, not a number of seconds"
        raise ValueError(message, "Correct it, or leave it out if it is unknown") from None
    video = Video(
        name,
        labels=in_order((row[2] for row in segments) if listed else of_video, ()),
        segments=segments,
        ambiguous=tuple(row[:2] for row in rows if row[2] == AMBIGUOUS),
        duration=duration,
        metadata={key: entry[key] for key in ("fps", "frame") if key in entry},
    )
    return video, entry["subset"], found


def _without_annotations(entries, videos, subsets, file) -> list[Finding]:
    """Videos without "annotations" in subsets where others have them; else they are withheld."""
    of = {video.id: subset for video, subset in zip(videos, subsets, strict=True)}
    bare = {name for name, entry in entries if name in of and not _is_annotated(entry)}
    annotated = {subset for name, subset in of.items() if name not in bare}
    mend = 'Give it "annotations", [] if it has no instance'
    return [
        error("entry", file, 'neither "annotations" nor "labels"', mend, name)
        for name in of
        if name in bare and of[name] in annotated
    ]


def _is_annotated(entry) -> bool:
    return not entry.keys().isdisjoint(("annotations", "labels"))
