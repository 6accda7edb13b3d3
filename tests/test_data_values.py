"""Values are judged in float32, the type that is computed in."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest
from data_folders import LENGTHS, feature_file, features, objects, write_basnet, write_wtalc
from test_data_formats import write_acmnet, write_cmcs, write_npz

from amslib import Config, load, train
from amslib.data import DataError, DataWarning, check
from amslib.data.rules import non_finite_rows, value_findings

LONG = np.finfo(np.longdouble).max > np.finfo(np.float64).max


@pytest.mark.parametrize(
    "dtype, value, wrong",
    [
        ("f4", 3.4e38, False),
        ("f4", np.inf, True),
        ("f4", np.nan, True),
        ("f8", 3.4e38, False),
        ("f8", 3.5e38, True),
        ("f8", -1e39, True),
        (">f8", 1e300, True),
        ("f2", 65504, False),
        ("f2", -np.inf, True),
        (np.longdouble, 1e39, True),
        (np.longdouble, 1.0, False),
        ("i8", 2**62, False),
    ],
)
def test_rows_that_are_not_finite_in_float32(dtype, value, wrong):
    array = np.ones((7, 3), dtype)
    array[4, 1] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert non_finite_rows(array).tolist() == ([4] if wrong else [])
    found = value_findings("v", "f", array, "rgb")
    assert [f.level for f in found if f.problem == "nan"] == ["error"] * wrong


def test_rows_are_found_wherever_they_lie(monkeypatch):
    monkeypatch.setattr("amslib.data.rules.BLOCK", 10)
    array = np.ones((11, 3))
    array[[0, 3, 10], [0, 1, 2]] = 1e39, np.nan, -np.inf
    assert non_finite_rows(array).tolist() == [0, 3, 10]
    assert non_finite_rows(array[:0]).tolist() == [] and non_finite_rows(array.T[:0].T).size == 0
    array[[1, 5]] = 0
    array[6] = 1e-60  # zero in float32
    (nan, zero) = value_findings("v", "f", array, "flow")
    assert "row 1 is zero throughout (3 of 11 rows of flow)" in zero.message
    assert "row 0 is not finite in float32, to which its float64 values are converted" in (
        nan.message
    )
    assert "(3 of 11 rows of flow)" in nan.message


def test_a_large_array_is_not_copied(tmp_path):
    np.save(tmp_path / "large.npy", np.ones((40000, 500)))  # 160 MB
    array = np.load(tmp_path / "large.npy", mmap_mode="r")
    tracemalloc.start()
    try:
        assert value_findings("v", "f", array, "rgb") == []
        assert tracemalloc.get_traced_memory()[1] < 40e6
    finally:
        tracemalloc.stop()


def overflowing(folder, layout):
    """The test video's flow overflows in row 7."""
    if layout == "basnet":
        write_basnet(folder)
        array = features("video_c", "flow").astype(float)
        array[7, 2] = 1e39
        np.save(feature_file(folder, "video_c", "flow"), array)
        return folder, {}
    both = {v: np.hstack([features(v, s).astype(float) for s in ("rgb", "flow")]) for v in LENGTHS}
    both["video_c"][7, 12] = 1e39
    if layout in ("wtalc", "of lists"):
        rows = [x.astype(object) if layout == "of lists" else x for x in both.values()]
        return write_wtalc(folder, joint=objects(rows)), {}
    if layout == "acmnet":
        write_acmnet(folder)
        np.save(folder / "test" / "video_c.npy", both["video_c"])
        return folder, {}
    write_cmcs(folder)
    file = next(folder.rglob("video_c-flow.npz"))
    crops = np.stack([both["video_c"][:, 8:], both["video_c"][:, 8:]])
    file.unlink()
    write_npz(file, crops, 4 * crops.shape[1] + 12)
    return folder, {"fps": 5, "every": 1}


@pytest.mark.parametrize("layout", ["basnet", "wtalc", "of lists", "acmnet", "cmcs"])
def test_every_reader_refuses_what_overflows(tmp_path, layout):
    folder, options = overflowing(tmp_path / "data", layout)
    report = check(folder, **options)
    assert [(f.problem, f.video) for f in report.findings] == [("nan", "video_c")]
    assert "row 7 is not finite" in report.findings[0].message
    assert "of flow)" in report.findings[0].message
    dataset = load(folder, **options)
    run = train(dataset, Config(steps_per_epoch=1, epochs_zero=1, epochs=1, iterations=0))
    with pytest.raises(DataError, match=r"video_c: row 7 is not finite .*of flow\)"):
        run.predict(dataset.test)


def test_training_refuses_what_overflows(tmp_path):
    folder = write_basnet(tmp_path)
    array = features("video_a", "rgb").astype(float)
    array[3] = -4e38
    np.save(feature_file(folder, "video_a", "rgb"), array)
    with pytest.raises(DataError, match="video_a: row 3 is not finite in float32"):
        train(load(folder), Config(steps_per_epoch=1))


@pytest.mark.parametrize("dtype", [np.complex64, np.int32, bool, "U3", np.dtype([("x", "f4")])])
def test_other_types_are_refused_before_any_value_is_read(tmp_path, dtype):
    folder = write_basnet(tmp_path)
    np.save(feature_file(folder, "video_a", "rgb"), np.zeros((20, 8), dtype))
    with pytest.raises(DataError, match=r"video_a: rgb is .* where floats \(T, D\) are expected"):
        load(folder)
    assert [f.problem for f in check(folder).findings] == ["array"]


@pytest.mark.skipif(not LONG, reason="long doubles are doubles on this machine")
def test_long_doubles_can_be_used(tmp_path):
    folder = write_basnet(tmp_path)
    file = feature_file(folder, "video_a", "rgb")
    np.save(file, features("video_a", "rgb").astype(np.longdouble))
    config = Config(steps_per_epoch=2, epochs_zero=1, epochs=1, iterations=0)
    long = train(load(folder), config).history
    np.save(file, features("video_a", "rgb"))
    assert train(load(folder), config).history == long


def test_extreme_values_are_reported(tmp_path):
    folder = write_basnet(tmp_path)
    array = features("video_b", "flow")
    array[[2, 9], 1] = -2e6
    np.save(feature_file(folder, "video_b", "flow"), array)
    (found,) = check(folder).findings
    assert (found.problem, found.video) == ("extreme", "video_b")
    assert found.message == "row 2 has values beyond 1e+06 (2 of 31 rows of flow)"
    with pytest.warns(DataWarning, match="video_b: row 2 has values beyond"):
        load(folder).train[1].features["flow"]
