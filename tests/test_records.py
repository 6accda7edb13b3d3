"""Records: read where they exist, computed where not, and committed ones that still hold."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import golden
import measure_determinism
import nbformat
import numpy as np
import pytest
import reproduce
import scipy.stats
import torch
from helpers import close

from amslib import Config, evaluate, load, records, run_grid, train
from amslib.diagnostics import detection_quality, pseudo_label_quality
from amslib.evaluation import ACTIVITYNET_TIOU, THUMOS14_TIOU
from amslib.experiments import table_3
from amslib.kernels import can_be_pinned
from amslib.machine import described
from amslib.method import VERSION, method_fingerprint
from amslib.records import record_key
from amslib.workers import processes

ROOT = Path(__file__).parents[1]
TINY = load("synthetic-tiny", width=8)
QUICK = Config(steps_per_epoch=2, epochs_zero=1, epochs=1, iterations=1)
OTHER = replace(QUICK, eta=0.25)
COMMITTED = sorted((ROOT / "results").glob("*.json"))
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


@pytest.fixture
def committed(tmp_path, monkeypatch) -> Path:
    """An empty folder in the place of `results/`."""
    folder = tmp_path / "results"
    folder.mkdir()
    monkeypatch.setattr(records, "COMMITTED", folder)
    return folder


@pytest.fixture
def trained(monkeypatch) -> list:
    """(configs, seed) of all that is trained."""
    calls, train = [], records.train

    def note(dataset, configs, seed, *rest):
        if dataset.streams == ("rgb",):  # the other stream is trained by itself
            calls.append((list(configs), seed))
        return train(dataset, configs, seed, *rest)

    monkeypatch.setattr(records, "train", note)
    return calls


def scores(found) -> list:
    return [(r.key, r.seed, r.config, r.iterations) for r in found]


def test_a_record_holds_what_the_run_scores(committed, tmp_path):
    (record,) = run_grid([QUICK], [3], TINY, out=tmp_path / "out", runs=True)
    assert (record.config, record.seed) == (QUICK, 3)
    assert record.dataset == {"name": TINY.name, "fingerprint": TINY.fingerprint}
    assert record.folder == tmp_path / "out" and not list(committed.iterdir())
    run = record.run()
    assert run.seed == 3 and len(record.iterations) == 2
    for iteration in (0, 1):
        for levels, tiou in (("thumos14", THUMOS14_TIOU), ("activitynet12", ACTIVITYNET_TIOU)):
            scored = evaluate(run.predict(TINY.test, iteration), TINY.test, tiou)
            found = record.evaluation(iteration, levels)
            assert found.tiou == scored.tiou and found.protocol == scored.protocol
            close(found.map, scored.map, 1e-6)
            for name, precisions in scored.per_class.items():
                close(found.per_class[name], precisions, 1e-6)
        close(record.map(iteration), record.evaluation(iteration).map)
        quality = record.quality(iteration)
        close(
            quality["train"]["flow"]["supp"],
            pseudo_label_quality(run, TINY.train, iteration)["flow"]["supp"],
            1e-6,
        )
        close(quality["test"]["fused"], detection_quality(run, TINY.test, iteration), 1e-6)
    assert record.made.keys() == {"method", "commit", "members", "seconds", *described("cpu")}
    assert record.made["members"] == 1
    assert record.made["method"] == method_fingerprint() and record.made["device"] != "auto"


def test_without_training_segments_there_is_no_quality(committed, tmp_path):
    blind = replace(TINY, train=tuple(replace(v, segments=(), metadata={}) for v in TINY.train))
    (record,) = run_grid([QUICK], [0], blind, out=tmp_path)
    assert record.quality() is None and record.map().shape == (7,)


def test_a_run_that_was_not_kept_is_trained_again_where_it_is_needed(committed, trained, tmp_path):
    (record,) = run_grid([QUICK], [0], TINY, out=committed)
    assert [path.name for path in committed.iterdir()] == [f"{record.key}.json"]
    (same,) = run_grid([QUICK], [0], TINY, out=tmp_path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        same.run()
    assert len(trained) == 1
    (again,) = run_grid([QUICK], [0], TINY, out=tmp_path, runs=True)
    assert len(trained) == 2 and again.folder == tmp_path
    assert again.run().seed == 0 and scores([again]) == scores([record])


def test_what_is_there_is_read_and_what_is_missing_is_computed(committed, trained, tmp_path):
    out = tmp_path / "out"
    first = run_grid([QUICK], [0], TINY, out=out)
    assert trained == [([QUICK], 0)]
    assert scores(run_grid([QUICK], [0], TINY, out=out)) == scores(first)
    assert len(trained) == 1
    # the config that is missing alone, and each once
    both = run_grid([OTHER, QUICK, OTHER], [1, 0], TINY, out=out)
    assert trained[1:] == [([OTHER, QUICK], 1), ([OTHER], 0)]
    assert [(r.seed, r.config) for r in both] == [
        (s, c) for s in (1, 0) for c in (OTHER, QUICK, OTHER)
    ]
    assert scores(both[4:5]) == scores(first)
    # other data of the same name
    run_grid([QUICK], [0], load("synthetic-tiny", width=8, seed=1), out=out)
    assert trained[3:] == [([QUICK], 0)]


def test_committed_records_come_first(committed, trained, tmp_path):
    run_grid([QUICK], [0], TINY, out=committed)
    (record,) = run_grid([QUICK], [0], TINY, out=tmp_path / "out")
    assert record.folder == committed and len(trained) == 1 and not (tmp_path / "out").exists()


def test_a_record_of_another_version_is_not_read(committed, trained, tmp_path, monkeypatch):
    run_grid([QUICK], [0], TINY, out=tmp_path)
    monkeypatch.setattr(
        records, "method_fingerprint", lambda: "code that is only written otherwise"
    )
    run_grid([QUICK], [0], TINY, out=tmp_path)
    assert len(trained) == 1
    monkeypatch.setattr(records, "VERSION", records.VERSION + 1)
    run_grid([QUICK], [0], TINY, out=tmp_path)
    assert len(trained) == 2


def test_streams_that_train_by_themselves_give_the_run_that_they_give_together(committed, tmp_path):
    grid = [OTHER, QUICK]
    found = run_grid(grid, [1], TINY, out=tmp_path, runs=True)
    for record, expected in zip(found, train(TINY, grid, 1, "cpu"), strict=True):
        run = record.run()
        assert (run.config, run.history) == (expected.config, expected.history)
        for i, states in enumerate(expected.states):
            for stream, branches in states.items():
                for branch, state in branches.items():
                    assert state.keys() == run.states[i][stream][branch].keys()
                    for name, p in state.items():
                        assert torch.equal(p, run.states[i][stream][branch][name])


def test_a_record_names_all_machines_that_made_it(committed, tmp_path, monkeypatch):
    one, other = {"threads": 2, "chosen": {"MKL_CBWR": "AVX2"}}, {"threads": 4}
    told = iter([one, one, one, one, other, one, other, other, one])  # two streams, and who scores
    monkeypatch.setattr(records, "described", lambda device: next(told))
    made = [record.made for record in run_grid([QUICK], [0, 1, 2], TINY, out=tmp_path)]
    assert made[0].items() >= one.items() and made[0]["members"] == 1
    assert [of["threads"] for of in made] == [2, "2; 4", "4; 2"]
    assert made[1]["chosen"] == "{'MKL_CBWR': 'AVX2'}; none"


def test_executors_change_nothing(committed, tmp_path):
    grid = [QUICK, OTHER], [0, 1], TINY
    serial = scores(run_grid(*grid, out=tmp_path / "serial"))
    with ThreadPoolExecutor(2) as pool:
        assert scores(run_grid(*grid, pool, out=tmp_path / "threads")) == serial
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert scores(run_grid(*grid, pool, out=tmp_path / "processes")) == serial


KILLED = """
import sys
from amslib import Config, load, run_grid
config = Config(steps_per_epoch=2, epochs_zero=1, epochs=1, iterations=1)
run_grid([config], range(50), load("synthetic-tiny", width=8), out=sys.argv[1])
"""


def test_a_killed_grid_goes_on_where_it_stopped(committed, trained, tmp_path):
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(out)])
    try:
        while not list(out.glob("*.json")):
            assert process.poll() is None, "it ended before its first record"
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    there = len(list(out.glob("*.json")))
    assert 0 < there < 50
    found = run_grid([QUICK], range(there + 1), TINY, out=out)
    assert [seed for _, seed in trained] == [there]
    assert scores(found) == scores(run_grid([QUICK], range(there + 1), TINY, out=tmp_path / "new"))


# The committed records


def test_results_hold_what_the_book_reads_and_nothing_else():
    grids = [grid for group in reproduce.GRIDS.values() for grid in group]
    expected = {key for grid in grids for key in grid.keys()}
    assert {path.stem for path in COMMITTED} == expected, "run `make reproduce`"
    kept = {key for grid in grids for key in grid.keys(grid.kept)}
    runs = {path.name: {p.name for p in path.iterdir()} for path in (ROOT / "results").glob("*/")}
    assert runs == dict.fromkeys(kept, {"run.json", "run.safetensors"})


def test_notebooks_show_committed_records():
    shown = set()
    for path in [*(ROOT / "notebooks").glob("*.ipynb"), ROOT / "book" / "differences.ipynb"]:
        text = json.dumps(nbformat.read(path, as_version=4))
        shown |= set(re.findall(r"(?:results|records)/([0-9a-f]{16})\.json", text))
    assert shown, "run `make notebooks`"
    assert shown <= {path.stem for path in COMMITTED}, "run `make reproduce notebooks`"


@pytest.fixture(scope="module")
def tiny():
    """The record that is cheap enough to be checked in full."""
    (grid,) = reproduce.GRIDS["tiny"]
    dataset, (config,), (seed,) = load(grid.dataset), grid.configs, grid.seeds
    path = records.COMMITTED / f"{record_key(config, seed, dataset)}.json"
    assert path.is_file(), f"no {path.name} in results/: run `make reproduce`"
    (record,) = run_grid([config], [seed], dataset)
    return dataset, record


def test_committed_runs_score_what_their_record_says(tiny):
    dataset, record = tiny
    run = record.run()
    for iteration in range(len(record.iterations)):
        found = evaluate(run.predict(dataset.test, iteration), dataset.test)
        # on another machine a rounding may move a border by a snippet
        close(found.map, record.map(iteration), 0.01)


@pytest.mark.fresh_process
def test_the_committed_record_is_what_training_gives(tiny, committed, tmp_path, record_property):
    """From scratch: bit for bit where kernels can be pinned, else within what rounding does."""
    dataset, record = tiny
    (again,) = run_grid([record.config], [record.seed], dataset, out=tmp_path, runs=True)
    assert again.key == record.key
    if again.made["pinned"]:
        record_property("compared", "the record of synthetic-tiny was compared bit for bit")
        assert again.iterations == record.iterations
        assert (
            same_weights(again.run(), record.run()) and again.run().history == record.run().history
        )
    else:
        record_property("compared", "the record of synthetic-tiny was compared within its spread")
        first, now = (r.run().history[0] for r in (record, again))
        assert now == pytest.approx(first, abs=1e-5)
        assert unlikely(again, spread()) == []


def same_weights(one, other) -> bool:
    """Bitwise, of all iterations."""
    for states, others in zip(one.states, other.states, strict=True):
        for stream, branches in states.items():
            for branch, state in branches.items():
                if not all(torch.equal(p, others[stream][branch][n]) for n, p in state.items()):
                    return False
    return True


FALSE_ALARM = 1e-4


def spread() -> np.ndarray:
    """Final mAP of trainings on features that differ by one rounding: (trainings, 7)."""
    measured = json.loads(measure_determinism.OUT.read_text())["spread"]
    scores = np.array(measured["map"])
    assert len(scores) >= 30
    return scores


def unlikely(record, scores: np.ndarray) -> list[str]:
    """Thresholds at which the final mAP lies outside the prediction interval of normal scores."""
    n, levels = scores.shape
    quantile = scipy.stats.t.ppf(1 - FALSE_ALARM / levels / 2, n - 1)
    # half a point more: mAP moves in steps, and all trainings may agree at a threshold
    allowed = quantile * scores.std(0, ddof=1) * (1 + 1 / n) ** 0.5 + 0.005
    off = np.abs(record.map() - scores.mean(0))
    pairs = zip(THUMOS14_TIOU, off, allowed, strict=True)
    return [f"tIoU {tiou:g}: {gap:.3f} > {limit:.3f}" for tiou, gap, limit in pairs if gap > limit]


def test_the_spread_holds_the_committed_record_and_no_other_config(tiny):
    """The comparison of machines without pinned kernels can pass, and fail."""
    _, record = tiny
    assert unlikely(record, spread()) == []
    worse = {"thumos14": {**record.iterations[-1]["thumos14"]}}
    worse["thumos14"]["mAP"] = [0.5 * value for value in record.map()]
    assert len(unlikely(replace(record, iterations=[worse]), spread())) >= 3


@pytest.mark.fresh_process
def test_a_record_of_the_default_data_is_what_training_gives(committed, tmp_path):
    """From scratch, the cheapest of the paper's rows: (A), phase zero of one branch."""
    if not can_be_pinned():
        pytest.skip("kernels cannot be pinned here; the record of synthetic-tiny is compared")
    dataset, config = load("synthetic"), table_3()["A"]
    path = ROOT / "results" / f"{record_key(config, 0, dataset)}.json"
    assert path.is_file(), f"no {path.name} in results/: run `make reproduce`"
    (again,) = run_grid([config], [0], dataset, out=tmp_path, device="cpu")
    assert json.loads(path.read_text())["iterations"] == again.iterations


@pytest.mark.skipif(not can_be_pinned(), reason="kernels cannot be pinned here")
def test_each_config_of_the_book_computes_what_it_did_in_this_version():
    """A digest each, so that no number changes while `VERSION` stays."""
    known = json.loads(golden.FILE.read_text())
    assert known["version"] == VERSION, "run tools/golden.py"
    with processes(1) as pool:
        found = pool.submit(golden.digests).result()
    changed = [name for name in known["digests"] if found.get(name) != known["digests"][name]]
    assert not changed, (
        "other numbers of the same version: raise VERSION in amslib/method.py, then run "
        "tools/golden.py and `make reproduce-all notebooks`"
    )
    assert found.keys() == known["digests"].keys(), "run tools/golden.py"


# tools/reproduce.py


def test_reproduce_completes_prunes_and_compares(committed, trained):
    grid = reproduce.Grid("synthetic-tiny", (QUICK,), (0,))
    (line,) = reproduce.reproduce([grid])
    assert line.endswith("new")
    (key,) = {path.stem for path in committed.iterdir()}
    assert line.startswith(f"{key}  synthetic-tiny, seed 0: mean mAP ")

    (line,) = reproduce.reproduce([grid])
    assert len(trained) == 1 and line.endswith("no mAP has moved more than 0")

    about = json.loads((committed / f"{key}.json").read_text())
    about["iterations"][0]["thumos14"]["mAP"][0] += 0.25
    (committed / f"{key}.json").write_text(json.dumps(about))
    (committed / "README.md").write_text("stays")
    (line,) = reproduce.reproduce([grid], anew=True)
    assert len(trained) == 2 and line.endswith("no mAP has moved more than 25")

    reproduce.reproduce([grid._replace(seeds=(1,))])
    assert {path.stem for path in committed.iterdir()} == {"README", reproduce_key(1)}


def reproduce_key(seed: int) -> str:
    return record_key(QUICK, seed, load("synthetic-tiny"))


@pytest.mark.parametrize(
    ("words", "names", "partial"),
    [([], list(reproduce.GRIDS), False), (["paper", "tiny"], ["tiny", "paper"], True)],
    ids=["all", "two"],
)
def test_which_grids_are_reproduced(words, names, partial, monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(reproduce, "processes", nullcontext)
    monkeypatch.setattr(reproduce, "reproduce", lambda *given: seen.append(given) or ["told"])
    reproduce.main([*words, "--anew"])
    chosen = [grid for name in reproduce.GRIDS if name in names for grid in reproduce.GRIDS[name]]
    assert seen == [(chosen, True, partial, None)]
    assert capsys.readouterr().out == "told\n"


def test_a_grid_that_there_is_not_is_told(capsys):
    with pytest.raises(SystemExit):
        reproduce.main(["papr"])
    assert "did you mean 'paper'" in capsys.readouterr().err
