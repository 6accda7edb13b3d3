"""Damaged folders: the right data, or an error that names the file; nothing of a pickle runs."""

from __future__ import annotations

import io
import pickle
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from data_folders import write_basnet, write_wtalc
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_data_formats import write_acmnet, write_actionformer, write_cmcs

from amslib import load
from amslib.data import DataError, DataWarning, check, convert

pytestmark = pytest.mark.slow

steady = settings(derandomize=True, deadline=None, max_examples=50)


def write_plain(folder: Path) -> Path:
    with tempfile.TemporaryDirectory() as source:
        convert(load(write_basnet(Path(source))), folder)
    return folder


WRITERS = {
    "basnet": write_basnet,
    "wtalc": write_wtalc,
    "plain": write_plain,
    "acmnet": write_acmnet,
    "actionformer": write_actionformer,
    "cmcs": write_cmcs,
}


def content(folder: Path):
    """All that a data set holds, features read; or None, where it told of a file by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        try:
            dataset = load(folder)
            return [
                (v.id, v.labels, v.segments, v.ambiguous, v.duration, v.snippet_seconds)
                + tuple((s, hash(np.array(x).tobytes()), x.shape) for s, x in v.features.items())
                for v in (*dataset.train, *dataset.test)
            ]
        except DataError as error:
            assert str(folder) in str(error)
            return None


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Each layout, undamaged, and what it holds."""
    folders = {name: write(tmp_path_factory.mktemp(name)) for name, write in WRITERS.items()}
    return {name: content(folder) for name, folder in folders.items()}


def damaged(layout: str, harm, draw) -> tuple:
    """What is read of a folder after `harm(file, draw)` on one of its files, and its report."""
    with tempfile.TemporaryDirectory() as name:
        folder = WRITERS[layout](Path(name))
        file = draw(st.sampled_from(files(folder)))
        harm(file, draw)
        found = content(folder)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            report = check(folder)
        return found, report, file


def remove(file, draw):
    file.unlink()


def empty(file, draw):
    file.write_bytes(b"")


def truncate(file, draw):
    data = file.read_bytes()
    assume(len(data) > 1)
    file.write_bytes(data[: draw(st.integers(1, len(data) - 1))])


def directory(file, draw):
    file.unlink()
    file.mkdir()


def noise(file, draw):
    file.write_bytes(draw(st.binary(min_size=1, max_size=300)))


def other_array(file, draw):
    assume(file.suffix in (".npy", ".npz"))
    shape = draw(st.sampled_from([(), (0,), (3,), (2, 2, 2), (0, 8), (5, 0)]))
    dtype = draw(st.sampled_from(["f4", "i8", "c8", "U3", "M8[s]", "?"]))
    array = np.zeros(shape, dtype)
    if file.suffix == ".npy":
        np.save(file, array)
    else:
        np.savez(file, feature=array, frame_cnt=100, video_name="video_a")


@pytest.mark.parametrize("layout", WRITERS)
@pytest.mark.parametrize("harm", [remove, empty, truncate, directory, noise, other_array])
@given(data=st.data())
@steady
def test_a_damaged_file_is_told_or_plays_no_part(whole, layout, harm, data):
    found, report, file = damaged(layout, harm, data.draw)
    expected = whole[layout]
    if found is None:
        assert not report.ok
    elif file.name.startswith("split_"):  # a shorter list of whole names is another split
        assert found == [video for video in expected if video in found]
    elif layout == "cmcs" and file.suffix == ".txt":  # a shorter list of instances, another truth
        features = {v[0]: v[6:] for v in expected}
        assert all(v[6:] == features[v[0]] for v in found)
    elif file.name == "duration.npy" and harm is remove:  # durations may be absent
        assert found == [(*v[:4], None, *v[5:]) for v in expected]
    else:
        assert found == expected, f"{harm.__name__} of {file.name} gave other data"


# Pickles

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


class Hostile:
    """Its pickle makes a file, by one of several callables."""

    def __init__(self, marker: Path, how: str):
        self.marker, self.how = str(marker), how

    def __reduce__(self):
        code = f"open({self.marker!r}, 'w').close()"
        if self.how == "exec":
            return exec, (code,)
        if self.how == "path":
            return Path.touch, (Path(self.marker),)
        import os

        return os.system, (f"touch {self.marker}",)


def hostile_bytes(marker: Path, how: str, protocol: int, wrap: str) -> bytes:
    """A pickle, alone or in the middle of what an honest file holds."""
    value = Hostile(marker, how)
    if wrap == "list":
        value = ["an honest string", [1.5, 2.5], value]
    if wrap == "array":
        array = np.empty(3, object)
        array[:] = ["an honest string", value, [1.0]]
        value = array
    return pickle.dumps(value, protocol)


def object_file(values: bytes, shape: str) -> bytes:
    """A `.npy` file of objects whose pickle is the given one."""
    head = io.BytesIO()
    header = {"descr": "|O", "fortran_order": False, "shape": eval(shape)}  # noqa: S307
    np.lib.format.write_array_header_1_0(head, header)
    return head.getvalue() + values


@given(
    data=st.data(),
    how=st.sampled_from(["exec", "path", "system"]),
    protocol=st.sampled_from(PROTOCOLS),
    wrap=st.sampled_from(["alone", "list", "array"]),
    bare=st.booleans(),
)
@pytest.mark.parametrize("layout", WRITERS)
@steady
def test_no_pickle_runs_anything(layout, data, how, protocol, wrap, bare):
    with tempfile.TemporaryDirectory() as name:
        marker = Path(name) / "it_ran"
        values = hostile_bytes(marker, how, protocol, wrap)
        shape = data.draw(st.sampled_from(["()", "(3,)", "(1,)"]))

        def harm(file, draw):
            file.write_bytes(values if bare else object_file(values, shape))

        found, report, file = damaged(layout, harm, data.draw)
        assert not marker.exists()
        if file.suffix in (".npy", ".npz"):
            assert found is None and not report.ok


def test_the_hostile_pickles_are_hostile(tmp_path):
    """Opened by the means this project does not use, each of them would run."""
    for how in ("exec", "path", "system"):
        marker = tmp_path / how
        pickle.loads(hostile_bytes(marker, how, 4, "array"))  # noqa: S301
        assert marker.exists()
