"""Features larger than memory: the same numbers from a batch at a time, and bounded memory."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from data_folders import write_basnet, write_database
from test_train import ABLATIONS, QUICK, TINY, parameters

from amslib import Config, batches, load, train
from amslib.batches import Store, ahead
from amslib.forward import read

pytestmark = pytest.mark.slow


@pytest.fixture
def nothing_stays(monkeypatch):
    """No store keeps its features."""
    monkeypatch.setattr(batches, "RESIDENT", 0)


def readers() -> list[threading.Thread]:
    """Threads that read ahead."""
    return [t for t in threading.enumerate() if t.name.startswith("ThreadPoolExecutor")]


def test_a_streamed_batch_reads_what_a_resident_one_does(monkeypatch):
    labels = TINY.labels(TINY.train)
    resident = Store(TINY.train, "rgb", labels, torch.device("cpu"))
    monkeypatch.setattr(batches, "RESIDENT", 0)
    streamed = Store(TINY.train, "rgb", labels, torch.device("cpu"))
    assert resident.features is not None and streamed.features is None
    for seed in range(5):
        chosen = np.random.default_rng(seed).choice(len(labels), 6, replace=False)
        one, other = (
            s.batch(chosen, 20, np.random.default_rng(seed)) for s in (resident, streamed)
        )
        assert one.cropped == other.cropped and torch.equal(one.rows, other.rows)
        assert torch.equal(resident.features[one.rows], other.features)
        assert torch.equal(read(one), read(other))
        where = torch.rand(1, len(one.rows)) * one.longest
        assert torch.equal(read(one, where), read(other, where))
    assert streamed.batch(chosen, read=False).features is None


@pytest.mark.parametrize("config", [QUICK, replace(QUICK, max_snippets=15), *ABLATIONS[-4:]])
def test_training_on_streamed_features_is_bitwise_the_same(monkeypatch, config):
    before = parameters(train(TINY, config))
    monkeypatch.setattr(batches, "RESIDENT", 0)
    after = parameters(train(TINY, config))
    assert before.keys() == after.keys()
    assert all(torch.equal(p, after[name]) for name, p in before.items())


def test_streamed_files_train_like_the_arrays_in_them(tmp_path, nothing_stays):
    dataset = load(write_basnet(tmp_path), snippet_seconds=0.64)
    arrays = [{stream: np.array(x) for stream, x in v.features.items()} for v in dataset.train]
    videos = [replace(v, features=x) for v, x in zip(dataset.train, arrays, strict=True)]
    inside = replace(dataset, train=tuple(videos))
    config = Config(steps_per_epoch=3, epochs_zero=1, epochs=1, iterations=1)
    one, other = parameters(train(dataset, config)), parameters(train(inside, config))
    assert all(torch.equal(p, other[name]) for name, p in one.items())


def test_a_bad_file_met_while_training_is_an_error(tmp_path, nothing_stays):
    folder = write_basnet(tmp_path)
    dataset = load(folder)
    file = next((folder / "features" / "train" / "rgb").glob("*.npy"))
    rows = np.load(file)
    rows[3, 0] = np.nan
    np.save(file, rows)
    with pytest.raises(ValueError, match=f"{file.name}.*row 3 is not finite"):
        train(dataset, QUICK)
    assert not readers()


# Reading ahead


def test_reading_ahead_keeps_the_order_and_is_one_ahead():
    made = []

    def numbers():
        for i in range(5):
            made.append(i)
            yield i

    seen = []
    for i in ahead(numbers()):
        seen.append(i)
        assert len(made) <= i + 2
    assert seen == made == [0, 1, 2, 3, 4]


def test_reading_ahead_passes_errors_on_and_ends_its_thread():
    def breaks():
        yield 1
        raise OSError("the disk is gone")

    coming = ahead(breaks())
    assert next(coming) == 1
    with pytest.raises(OSError, match="the disk is gone"):
        next(coming)
    stopped = ahead(iter(range(9)))
    next(stopped)
    assert readers()
    stopped.close()
    assert not readers()


PEAK = """
import resource, sys
from amslib import Config, batches, load, train
batches.RESIDENT = 0
config = Config(hidden=8, steps_per_epoch=5, epochs_zero=1, epochs=1, iterations=1)
train(load(sys.argv[1]), config)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read as Linux counts it")
def test_memory_does_not_grow_with_the_data(tmp_path):
    """Three times the videos; a store in memory fails this by a factor of four."""
    few, many = (write_large(tmp_path / str(n), n) for n in (120, 360))
    assert peak(tmp_path / "360") - peak(tmp_path / "120") < (many - few) / 2


def peak(folder: Path) -> int:
    """Bytes a training run takes in a process of its own."""
    told = subprocess.run([sys.executable, "-c", PEAK, str(folder)], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    return int(told.stdout) * 1024


def write_large(folder: Path, videos: int) -> int:
    """BaS-Net's layout with one file under many names; returns bytes of one stream."""
    rows = np.random.default_rng(0).normal(size=(256, 1024)).astype(np.float32)
    write_basnet(folder)
    np.save(folder / "rows.npy", rows)
    annotation = {"segment": ["1.0", "2.0"], "label": "Jump"}
    names = [f"v{i:03d}" for i in range(videos)]
    write_database(folder, {v: {"subset": "train", "annotations": [annotation]} for v in names})
    (folder / "split_train.txt").write_text("\n".join(names))
    (folder / "split_test.txt").write_text("")
    for stream in ("rgb", "flow"):
        for name in names:
            (folder / "features" / "train" / stream / f"{name}.npy").hardlink_to(
                folder / "rows.npy"
            )
    return videos * rows.nbytes
