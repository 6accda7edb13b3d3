"""Bad days: full and locked disks, and data that are legal but degenerate.

A loss that is not finite, checkpoints that are damaged or cannot be written and a process that is
killed are in `test_checkpoint`; a grid whose worker dies is in `test_grid`.
"""

from __future__ import annotations

import errno
import math
import os
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path

import memory
import numpy as np
import pytest
import torch
from helpers import close, lock, small_disk
from test_train import parameters

from amslib import Config, Detection, Run, Video, cli, evaluate, load, train
from amslib import write_detections as write_found
from amslib.batches import PairSampler
from amslib.checkpoint import CheckpointWarning
from amslib.data import DataError, DataWarning, convert
from amslib.data.video import SNIPPET_SECONDS, Dataset
from amslib.files import write_once
from amslib.losses import coactivity_loss
from amslib.sampler import sample_positions

pytestmark = pytest.mark.usefixtures("one_thread")
QUICK = Config(steps_per_epoch=3, epochs_zero=2, epochs=1, iterations=1)
PLAIN = Config(  # the basic loss alone, on whole batches
    **dict(branches=1, sampler="none", supervision="none", iterations=0),
    **dict(pairs=0, dropout=0.0, weight_decay=0.0, epochs_zero=2, steps_per_epoch=3),
)


def dataset(*labels: tuple[str, ...], classes=("Dive", "Jump"), features=None, snippets=6):
    """Training videos with these labels, tested on the first; of zeros unless features are given.

    Args:
        labels: of each video.
        classes: of the data set.
        features: (T, D) of each video.
        snippets: T of zeros.
    """
    arrays = features or [np.zeros((snippets, 4), np.float32)] * len(labels)
    videos = [
        Video(f"v{i}", {"rgb": x}, names, duration=len(x) * SNIPPET_SECONDS)
        for i, (x, names) in enumerate(zip(arrays, labels, strict=True))
    ]
    whole = [(0.0, videos[0].duration, name) for name in labels[0]]
    test = replace(videos[0], id="test", segments=tuple(whole))
    return Dataset("bad day", tuple(classes), tuple(videos), (test,))


def noise(*lengths: int, width: int = 4) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(length, width)).astype(np.float32) for length in lengths]


def curve(run: Run, term: str) -> list[float]:
    return [entry[term] for entry in run.history]


def all_finite(run: Run) -> bool:
    states = [parameters(run, iteration) for iteration in range(len(run.states))]
    return all(bool(p.isfinite().all()) for state in states for p in state.values())


# Disks


def write_record(folder: Path, number: int) -> Path:
    write_once(folder / f"{number}.json", b"1" * 5000)
    return folder / f"{number}.json"


def write_detections(folder: Path, number: int) -> Path:
    write_found([Detection("v", "Dive", 0, 1, 0.5)] * 99 * number, folder / "found.json")
    return folder / "found.json"


def write_packed_detections(folder: Path, number: int) -> Path:
    write_found([Detection("v", "Dive", 0, 1, 0.5)] * 99 * number, folder / "found.json.gz")
    return folder / "found.json.gz"


def save_run(folder: Path, number: int) -> Path:
    run = Run(PLAIN, ("Dive",), number)
    shapes = dict(weight1=(1, 40, 40), bias1=(1, 1, 40), weight2=(1, 40, 1), bias2=(1, 1, 1))
    state = {name: torch.full(shape, float(number)) for name, shape in shapes.items()}
    run.states = [{"rgb": {"base": state}}]
    run.save(folder)
    return folder / "run.safetensors"


WRITERS = [write_record, write_detections, write_packed_detections, save_run]


@pytest.fixture(params=["a disk that is full", "a full disk, simulated"])
def fill(request, tmp_path, monkeypatch):
    """fill(): from now on, nothing more can be written to `tmp_path`."""

    def really():
        with suppress(OSError), open(tmp_path / "ballast", "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    def simulated():
        def full(_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        (tmp_path / "ballast").touch()
        monkeypatch.setattr(os, "fsync", full)

    if request.param != "a disk that is full":
        yield simulated
    else:
        with small_disk(tmp_path, "400k"):
            yield really


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones included."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "ballast"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("write", WRITERS)
def test_a_full_disk_keeps_what_is_there_and_names_the_file(fill, tmp_path, write):
    write(tmp_path, 1)
    before = contents(tmp_path)
    fill()
    with pytest.raises(OSError, match=r"cannot be written \(No space left.*Make room") as told:
        write(tmp_path, 2)
    assert told.value.errno == errno.ENOSPC and str(told.value).startswith(str(tmp_path))
    assert contents(tmp_path) == before


def told_of_losses(to: str):
    """BaS-Net's layout holds less than a data set knows, and says so."""
    return pytest.warns(DataWarning) if to == "basnet" else nullcontext()


@pytest.mark.parametrize("to", ["plain", "basnet"])
def test_converting_to_a_full_disk_leaves_whole_arrays_and_no_data_set(fill, tmp_path, to):
    data = replace(load("synthetic-tiny"), classes=("Dive", "Jump"))
    videos = [replace(v, labels=("Dive",), segments=()) for v in data.train]
    data, out = replace(data, train=tuple(videos), test=()), tmp_path / "out"
    read = videos[3].features

    class Late(dict):
        """Features that are there when the disk is not any more."""

        def __getitem__(self, stream):
            fill()
            return read[stream]

    videos[3] = replace(videos[3], features=Late(read))
    told = f"{videos[3].id}.npy: cannot be written .No space left"
    with told_of_losses(to), pytest.raises(OSError, match=told):
        convert(replace(data, train=tuple(videos)), out, to)
    arrays = {path.stem: np.load(path) for path in out.rglob("*.npy")}
    assert sorted(arrays) == [v.id for v in videos[:3]]
    assert set(contents(out)) == {str(p.relative_to(out)) for p in out.rglob("*.npy")}
    with pytest.raises(DataError, match="no known layout"):
        load(out)


@pytest.fixture
def locked(tmp_path):
    """A read-only disk that holds a run."""
    with small_disk(tmp_path, "1m"):
        save_run(tmp_path, 1)
        lock(tmp_path)
        yield tmp_path


@pytest.mark.parametrize("write", WRITERS)
def test_a_locked_disk_is_named(locked, write):
    before = contents(locked)
    with pytest.raises(OSError, match="Read-only.*name a folder that can be written to") as told:
        write(locked, 2)
    assert told.value.errno == errno.EROFS and contents(locked) == before


@pytest.mark.parametrize("to", ["plain", "basnet"])
def test_converting_to_a_locked_disk_is_refused(locked, to):
    data = dataset(("Dive",), features=noise(3), classes=("Dive",))
    data = replace(data, test=())
    with (
        told_of_losses(to),
        pytest.raises(OSError, match=f"{locked / 'out'}: cannot be written .Read-only"),
    ):
        convert(data, locked / "out", to)


def test_a_run_is_read_from_a_locked_disk(locked):
    assert Run.load(locked).seed == 1


def test_the_command_line_does_not_train_for_a_locked_disk(locked, monkeypatch, capsys):
    monkeypatch.setattr(cli, "train", lambda *_, **__: pytest.fail("it has trained"))
    out = str(locked / "new")
    monkeypatch.setattr("sys.argv", ["amslib", "train", "--data", "synthetic-tiny", "--out", out])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2 and f"{out}: cannot be written (Read-only" in capsys.readouterr().err


@pytest.mark.slow
def test_training_goes_on_without_the_checkpoints_a_locked_disk_refuses(locked):
    data = dataset(("Dive",), features=noise(5))
    for folder in (locked, locked / "new"):
        with pytest.warns(CheckpointWarning, match="no checkpoint could be written.*Read-only"):
            run = train(data, PLAIN, checkpoint=folder, checkpoint_seconds=0)
        assert run.history == train(data, PLAIN).history


# Labels


@pytest.mark.slow
def test_a_class_that_never_appears_is_unlearnt_and_does_not_count():
    """Of features that say nothing, the optimum is how often each class appears: 3/4, 1/4, 0."""
    data = dataset(("Dive",), ("Dive",), ("Jump",), ("Dive",), classes=("Dive", "Jump", "Never"))
    run = train(data, replace(PLAIN, lr=2e-4, steps_per_epoch=200, class_threshold=0.5))
    close(run.cas(data.test[0])["rgb"]["base"], np.tile([0.75, 0.25, 0.0], (6, 1)), 0.01)
    found = run.predict(data.test)
    assert [row[:4] for row in found] == [("test", "Dive", 0.0, 6 * SNIPPET_SECONDS)]
    never = Detection("test", "Never", 0.0, 1.0, 0.9)
    result = evaluate([*found, never], data.test)
    assert list(result.per_class) == ["Dive"] and (result.map == 1).all()


@pytest.mark.slow
def test_a_single_video_makes_no_pair_and_is_learnt():
    data = dataset(("Jump",), features=noise(9))
    sampler = PairSampler(data.labels(data.train), batch_size=10, pairs=3)
    assert sampler.draw(np.random.default_rng(0)).tolist() == [0]
    run = train(data, replace(QUICK, lr=5e-3, dropout=0.0, steps_per_epoch=20))
    assert set(curve(run, "coactivity")) == {0.0}
    assert run.predict(data.test)[0].label == "Jump"
    cas = run.cas(data.test[0])["rgb"]["base"]
    assert (cas[:, 1] > 0.9).all()


def test_videos_of_one_class_alone_leave_nothing_to_learn():
    """The only class has probability 1: no loss is left but what keeps logarithms finite."""
    data = dataset(("Dive",), ("Dive",), ("Dive",), features=noise(5, 7, 9), classes=("Dive",))
    run = train(data, replace(QUICK, batch_size=4, pairs=2))
    close(run.cas(data.test[0])["rgb"]["base"], np.ones((5, 1)))
    taught = [entry["localization"] for entry in run.history if entry["iteration"]]
    assert [*curve(run, "classification"), *taught] == pytest.approx([1e-6] * 8, rel=0.1)
    assert all_finite(run) and evaluate(run.predict(data.test), data.test).map[0] == 1


def test_without_a_shared_class_the_coactivity_loss_is_no_part_of_training():
    names = ("Dive", "Jump", "Run")
    data = dataset(*((name,) for name in names), features=noise(5, 7, 9), classes=names)
    run, without = (train(data, replace(QUICK, coactivity_weight=w)) for w in (0.5, 0.0))
    assert set(curve(run, "coactivity")) == {0.0} and run.history == without.history
    x, pair = torch.ones(2, 3, 4), torch.tensor([[0, 1]])
    assert coactivity_loss(x, x, torch.eye(2, 4), pair) == 0
    assert coactivity_loss(x, x, torch.ones(2, 4), pair) == 0.5  # what it is of shared classes


def test_twenty_labels_on_one_video_share_the_probability():
    """The optimum is 1/20 for each, a loss of log 20; it is there from the start."""
    names = tuple(f"Class{k:02d}" for k in range(20))
    data = dataset(names, classes=names)
    run = train(data, replace(PLAIN, class_threshold=0.04))
    assert curve(run, "classification") == pytest.approx([math.log(20)] * 2, rel=1e-6)
    close(run.cas(data.test[0])["rgb"]["base"], np.full((6, 20), 0.05), 1e-6)
    found = run.predict(data.test)
    assert [(row.label, row.start, row.end) for row in found] == [
        (name, 0.0, 6 * SNIPPET_SECONDS) for name in names
    ]
    assert (evaluate(found, data.test).map == 1).all()


# Features


def test_a_video_of_one_snippet_is_read_there_and_found_whole():
    data = dataset(("Dive",), ("Dive",), features=noise(1, 1))
    run = train(data, QUICK)
    assert run.positions(data.test[0])["rgb"].tolist() == [0.0] and all_finite(run)
    (found,) = run.predict(data.test)
    assert (found.start, found.end) == (0.0, SNIPPET_SECONDS)


@pytest.mark.parametrize(("angle", "loss"), [(0.0, 0.0), (math.pi / 2, 0.5), (math.pi, 1.5)])
def test_the_coactivity_loss_of_single_snippets(angle, loss):
    """Nothing is low in them: the hinge compares 1 - cos(angle) with 1, the distance of nothing."""
    x = torch.tensor([[[1.0, 0.0]], [[math.cos(angle), math.sin(angle)]]])
    found = coactivity_loss(x, x[..., :1], torch.ones(2, 1), torch.tensor([[0, 1]]))
    assert found.item() == pytest.approx(loss, abs=1e-6)


def test_identical_videos_get_identical_scores():
    (x,) = noise(8)
    data = dataset(("Dive",), ("Dive",), features=[x, x])
    run = train(data, replace(QUICK, batch_size=4, pairs=2))
    one, other = (run.cas(video)["rgb"] for video in data.train)
    assert all(torch.equal(one[branch], other[branch]) for branch in ("base", "supp"))
    assert all_finite(run)


def test_identical_snippets_keep_the_margin_of_the_coactivity_loss():
    """What is high and what is low in a video are the same: the hinge stays at its margin."""
    x = np.tile(noise(1)[0], (8, 1))
    data = dataset(("Dive",), ("Dive",), features=[x, x])
    run = train(data, replace(PLAIN, batch_size=4, pairs=2))
    assert curve(run, "coactivity") == pytest.approx([0.5, 0.5], abs=1e-5) and all_finite(run)


def test_features_of_zeros_show_nothing_anywhere():
    """No snippet differs from another: samples stay in place, a proposal is all or nothing."""
    data = dataset(("Dive",), ("Dive",), ("Jump",))
    run = train(data, replace(QUICK, batch_size=6, pairs=2))
    assert run.positions(data.test[0])["rgb"].tolist() == list(range(6)) and all_finite(run)
    assert curve(run, "coactivity") == pytest.approx([0.5] * len(run.history))
    spans = {(row.start, row.end) for row in run.predict(data.test)}
    assert spans == {(0.0, 6 * SNIPPET_SECONDS)}


# A video of 100,000 snippets, 18 hours

LONG = 100_000


def positions_of_it() -> int:
    """A first half of weight 1, a second of weight 3: the first gets one sample in four."""
    close(sample_positions(torch.ones(LONG, dtype=torch.float64)), np.arange(LONG), 1e-6)
    w = torch.ones(LONG, dtype=torch.float64)
    w[LONG // 2 :] = 3
    u = (np.arange(LONG) + 0.5) * 2
    expected = np.where(u < LONG / 2, u, LONG / 2 + (u - LONG / 2) / 3) - 0.5
    far = np.abs(expected - LONG / 2) > 2  # the step between the halves is a ramp
    close(sample_positions(w).numpy()[far], expected[far], 1e-6)
    return 0


def training_crops_it() -> int:
    data = dataset(("Dive",), ("Dive",), ("Jump",), features=noise(LONG, 30, 20, width=2))
    run = train(data, replace(QUICK, max_snippets=1000, batch_size=4, pairs=1))
    assert len(run.states) == 2 and all_finite(run)
    return 0


def it_is_searched_whole() -> int:
    """A run whose layers are the identity finds a fifth of it, to a snippet."""
    first, end = 40_000, 60_000
    x = np.zeros((LONG, 2), np.float32)
    x[:, 1], x[first:end] = 5, (5, 0)
    eye, zero = torch.eye(2)[None], torch.zeros(1, 1, 2)
    state = {"weight1": eye, "bias1": zero, "weight2": eye, "bias2": zero}
    run = Run(Config(threshold_factor=1.5), ("Dive", "Jump"), 0)
    run.states = [{"rgb": {"base": state, "supp": state}}]
    found = run.predict([Video("long", {"rgb": x})])
    dives = [row for row in found if row.label == "Dive"]
    assert len(dives) == 1
    assert dives[0].start == pytest.approx(first * SNIPPET_SECONDS, abs=SNIPPET_SECONDS)
    assert dives[0].end == pytest.approx(end * SNIPPET_SECONDS, abs=SNIPPET_SECONDS)
    return 0


@pytest.mark.slow
@pytest.mark.parametrize("work", [positions_of_it, training_crops_it, it_is_searched_whole])
def test_a_long_video_takes_little_memory(work):
    """One square matrix of its snippets would be 40 GB. Each function returns what it was given."""
    used = memory.peak(work)
    if used is None:
        work()
        pytest.skip("this system does not tell the peak memory of a process")
    assert used < 500 * 2**20
