"""How long a snippet lasts: stated, passed or assumed, and what to do where it contradicts."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from data_folders import LENGTHS, write_basnet, write_wtalc
from test_data_formats import write_acmnet, write_actionformer, write_cmcs
from test_data_own import LABELS, write_own
from typer.testing import CliRunner

from amslib import load
from amslib.cli import app
from amslib.data import DataError, DataWarning, check, convert


def untimed(folder: Path) -> Path:
    """An own folder that knows no duration."""
    write_own(folder)
    text = "\n".join(line.rpartition(",")[0] for line in LABELS.splitlines())
    (folder / "labels.csv").write_text(text + "\n")
    return folder


# What to do


def acmnet_with_durations(folder: Path) -> Path:
    write_acmnet(folder)
    database = json.loads((folder / "gt.json").read_text())["database"]
    for video, entry in database.items():
        entry["duration"] = LENGTHS[video] * 0.64
    (folder / "gt.json").write_text(json.dumps({"database": database}))
    return folder


def actionformer(folder: Path, frames: int, fps: float) -> Path:
    """Rows `frames` apart at `fps`; the json says 25 fps, the durations are right."""
    database = {
        video: {
            "subset": "test" if video == "video_c" else "training",
            "duration": (count * frames + 16 - frames) / fps,
            "fps": 25,
            "annotations": [{"segment": [0.5, 1], "label": "Jump"}],
        }
        for video, count in LENGTHS.items()
    }
    return write_actionformer(folder, database)


def cmcs(folder: Path, meta: dict) -> Path:
    """Rows 4 frames apart at 25 fps; `meta` is what meta.json says of each video."""
    write_cmcs(folder)
    durations = {v: {"duration_s": (4 * n + 12) / 25} for v, n in LENGTHS.items()}
    (folder / "meta.json").write_text(json.dumps({v: d | meta for v, d in durations.items()}))
    return folder


def cmcs_strides(folder: Path) -> Path:
    """Rows 8 frames apart, durations from the number of frames."""
    write_cmcs(folder)
    for file in folder.rglob("*.npz"):
        content = dict(np.load(file))
        frames = np.array(8 * content["feature"].shape[1] + 8)
        np.savez(file, **(content | {"frame_cnt": frames}))
    (folder / "meta.json").write_text(json.dumps({v: {"fps": 25} for v in LENGTHS}))
    return folder


EVERY = {"every": 1}
WRONG = {
    "own": (write_own, {"snippet_seconds": 1.28}, "snippet_seconds=0.5"),
    "basnet": (write_basnet, {"snippet_seconds": 0.16}, "snippet_seconds=0.64"),
    "acmnet": (acmnet_with_durations, {"snippet_seconds": 2.0}, "snippet_seconds=0.64"),
    "wtalc": (write_wtalc, {"snippet_seconds": 0.32}, "snippet_seconds=0.64"),
    "rate": (lambda f: actionformer(f, 4, 10), {}, "fps=10"),
    "stride": (lambda f: actionformer(f, 8, 25), {}, "stride=8"),
    "rate passed": (lambda f: actionformer(f, 4, 25), {"fps": 60}, "fps=25"),
    "cmcs rate": (lambda f: cmcs(f, {"fps": 50}), EVERY, "fps=25"),
    "cmcs stride": (cmcs_strides, EVERY, "stride=8"),
}


@pytest.mark.parametrize("write, options, said", WRONG.values(), ids=WRONG)
def test_what_is_advised_can_be_done_and_helps(tmp_path, write, options, said):
    folder = write(tmp_path / "data")
    found = [f for f in check(folder, **options).findings if f.problem == "duration"]
    assert len(found) == 3 and {f.mend for f in found} == {f"Pass {said}, which fits 3 of 3 videos"}
    name, number = re.match(r"Pass (\w+)=(\S+), which", found[0].mend).groups()
    advised = options | {name: float(number)}
    assert [f for f in check(folder, **advised).findings if f.problem == "duration"] == []


def test_what_is_advised_of_a_converted_folder(tmp_path):
    folder = tmp_path / "plain"
    convert(load(write_basnet(tmp_path / "data")), folder)
    file = folder / "dataset.json"
    text = file.read_text()
    file.write_text(text.replace('"snippet_seconds": 0.64', '"snippet_seconds": 1.28'))
    found = check(folder).findings
    (mend,) = {f.mend for f in found}
    number = re.fullmatch(
        r"Set snippet_seconds of the videos in dataset\.json to (\S+), which fits 3 of 3 videos",
        mend,
    ).group(1)
    assert "Pass" not in mend
    file.write_text(text.replace('"snippet_seconds": 0.64', f'"snippet_seconds": {number}'))
    assert check(folder).findings == ()


def test_options_of_other_layouts_are_advised_nowhere(tmp_path):
    for name, (write, options, _) in WRONG.items():
        folder = write(tmp_path / name)
        said = " ".join(str(f) for f in check(folder, **options).findings)
        for option in re.findall(r"Pass (\w+)=", said):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DataWarning)
                load(folder, **(options | {option: 1}))  # an unknown option is a TypeError


# What was assumed


@pytest.mark.parametrize("option", [{}, {"snippet_seconds": 0.5}])
def test_check_says_how_long_a_snippet_lasts(tmp_path, option):
    told = check(write_own(tmp_path), **option).snippets
    if option:
        assert told == "a snippet lasts 0.5 s"
    else:
        assert told.startswith("a snippet lasts 0.64 s, assumed (16 frames at 25 fps): pass snip")


def test_check_prints_it(tmp_path):
    told = CliRunner().invoke(app, ["check", str(write_basnet(tmp_path))]).stdout
    assert "\na snippet lasts 0.64 s, assumed (16 frames at 25 fps): pass snippet_seconds" in told
    told = CliRunner().invoke(app, ["check", str(write_actionformer(tmp_path / "b"))]).stdout
    assert "\na snippet lasts 0.8 s\n" in told
    told = CliRunner().invoke(app, ["check", str(tmp_path / "gt.json")]).stdout
    assert "a snippet lasts" not in told


def test_an_assumption_that_nothing_confirms_is_warned_of(tmp_path):
    folder = untimed(tmp_path)
    pattern = r"snippets are taken to last 0\.64 s \(16 frames at 25 fps\)\. No duration confirms"
    with pytest.warns(DataWarning, match=pattern):
        load(folder)
    assert [f.problem for f in check(folder).findings] == ["snippet length"]
    assert check(folder, snippet_seconds=0.64).findings == ()


def test_an_assumption_that_durations_contradict_is_warned_of(tmp_path):
    """Snippets of half a second, nothing passed."""
    with pytest.warns(DataWarning, match=r"Pass snippet_seconds=0\.5, which fits 3 of 3"):
        load(write_own(tmp_path))


# What a folder states


def test_a_folder_can_state_its_options_once(tmp_path):
    folder = untimed(tmp_path)
    (folder / "options.json").write_text('{"snippet_seconds": 0.5}')
    dataset = load(folder)
    assert {v.snippet_seconds for v in (*dataset.train, *dataset.test)} == {0.5}
    assert dataset.fingerprint == load(folder, snippet_seconds=0.5).fingerprint
    report = check(folder)
    assert report.findings == () and report.snippets == "a snippet lasts 0.5 s"
    assert load(folder, snippet_seconds=0.4).train[0].snippet_seconds == 0.4


def test_any_layout_can(tmp_path):
    folder = write_wtalc(tmp_path)
    one = load(folder).train[0].features["rgb"]
    (folder / "options.json").write_text('{"stream_order": ["flow", "rgb"]}')
    np.testing.assert_array_equal(load(folder).train[0].features["flow"], one)


@pytest.mark.parametrize(
    "text, said",
    [
        ("{", "no json file"),
        ("0.5", "0.5 where {option: value} was expected"),
        ('{"step": 0.5}', "unknown option step for .*options.json: .* takes snippet_seconds"),
        ('{"snippet_seconds": "0.5"}', "snippet_seconds is '0.5'; it must be a positive number"),
        ('{"snippet_seconds": true}', "snippet_seconds is True; it must be a positive number"),
    ],
)
def test_options_that_cannot_be_read(tmp_path, text, said):
    folder = write_own(tmp_path)
    (folder / "options.json").write_text(text)
    with pytest.raises(DataError, match=rf"options\.json: .*{said}"):
        load(folder)
    assert not check(folder).ok


@pytest.mark.parametrize("order", ["rgbflow", 5, None, ["rgb"], ["rgb", 1], {"rgb": 0, "flow": 1}])
def test_an_order_of_streams_that_is_none(tmp_path, order):
    with pytest.raises(ValueError, match="stream_order is .*; it must be rgb and flow in some"):
        load(write_wtalc(tmp_path), stream_order=order)


def test_a_data_set_knows_the_options_it_was_read_with(tmp_path):
    folder = write_own(tmp_path)
    dataset = load(folder, snippet_seconds=0.5)
    assert dataset.options == {"snippet_seconds": 0.5}
    assert dataset.only("features").options == dataset.options
    assert load("synthetic-tiny").options == {}
    assert load("synthetic-tiny", seed=3).options == {"seed": 3}


# Segments without durations


def many(folder: Path, ends: list[float]) -> Path:
    """A video of 20 snippets for each end of a segment."""
    (folder / "features").mkdir(parents=True)
    labels, segments = ["video,subset,labels"], ["video,start,end,label"]
    for k, end in enumerate(ends):
        np.save(folder / "features" / f"v{k}.npy", np.full((20, 3), k + 1.0, np.float32))
        labels.append(f"v{k},{'train' if k % 2 else 'test'},Jump")
        segments.append(f"v{k},0.5,{end},Jump")
    (folder / "labels.csv").write_text("\n".join(labels) + "\n")
    (folder / "segments.csv").write_text("\n".join(segments) + "\n")
    return folder


def test_snippets_that_are_taken_to_be_too_long(tmp_path):
    """Snippets of a quarter second: segments end anywhere in the 5 s that there are."""
    folder = many(tmp_path, [1, 2, 3, 4, 4.5, 5, 4.9, 1.5, 2.5, 3.5, 4.2])
    (finding,) = check(folder, snippet_seconds=0.64).findings
    assert finding.problem == "early"
    assert finding.message == "no segment ends after 39% of its video, in 11 videos"
    assert "correct snippet_seconds" in finding.mend
    assert check(folder, snippet_seconds=0.25).findings == ()


def test_snippets_that_are_taken_to_be_too_short(tmp_path):
    folder = many(tmp_path, [1, 2, 3, 4, 4.5])
    (finding,) = check(folder, snippet_seconds=0.2).findings
    assert finding.message == "1 segments end after the video (4.5 s of 4.0 s)"
    assert finding.mend.endswith("correct the times, or snippet_seconds, if wrong")


@pytest.mark.parametrize("ends", [[1] * 9, [1] * 30 + [3]])
def test_a_few_early_segments_say_nothing(tmp_path, ends):
    assert check(many(tmp_path, ends), snippet_seconds=0.25).findings == ()
