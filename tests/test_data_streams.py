"""Which folders and files are streams, whatever the system put beside them."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from data_folders import LENGTHS, PARTS, features, write_basnet, write_wtalc
from test_data_formats import write_acmnet, write_actionformer, write_cmcs
from test_data_own import write_own

from amslib import fuse, load
from amslib.data import DataError, DataWarning, check, convert


def write_plain(folder: Path) -> Path:
    convert(load(write_basnet(folder / "from")), folder / "plain")
    return folder / "plain"


def write_both(folder: Path) -> Path:
    return write_own(folder, streams=("rgb", "flow"))


@pytest.mark.parametrize("names", [("RGB", "Flow"), ("Rgb", "FLOW"), ("rgb", "flow")])
@pytest.mark.parametrize("write", [write_both, write_plain, write_basnet])
def test_rgb_and_flow_in_capitals_are_rgb_and_flow(tmp_path, write, names):
    folder = write(tmp_path)
    expected = load(folder, **step(write))
    for old, new in zip(("rgb", "flow"), names, strict=True):
        for path in [p for p in (folder / "features").rglob(old) if p.is_dir()]:
            path.rename(path.with_name(new))
    dataset = load(folder, **step(write))
    assert dataset.streams == ("rgb", "flow")
    assert dataset.fingerprint == expected.fingerprint
    video = dataset.train[0]
    cas = {s: {"base": torch.tensor(video.features[s][:, :2])} for s in dataset.streams}
    torch.testing.assert_close(fuse(cas, 0.5), 0.5 * cas["rgb"]["base"] + cas["flow"]["base"])


def step(write) -> dict:
    return {"snippet_seconds": 0.5} if write is write_both else {}


def test_the_parts_of_basnet_may_differ_in_spelling(tmp_path):
    folder = write_basnet(tmp_path)
    (folder / "features" / "test" / "rgb").rename(folder / "features" / "test" / "RGB")
    np.testing.assert_array_equal(load(folder).test[0].features["rgb"], features("video_c", "rgb"))


def test_two_folders_of_one_stream_are_refused(tmp_path):
    folder = write_own(tmp_path, streams=("rgb", "RGB"))
    if len(list((folder / "features").iterdir())) == 1:
        pytest.skip("this disk does not tell rgb from RGB")
    with pytest.raises(DataError, match="folders RGB and rgb are of one stream, rgb. Keep the one"):
        load(folder, snippet_seconds=0.5)


def clutter(folder: Path) -> None:
    """What Jupyter, git, macOS and a NAS leave in every folder."""
    for path in [folder, *(p for p in folder.rglob("*") if p.is_dir())]:
        files = [p for p in path.iterdir() if p.is_file()]
        for name in (".ipynb_checkpoints", ".git", "__MACOSX", "@eaDir"):
            (path / name).mkdir()
            for file in files:
                (path / name / file.name).write_bytes(b"\0\5\26\7")
        for file in files:
            (path / f"._{file.name}").write_bytes(b"\0\5\26\7")


@pytest.mark.parametrize(
    "write, options",
    [
        (write_both, {"snippet_seconds": 0.5}),
        (write_own, {"snippet_seconds": 0.5}),
        (write_plain, {}),
        (write_basnet, {}),
        (write_wtalc, {}),
        (write_acmnet, {}),
        (write_actionformer, {}),
        (write_cmcs, {"fps": 5, "every": 1}),
    ],
)
def test_hidden_files_are_no_data(tmp_path, write, options):
    folder = write(tmp_path / "data")
    before = load(folder, **options)
    told = check(folder, **options)
    clutter(folder)
    after = load(folder, **options)
    assert (after.fingerprint, after.streams) == (before.fingerprint, before.streams)
    assert check(folder, **options) == told


@pytest.mark.parametrize("write", [write_both, write_plain])
def test_arrays_beside_folders_are_reported(tmp_path, write):
    folder = write(tmp_path)
    for name in ("video_a", "video_b"):
        np.save(folder / "features" / f"{name}.npy", features(name, "rgb"))
    pattern = r"2 arrays beside the folders of the streams flow, rgb \(video_a.npy, video_b.npy\)"
    with pytest.warns(DataWarning, match=pattern):
        assert load(folder, **step(write)).streams == ("rgb", "flow")
    assert [f.problem for f in check(folder, **step(write)).findings] == ["loose"]


def test_what_lies_beside_rgb_and_flow_in_basnet_is_reported(tmp_path):
    folder = write_basnet(tmp_path)
    home = folder / "features" / "train"
    (home / "optical").mkdir()
    np.save(home / "video_a.npy", features("video_a", "rgb"))
    assert [f.problem for f in check(folder).findings] == ["loose", "folder"]
    assert "folders beside rgb and flow: optical" in check(folder).findings[1].message


@pytest.mark.parametrize("names", [("rgb", "tvl1"), ("i3d_rgb", "i3d_flow"), ("audio", "flow")])
def test_the_weight_of_other_streams_is_told(tmp_path, names):
    folder = write_own(tmp_path, streams=names)
    others = ", ".join(sorted(set(names) - {"rgb", "flow"}))
    pattern = f"fusion weighs rgb by beta and every other stream by 1, so also {others}. Rename"
    with pytest.warns(DataWarning, match=pattern):
        load(folder, snippet_seconds=0.5)


@pytest.mark.parametrize("names", [("rgb", "flow"), ("rgb",), ("i3d_rgb",), ("clip", "audio")])
def test_nothing_is_told_where_no_name_is_like_rgb_or_flow(tmp_path, names):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(write_own(tmp_path, streams=names), snippet_seconds=0.5)


@pytest.mark.parametrize(
    "write, options",
    [
        (write_own, {"snippet_seconds": 0.5}),
        (write_plain, {}),
        (write_basnet, {}),
        (write_wtalc, {}),
        (write_acmnet, {}),
        (write_actionformer, {}),
    ],
)
def test_the_suffix_may_be_in_capitals(tmp_path, write, options):
    folder = write(tmp_path / "data")
    before = load(folder, **options)
    for path in folder.rglob("*.npy"):
        if "Annotations" not in path.parent.name:
            path.rename(path.with_suffix(".NPY"))
    after = load(folder, **options)
    assert (after.name, after.fingerprint) == (before.name, before.fingerprint)
    assert check(folder, **options).ok
    for video in after.train:
        assert len(video.features[after.streams[0]]) == LENGTHS[video.id]


def test_a_missing_file_keeps_its_name_in_the_message(tmp_path):
    folder = write_own(tmp_path)
    (folder / "features" / "video_b.npy").unlink()
    with pytest.raises(DataError, match=r"video_b\.npy: video_b: no features"):
        load(folder, snippet_seconds=0.5)
    assert set(PARTS) == set(LENGTHS)
