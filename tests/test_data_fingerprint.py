"""Whatever decides a number changes the fingerprint of a data set on disk."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from data_folders import LENGTHS, objects, read_database, write_basnet, write_database, write_wtalc
from test_data_formats import (
    rewrite,
    small_database,
    write_acmnet,
    write_actionformer,
    write_cmcs,
)
from test_data_own import write_own
from typer.testing import CliRunner

from amslib import load
from amslib.cli import app
from amslib.data import DataError, contents, convert

pytestmark = pytest.mark.slow

WIDE = 4000  # features: rows lie far from the beginning, the middle and the end of a file


def write_wide(folder: Path) -> Path:
    return write_own(folder, width=WIDE)


def write_wide_joint(folder: Path) -> Path:
    arrays = [np.full((t, 2 * WIDE), 0.5, np.float32) for t in LENGTHS.values()]
    return write_wtalc(folder, joint=objects(arrays))


def flip(file: Path, at: float) -> None:
    """One bit of one byte, size and time of change as they were."""
    before = file.stat()
    content = bytearray(file.read_bytes())
    content[int(at * len(content))] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("write", [write_wide, write_wide_joint])
@pytest.mark.parametrize("at", [0.2, 0.31, 0.77])
def test_every_byte_counts(tmp_path, write, at):
    folder = write(tmp_path)
    step = 0.64 if write is write_wide_joint else 0.5
    before = load(folder, snippet_seconds=step).fingerprint
    file = max(folder.rglob("*.npy"), key=lambda path: path.stat().st_size)
    flip(file, at)
    assert load(folder, snippet_seconds=step).fingerprint != before
    flip(file, at)
    assert load(folder, snippet_seconds=step).fingerprint == before


@pytest.fixture
def hashed(monkeypatch) -> list[str]:
    """Names of the files whose bytes are read for the fingerprint."""
    names, real = [], hashlib.file_digest

    def file_digest(file, kind):
        names.append(Path(file.name).name)
        return real(file, kind)

    monkeypatch.setattr(hashlib, "file_digest", file_digest)
    return names


def test_a_file_is_read_again_only_if_it_may_have_changed(tmp_path, hashed, monkeypatch):
    folder = write_own(tmp_path)
    monkeypatch.setattr(contents, "SETTLED", 10**18)  # all files are young
    before = [load(folder, snippet_seconds=0.5).fingerprint for _ in range(2)]
    assert len(hashed) == 6
    monkeypatch.setattr(contents, "SETTLED", -(10**18))  # none is
    before += [load(folder, snippet_seconds=0.5).fingerprint for _ in range(3)]
    assert len(hashed) == 9 and len(set(before)) == 1
    flip(folder / "features" / "video_b.npy", 0.9)
    assert load(folder, snippet_seconds=0.5).fingerprint not in before
    assert hashed[9:] == ["video_b.npy"]


@pytest.mark.parametrize(
    "write, options, files",
    [
        (write_acmnet, {}, 3),
        (write_wtalc, {}, 1),
        (write_actionformer, {}, 3),
        (write_cmcs, {"fps": 5, "every": 1}, 6),
    ],
)
def test_streams_that_share_a_file_share_its_hash(tmp_path, hashed, write, options, files):
    load(write(tmp_path / "data"), **options)
    assert len(hashed) == len(set(hashed)) == files


def test_a_file_that_can_no_longer_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.npy: .*No such file"):
        contents.digests([tmp_path / "gone.npy"])


FLOW_FIRST = {"stream_order": ("flow", "rgb")}


@pytest.mark.parametrize(
    "write, options, other",
    [
        (write_wtalc, {}, FLOW_FIRST),
        (write_acmnet, {}, FLOW_FIRST),
        (write_actionformer, {}, FLOW_FIRST),
        (write_actionformer, {}, {"window": 18}),  # the offset alone
        (write_cmcs, {"fps": 5, "every": 1}, {"fps": 5.01, "every": 1}),
        (write_wtalc, {}, {"snippet_seconds": 0.641}),
        (write_basnet, {}, {"snippet_seconds": 0.641}),
    ],
)
def test_how_features_are_read_counts(tmp_path, write, options, other):
    folder = write(tmp_path / "data")
    assert load(folder, **options).fingerprint != load(folder, **(options | other)).fingerprint


def test_which_row_of_a_joint_file_is_whose_counts(tmp_path):
    """Training videos a and b, test video c: the rows of b and c are taken for each other's."""
    marks = []
    for name, order in (("one", [0, 1, 2]), ("two", [0, 2, 1])):
        same = {"joint": objects([np.ones((20, 16), np.float32) * k for k in (1, 2, 3)])}
        columns = {
            "videoname": np.array(["a", "b", "c"], "S")[order],
            "subset": np.array(["validation", "validation", "test"], "S")[order],
            "labels": objects([objects([["Jump"], ["Dive"], ["Jump"]])[k] for k in order]),
            "segments": objects([objects([[[0, 1]], [[1, 2]], [[2, 3]]])[k] for k in order]),
            "labels_all": None,
            "duration": np.full((3, 1), 12.8),
        }
        dataset = load(write_wtalc(tmp_path / name, **columns, **same))
        assert [v.id for v in (*dataset.train, *dataset.test)] == ["a", "b", "c"]
        marks.append(dataset.fingerprint)
    assert marks[0] != marks[1]


def test_annotations_count(tmp_path):
    folder = write_actionformer(tmp_path)
    marks = [load(folder).fingerprint]
    for change in (
        lambda d: d["video_a"]["annotations"][0].update(segment=[0.5, 3.01]),
        lambda d: d["video_a"]["annotations"][0].update(label="Dive"),
        lambda d: d["video_c"]["annotations"][-1].update(segment=[5.0, 6.01]),  # ambiguous
        lambda d: d["video_b"].update(duration=28.01),
        lambda d: d["video_b"].update(subset="validation"),
        lambda d: d["video_a"].update(fps=5.001),
        lambda d: d.pop("video_b"),
    ):
        database = small_database()
        change(database)
        rewrite(folder, database)
        marks.append(load(folder).fingerprint)
    assert len(set(marks)) == len(marks)


@pytest.mark.filterwarnings("ignore::amslib.data.findings.DataWarning")
def test_labels_and_their_order_count(tmp_path):
    folder = write_basnet(tmp_path / "data")
    marks = [load(folder).fingerprint]
    database = read_database(folder)
    (tmp_path / "data" / "split_train.txt").write_text("video_b\nvideo_a\n")
    marks.append(load(folder).fingerprint)
    database["video_a"]["annotations"] *= 2
    write_database(folder, database)
    marks.append(load(folder).fingerprint)
    convert(load(folder), tmp_path / "plain")
    for change in (
        lambda c: c["classes"].reverse(),
        lambda c: c["videos"]["video_a"].update(labels=["Dive"]),
        lambda c: c["videos"]["video_c"].update(offset_seconds=0.1),
        lambda c: c["videos"]["video_c"].update(snippet_seconds=0.65),
        lambda c: c["videos"]["video_c"].update(ambiguous=[[0.5, 0.75]]),
    ):
        content = json.loads((tmp_path / "plain" / "dataset.json").read_text())
        change(content)
        (tmp_path / "plain" / "dataset.json").write_text(json.dumps(content))
        marks.append(load(tmp_path / "plain").fingerprint)
    assert len(set(marks)) == len(marks)


def test_a_run_is_told_of_features_that_were_extracted_anew(tmp_path):
    folder, run = write_wide(tmp_path / "mine"), str(tmp_path / "run")
    quick = ["steps_per_epoch=1", "epochs_zero=1", "epochs=1", "iterations=0"]
    settings = [word for pair in quick for word in ("--set", pair)]
    train = ["train", "--data", str(folder), "--snippet-seconds", "0.5", "--out", run, *settings]
    assert CliRunner().invoke(app, train).exit_code == 0
    assert CliRunner().invoke(app, ["evaluate", "--run", run]).exit_code == 0
    flip(folder / "features" / "video_c.npy", 0.3)
    with pytest.warns(UserWarning, match="has changed since"):
        CliRunner().invoke(app, ["evaluate", "--run", run])
