"""The layouts with other time grids, on real annotations: counts, timing, and back and forth."""

from __future__ import annotations

import io
import json
import pickle
import re
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data_folders import SEGMENTS, features, write_basnet, write_halves, write_wtalc
from test_convert import assert_same
from test_data_pickles import touch
from test_data_real import THUMOS, real

from amslib.data import DataError, DataWarning, convert, load, read_annotations
from amslib.data.folder import LAYOUTS
from amslib.data.rules import duration_findings

WIDTH = 2
ACTIONFORMER = "thumos14/actionformer/gt_full.json"


def rows(count: int, mark: int) -> np.ndarray:
    """(count, 2 WIDTH): the row's number in each column, signed by stream, plus a mark."""
    ramp = np.arange(1, count + 1, dtype=np.float32)[:, None] + mark / 1000
    return np.hstack([ramp.repeat(WIDTH, 1), -ramp.repeat(WIDTH, 1)])


def quiet_load(folder, **options):
    """Without the warnings of segments past the end, which the real annotations deserve."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*segments end after the video", DataWarning)
        return load(folder, **options)


def counts(dataset):
    parts = dataset.train, dataset.test
    return [(len(part), sum(len(v.segments) for v in part)) for part in parts]


# ActionFormer, OpenTAD


@pytest.fixture(scope="module")
def thumos_actionformer(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("actionformer")
    (folder / "annotations").mkdir()
    (folder / "i3d_features").mkdir()
    text = real(ACTIONFORMER).read_text()
    (folder / "annotations" / "thumos14.json").write_text(text)
    for mark, (name, about) in enumerate(json.loads(text)["database"].items()):
        frames = int(about["duration"] * about["fps"])
        np.save(folder / "i3d_features" / f"{name}.npy", rows((frames - 16) // 4 + 1, mark))
    return folder


@pytest.mark.slow
def test_actionformer_counts_and_timing(thumos_actionformer):
    dataset = quiet_load(thumos_actionformer)
    assert counts(dataset) == [(200, 3007), (212, 3358)] and len(dataset.classes) == 20
    known = json.loads((thumos_actionformer / "annotations" / "thumos14.json").read_text())
    rates = set()
    for video in (*dataset.train, *dataset.test):
        fps = known["database"][video.id]["fps"]
        centres = video.offset_seconds + (np.arange(9) + 0.5) * video.snippet_seconds
        np.testing.assert_allclose(centres, (4 * np.arange(9) + 8) / fps, rtol=1e-12)
        assert isinstance(video.features["flow"], np.memmap)
        np.testing.assert_array_equal(video.features["flow"], -video.features["rgb"])
        rates.add(round(fps))
    assert rates == {24, 25, 30}


def test_the_snippets_of_a_known_segment(thumos_actionformer):
    """CricketBowling from 11.4 to 12.2 s at 30 fps, frames 342 to 366: 4 t + 8 for t = 84 .. 89."""
    video = next(v for v in quiet_load(thumos_actionformer).test if v.id == "video_test_0000004")
    assert (11.4, 12.2, "CricketBowling") in video.segments
    assert snippets_in(video, 11.4, 12.2) == [84, 85, 86, 87, 88, 89]
    assert video.features["rgb"][84, 0] == pytest.approx(85, abs=0.5)


def snippets_in(video, start, end) -> list[int]:
    """Those whose centre lies in the interval."""
    centres = video.offset_seconds + (np.arange(video.num_snippets) + 0.5) * video.snippet_seconds
    return np.flatnonzero((start <= centres) & (centres <= end)).tolist()


@pytest.mark.slow
def test_actionformer_through_plain_and_basnet(thumos_actionformer, tmp_path):
    dataset = quiet_load(thumos_actionformer)
    convert(dataset, tmp_path / "plain")
    plain = quiet_load(tmp_path / "plain")
    assert (plain.name, plain.classes) == (dataset.name, dataset.classes)
    assert_same(plain, dataset)
    with pytest.warns(DataWarning, match="does not hold") as warned:
        convert(plain, tmp_path / "basnet", "basnet")
    said = " ".join(str(w.message) for w in warned)
    assert "they differ" in said and "where the first snippet begins" in said
    with pytest.warns(DataWarning, match="but the video lasts"):
        again = quiet_load(tmp_path / "basnet")
    assert_same(again, dataset, ("id", "labels", "segments", "duration"))


@pytest.fixture
def small(tmp_path) -> Path:
    return write_actionformer(tmp_path / "data")


def write_actionformer(folder: Path, database: dict | None = None) -> Path:
    """Three videos at 25 fps, as OpenTAD has them, with one ambiguous interval."""
    write_halves(folder / "features" / "i3d")
    (folder / "annotations").mkdir()
    rewrite(folder, database or small_database())
    return folder


def small_database() -> dict:
    fps = {"video_a": {"fps": 5}, "video_b": {"frame": 140, "duration": 28}, "video_c": {"fps": 5}}
    subsets = {"video_a": "training", "video_b": "training", "video_c": "validation"}
    database = {
        video: {
            "subset": subsets[video],
            "annotations": [{"segment": [s, e], "label": label} for s, e, label in segments],
            **fps[video],
        }
        for video, segments in SEGMENTS.items()
    }
    ambiguous = {"segment": [5.0, 6.0], "label": "Ambiguous"}
    database["video_c"]["annotations"].append(ambiguous)
    database["unused"] = {"subset": "testing", "annotations": []}
    return database


def rewrite(folder: Path, database: dict) -> None:
    (folder / "annotations" / "a.json").write_text(json.dumps({"database": database}))


def test_opentad_extras(small):
    dataset = load(small)
    assert [v.id for v in dataset.train] == ["video_a", "video_b"]
    assert dataset.test[0].ambiguous == ((5.0, 6.0),) and dataset.classes == ("Dive", "Jump")
    assert dataset.train[1].snippet_seconds == 4 / 5
    (small / "annotations" / "category_idx.txt").write_text("Jump\nAmbiguous\nDive\n")
    assert load(small).classes == ("Jump", "Dive")
    (small / "features" / "i3d" / "missing_files.txt").write_text("video_b\n")
    (small / "features" / "i3d" / "video_b.npy").unlink()
    with pytest.warns(DataWarning, match=r"missing_files\.txt: video_b: left out"):
        assert [v.id for v in load(small).train] == ["video_a"]


def test_stride_window_fps_and_order_are_options(small):
    with pytest.warns(DataWarning, match="but the video lasts 28"):
        dataset = load(small, stride=8, window=8, fps=10, stream_order=("flow", "rgb"))
    assert {v.snippet_seconds for v in dataset.train} == {0.8}
    assert {v.offset_seconds for v in dataset.train} == {0.0}
    np.testing.assert_array_equal(dataset.test[0].features["flow"], features("video_c", "rgb"))
    with pytest.raises(ValueError, match="stream_order is .* must be rgb and flow"):
        load(small, stream_order=("rgb", "rgb"))
    with pytest.raises(ValueError, match="stride is -4; it must be a positive"):
        load(small, stride=-4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d["video_a"].pop("fps"), r'a\.json: video_a: no frame rate \(neither "fps"'),
        (lambda d: d["video_a"].update(fps=0), r"a\.json: video_a: no frame rate \(0\.0 frames"),
        (lambda d: d["video_a"].update(fps="x"), r"a\.json: video_a: no frame rate"),
        (lambda d: d.update(d=d["video_a"]), r"d\.npy: d: no features\. Add the file, or name"),
        (lambda d: d["video_a"].update(duration=[]), r"a\.json: video_a: an entry"),
    ],
)
def test_wrong_entries_of_actionformer(small, change, said):
    database = small_database()
    change(database)
    rewrite(small, database)
    with pytest.raises(DataError, match=said):
        load(small)


def test_wrong_files_of_actionformer(small):
    file = small / "features" / "i3d" / "video_a.npy"
    np.save(file, np.ones((20, 15), np.float32))
    with pytest.raises(DataError, match=r"video_a\.npy: video_a: float32 of shape \(20, 15\)"):
        load(small)
    np.save(file, np.array([touch(small / "ran")], object), allow_pickle=True)
    with pytest.raises(DataError, match=r"video_a\.npy: video_a: object of shape"):
        load(small)
    (small / "annotations" / "category_idx.txt").write_text("Jump\n")
    with pytest.raises(DataError, match=r"category_idx\.txt: video_.: class 'Dive' is not in"):
        np.save(file, rows(20, 0))
        load(small)
    (small / "annotations" / "b.json").write_text("{}")
    with pytest.raises(DataError, match=r"annotations/\*\.json .* there are 2 \(a\.json, b\.json"):
        load(small)
    assert not (small / "ran").exists()


# ACM-Net, ASM-Loc


def write_acmnet(folder: Path) -> Path:
    """As BaS-Net's, with both streams in one file."""
    write_basnet(folder, streams=())
    for part, videos in (("train", ("video_a", "video_b")), ("test", ("video_c",))):
        write_halves(folder / part, videos)
    return folder


def test_acmnet_is_basnet_with_joined_streams(tmp_path):
    joined, apart = write_acmnet(tmp_path / "data"), write_basnet(tmp_path / "apart" / "data")
    assert_same(load(joined), load(apart))
    swapped = load(joined, stream_order=("flow", "rgb")).train[0]
    np.testing.assert_array_equal(swapped.features["flow"], features("video_a", "rgb"))
    assert isinstance(swapped.features["flow"], np.memmap)
    convert(load(joined), tmp_path / "plain")
    assert_same(load(tmp_path / "plain"), load(joined))
    convert(load(joined), tmp_path / "back", "basnet")
    assert_same(load(tmp_path / "back"), load(apart))
    (joined / "train" / "video_b.npy").unlink()
    pattern = r"train.video_b\.npy: video_b: no features\. Add the file, or .* split_train\.txt"
    with pytest.raises(DataError, match=pattern):
        load(joined)


@pytest.mark.slow
def test_acmnet_with_the_real_annotations(tmp_path):
    source, meta = real("thumos14/basnet"), json.loads(real("thumos14/meta.json").read_text())
    folder = tmp_path / "data"
    for part in ("train", "test"):
        (folder / part).mkdir(parents=True)
        text = (source / f"split_{part}.txt").read_text()
        (folder / f"split_{part}.txt").write_text(text)
        for mark, name in enumerate(text.split()):
            count = int(meta[name]["duration_s"] * 25 / 16)
            np.save(folder / part / f"{name}.npy", rows(count, mark))
    database = json.loads((source / "gt.json").read_text())["database"]
    for name, entry in database.items():
        entry["duration"] = meta[name]["duration_s"]
    (folder / "gt.json").write_text(json.dumps({"database": database}))
    dataset = quiet_load(folder)
    assert counts(dataset) == [(200, 3007), (210, 3311)] and len(dataset.classes) == 20
    convert(dataset, tmp_path / "plain")
    assert_same(quiet_load(tmp_path / "plain"), dataset)
    convert(dataset, tmp_path / "basnet", "basnet")
    assert_same(quiet_load(tmp_path / "basnet"), dataset)


# CMCS


def write_npz(file: Path, crops: np.ndarray, frames, **more) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, feature=crops, frame_cnt=frames, video_name=np.array(file.stem), **more)


@pytest.fixture(scope="module")
def thumos_cmcs(tmp_path_factory) -> Path:
    """All annotations; two crops whose mean is that of `rows`; meta.json as it is."""
    folder = tmp_path_factory.mktemp("cmcs")
    (folder / "annotations").symlink_to(real("thumos14/official"))
    meta = json.loads(real("thumos14/meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps(meta))
    for mark, (name, about) in enumerate(meta.items()):
        frames = int(about["duration_s"] * about["fps"])
        both = rows((frames - 16) // 4 + 1, mark)
        for stream, half in (("rgb", both[:, :WIDTH]), ("flow", both[:, WIDTH:])):
            crops = np.stack([half - 1, half + 1])
            write_npz(folder / stream / f"{name}-{stream}.npz", crops, frames)
    return folder


@pytest.mark.slow
def test_cmcs_counts_and_timing(thumos_cmcs):
    dataset = quiet_load(thumos_cmcs)
    assert counts(dataset) == [(200, 3007), (212, 3358)] and len(dataset.classes) == 20
    assert sum(len(v.ambiguous) for v in dataset.test) > 0
    video = next(v for v in dataset.test if v.id == "video_test_0000004")
    assert video.offset_seconds == 0 and video.snippet_seconds == pytest.approx(16 / 30, rel=1e-5)
    assert snippets_in(video, 11.4, 12.2) == [21, 22]  # frames 344 and 360 are centres
    np.testing.assert_allclose(video.features["rgb"][:, 0] // 1, 4 * np.arange(63) + 1)
    every = next(v for v in quiet_load(thumos_cmcs, every=1).test if v.id == video.id)
    assert snippets_in(every, 11.4, 12.2) == [84, 85, 86, 87, 88, 89]
    np.testing.assert_array_equal(every.features["flow"][::4], video.features["flow"])
    assert video.features["flow"].dtype == np.float32


@pytest.mark.slow
def test_cmcs_agrees_with_the_annotations_of_w_talc(thumos_cmcs):
    ours = {v.id: v for v in quiet_load(thumos_cmcs).test}
    theirs = read_annotations(real(THUMOS)).test
    assert ours.keys() == {v.id for v in theirs}
    for video in theirs:
        assert sorted(ours[video.id].segments) == sorted(video.segments)
        assert sorted(ours[video.id].ambiguous) == sorted(video.ambiguous)


@pytest.mark.slow
def test_cmcs_through_plain_and_basnet(thumos_cmcs, tmp_path):
    dataset = quiet_load(thumos_cmcs)
    convert(dataset, tmp_path / "plain")
    assert_same(quiet_load(tmp_path / "plain"), dataset)
    with pytest.warns(DataWarning, match="does not hold") as warned:
        convert(dataset, tmp_path / "basnet", "basnet")
    assert any("ambiguous intervals" in str(w.message) for w in warned)
    with pytest.warns(DataWarning, match="but the video lasts"):
        again = quiet_load(tmp_path / "basnet")
    assert_same(again, dataset, ("id", "labels", "segments", "duration"))


def write_cmcs(folder: Path) -> Path:
    """One crop, no meta.json: 80 frames and more at 25 fps."""
    files = {}
    for video, segments in SEGMENTS.items():
        for start, end, label in segments:
            part = "test" if video == "video_c" else "val"
            files.setdefault(f"{label}_{part}.txt", []).append(f"{video}  {start} {end}")
        for stream in ("rgb", "flow"):
            array = features(video, stream)
            file = folder / "npz" / f"{video}-{stream}.npz"
            write_npz(file, array[None], 4 * len(array) + 12)
    (folder / "text").mkdir()
    for name, lines in files.items():
        (folder / "text" / name).write_text("\n".join(lines))
    return folder


def test_cmcs_without_meta_takes_frames_over_fps(tmp_path):
    folder = write_cmcs(tmp_path / "data")
    with pytest.warns(DataWarning) as warned:
        assert load(folder, every=1).train[0].snippet_seconds == 4 / 30
    assert any("frame rate unknown, taken to be 30" in str(w.message) for w in warned)
    dataset = load(folder, every=1, fps=5)
    video = dataset.train[0]
    assert (video.duration, video.snippet_seconds, video.offset_seconds) == (18.4, 0.8, 1.2)
    np.testing.assert_array_equal(video.features["rgb"], features("video_a", "rgb"))


def test_a_duration_is_compared_with_what_lies_around_the_snippets_too(tmp_path):
    """Rows see 16 frames, 4 from one to the next: 6 frames before the first and after the last."""
    pattern = r"snippets of 0\.8 s and 2\.4 s around them make 18\.4 s but the video lasts 40\.0 s"
    folder = write_cmcs(tmp_path / "data")
    video = load(folder, every=1, fps=5).train[0]
    (finding,) = duration_findings([replace(video, duration=40.0)])
    assert re.search(pattern, str(finding))


def test_wrong_files_of_cmcs(tmp_path):
    folder = write_cmcs(tmp_path / "data")
    file, array = folder / "npz" / "video_b-rgb.npz", features("video_b", "rgb")

    def refused(pattern, **options):
        with pytest.raises(DataError, match=pattern):
            load(folder, **{"fps": 5} | options)

    write_npz(file, array, 136)
    refused(r"video_b-rgb\.npz: video_b: rgb is float32 of shape \(31, 8\)")
    write_npz(file, array[None], "many")
    refused(r"video_b-rgb\.npz: video_b: frame_cnt is")
    np.savez(file, features=array[None])
    refused(r"video_b-rgb\.npz: video_b: no plain array 'feature'")
    file.write_bytes(b"PK" * 30)
    refused(r"video_b-rgb\.npz: video_b: no plain array 'feature' .*zip")
    file.unlink()
    refused("video_b: 0 files video_b-rgb.npz where one was expected")
    write_npz(file, array[None, :-1], 136)
    refused("video_b: the streams differ in length: 30 of rgb and 31 of flow", every=1)
    write_npz(file, array[None], 136)
    (folder / "meta.json").write_text('{"video_b": {"fps": -3}}')
    refused(r"meta\.json: no json")
    (folder / "meta.json").unlink()
    (folder / "text" / "Jump_val.txt").write_text("video_a 0.5\n")
    refused(r"Jump_val\.txt: line 1 is 'video_a 0\.5'")


@pytest.mark.parametrize("key", ["feature", "frame_cnt", "video_name"])
def test_a_hostile_npz_runs_nothing(tmp_path, key):
    folder, mark = write_cmcs(tmp_path / "data"), tmp_path / "ran"
    hostile = np.array([touch(mark)], object)
    array = features("video_b", "rgb")[None]
    whole = {"feature": array, "frame_cnt": 136, "video_name": "video_b"} | {key: hostile}
    np.savez(folder / "npz" / "video_b-rgb.npz", **whole)
    try:
        read = load(folder, fps=5, every=1).train[1].features["rgb"].shape
    except DataError as reason:
        read = str(reason)
    assert read == (31, 8) if key == "video_name" else f"'{key}'" in read
    assert not mark.exists()
    pickle.loads(pickle.dumps(hostile))
    assert mark.exists()


def test_a_hostile_npz_of_the_announced_size_runs_nothing(tmp_path):
    """As many bytes as its header says, so that only what is announced gives it away."""
    folder, mark = write_cmcs(tmp_path / "data"), tmp_path / "ran"
    values = pickle.dumps(np.array([touch(mark)], object))
    count = -(-len(values) // 8)
    head = io.BytesIO()
    about = {"descr": "|O", "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(head, about)
    file = folder / "npz" / "video_b-rgb.npz"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("feature.npy", head.getvalue() + values.ljust(8 * count, b"\0"))
        archive.writestr("frame_cnt.npy", head.getvalue() + values.ljust(8 * count, b"\0"))
    with pytest.raises(DataError, match=r"video_b-rgb\.npz.*object"):
        load(folder, fps=5, every=1)
    assert not mark.exists()


# Which layout it is


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"classlist": np.array([b"Ju\x88", b"Dive"])}, r"classlist\.npy: no names"),
        ({"subset": np.array([b"te\x88", b"x", b"x"])}, "video_a.*: entries that cannot be read"),
    ],
)
def test_texts_of_w_talc_that_are_none(tmp_path, changed, said):
    with pytest.raises(DataError, match=said):
        load(write_wtalc(tmp_path, **changed))


def test_files_of_two_layouts(tmp_path):
    write_acmnet(write_basnet(tmp_path / "data"))
    write_basnet(tmp_path / "data")
    with pytest.raises(DataError, match="more than one layout: BaS-Net, CoLA; ACM-Net, ASM-Loc"):
        load(tmp_path / "data")


def test_an_empty_folder_names_all_that_was_looked_for(tmp_path):
    with pytest.raises(DataError, match="no known layout; looked for ") as raised:
        load(tmp_path)
    for layout in LAYOUTS:
        looked_for = ", ".join(layout.looks_for)
        assert f"{layout.name}: {looked_for} (not there: {looked_for})" in str(raised.value)


def test_options_are_those_of_the_layout(tmp_path):
    with pytest.raises(TypeError, match=r"option stride .* takes snippet_seconds, stream_order$"):
        load(write_acmnet(tmp_path / "acm"), stride=4)
    with pytest.raises(TypeError, match="option snippet_seconds .* takes stride, window, fps"):
        load(write_actionformer(tmp_path / "actionformer"), snippet_seconds=1)
