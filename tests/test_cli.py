"""The command line as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from helpers import environment

from amslib import Detection, load
from amslib.cli import main
from amslib.detections import write_detections

pytestmark = pytest.mark.slow

SHARED = Path(__file__).parents[2] / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is not there")
QUICK = [
    *("--set", "steps_per_epoch=2", "-s", "epochs_zero=2", "-s", "epochs=1"),
    *("-s", "iterations=1"),
]


def amslib(*arguments, ok=0) -> subprocess.CompletedProcess:
    done = subprocess.run(
        [sys.executable, "-m", "amslib", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert done.returncode == ok, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def call(monkeypatch):
    """call(*arguments): in this process; returns the exit code."""

    def main_with(*arguments) -> int:
        monkeypatch.setattr(sys, "argv", ["amslib", *map(str, arguments)])
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # main replaces it
        with pytest.raises(SystemExit) as left:
            main()
        return left.value.code

    return main_with


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "a"
    told = amslib("train", "--data", "synthetic-tiny", "--seed", 1, "--out", folder, *QUICK)
    assert "trained 1 iteration;" in told.stderr
    return folder


def test_train_then_evaluate_prints_a_table_and_json(run):
    table = amslib("evaluate", "--run", run).stdout
    for row in ("0.1", "0.7", "AVG(0.1-0.5)", "AVG(0.3-0.7)", "AVG(0.1-0.7)"):
        assert f"│ {row} " in table
    told = json.loads(amslib("evaluate", "--run", run, "--json").stdout)
    assert set(told) == {"protocol", "tiou", "mAP", "average_mAP", "per_class"}
    assert len(told["tiou"]) == len(told["mAP"]) == 7
    assert told["average_mAP"] == pytest.approx(np.mean(told["mAP"]), abs=1e-12)
    assert f"{100 * told['mAP'][0]:.1f}" in table


def test_predict_then_evaluate_the_file_gives_the_same_numbers(run, tmp_path):
    found, truth = tmp_path / "found.json.gz", tmp_path / "truth.json"
    amslib("predict", "--run", run, "--out", found)
    test = load("synthetic-tiny").test
    database = {
        v.id: {
            "subset": "test",
            "duration": v.duration,
            "annotations": [{"segment": [s, e], "label": c} for s, e, c in v.segments],
        }
        for v in test
    }
    truth.write_text(json.dumps({"database": database}))
    by_file = amslib("evaluate", "--detections", found, "--ground-truth", truth, "--json")
    by_run = amslib("evaluate", "--run", run, "--json")
    assert json.loads(by_file.stdout) == json.loads(by_run.stdout)


def test_thresholds_are_free(tmp_path):
    file = tmp_path / "own.json"
    segment = {"segment": [0.0, 4.0], "label": "a"}
    truth = {"v": {"duration": 9.0, "annotations": [segment], "ambiguous": []}}
    file.write_text(
        json.dumps({"ground_truth": truth, "detections": {"v": [segment | {"score": 1.0}]}})
    )
    for text, expected in (
        ("0.5:0.95:0.05", np.linspace(0.5, 0.95, 10)),
        ("0.1:0.9:0.1", np.linspace(0.1, 0.9, 9)),
        ("0.5,0.75", [0.5, 0.75]),
    ):
        told = json.loads(amslib("evaluate", "--detections", file, "--tiou", text, "--json").stdout)
        assert told["tiou"] == list(expected) and told["mAP"] == [1.0] * len(expected)


@needs_shared
def test_the_papers_autoloc_row():
    table = amslib("evaluate", "--detections", SHARED / "detections" / "S1.json.gz").stdout
    for value in ("35.8", "29.0", "21.2", "13.4", "5.8"):
        assert f" {value} │" in table


@needs_shared
def test_ten_real_videos_from_features_to_detections(tmp_path):
    folder = SHARED / "activitynet10"
    told = amslib("train", "--data", folder, "--out", tmp_path / "a", *QUICK)
    assert "snippet_seconds=2.56" in told.stderr
    told = amslib(
        *("train", "--data", folder, "--snippet-seconds", 2.56, "--out", tmp_path / "b", *QUICK)
    )
    assert "snippet_seconds" not in told.stderr
    amslib("predict", "--run", tmp_path / "b", "--out", tmp_path / "found.json")
    found = json.loads((tmp_path / "found.json").read_text())["results"]
    assert len(found) == 3 and all(found.values())


@needs_shared
def test_check_reports_and_sets_the_exit_code(tmp_path):
    told = amslib("check", SHARED / "activitynet10")
    assert "7 videos" in told.stdout and "2.56" in told.stdout
    report = json.loads(amslib("check", SHARED / "activitynet10", "--json").stdout)
    assert report["ok"] and report["findings"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate"], "either --run FOLDER or --detections FILE"),
        (["evaluate", "--run", "nowhere"], "nowhere"),
        (["evaluate", "--detections", "nowhere.json"], "nowhere.json"),
        (["train", "--out", "x", "--data", "nowhere"], "nowhere"),
        (["train", "--out", "x", "--set", "etta=1"], "did you mean 'eta'?"),
        (["train", "--out", "x", "--set", "eta=-1"], "eta=-1"),
        (["train", "--out", "x", "--set", "eta"], "NAME=VALUE"),
        (["train", "--out", "x", "-o", "incompleteness=2"], "incompleteness=2"),
        (["train", "--out", "x", "-o", "seed=-1"], "seed=-1; expected 0 or more"),
        (["train", "--out", "x", "-o", "seed=abc"], "seed='abc'; expected a whole number"),
        (["train", "--out", "x", "-o", "width=a"], "width='a'; expected a whole number"),
        (["train", "--out", "x", "-o", "incompleteness=a"], "incompleteness='a'; expected a num"),
        (["train", "--out", "x", "--device", "foo"], "device='foo'; expected auto, cpu, cuda"),
        (["train", "--out", "x", "--device", "cuda:99"], "device='cuda:99', but torch finds"),
        (["train", "--out", "x", "--seed", "-1"], "Invalid value for"),
        (["train", "--out", "x", "-o", "foo=1"], "unknown option foo for synthetic: its generator"),
        (["train", "--out", "there"], "there: cannot be written (File exists). It, or what it"),
        (["grid", "--experiment", "table9"], "unknown experiment 'table9': did you mean 'table"),
        (
            ["evaluate", "--detections", "x", "--protocol", "al"],
            "protocol 'al': did you mean 'all'",
        ),
        (["evaluate", "--detections", "x", "--data", "y"], "go with --run alone"),
        (["train", "--out", "x", "--set", "eta=1", "topk=4"], "--set eta=1 --set topk=4"),
        (["train", "--out", "x", "-s", "eta=1", "topk=4"], "-s eta=1 -s topk=4"),
        (["train", "--out", "x", "-o", "seed=1", "width=4"], "-o seed=1 -o width=4"),
        (["train", "--out", "x", "--set", f"sampler={'none' * 9999}"], "expected one of"),
        (["train", "--out", "x", "--set", f"{'eta' * 9999}=1"], "unknown field"),
        (["predict", "--run", "x", "--out", "y", "--snippet-seconds", "9"], "without --data"),
        (["predict", "--run", "x", "--out", "y", "-o", "seed=1"], "without --data"),
        (["evaluate", "--run", "x", "--ground-truth", "y"], "--ground-truth: goes with"),
        (["evaluate", "--detections", "x", "--iteration", "0"], "go with --run alone"),
        (["evaluate", "--detections", "x", "--device", "cpu"], "go with --run alone"),
        (["evaluate", "--detections", "x", "--tiou", "high"], "--tiou 'high'"),
        (["evaluate", "--detections", "x", "--tiou", "0.7:0.1:0.1"], "0.7:0.1:0.1"),
    ],
    ids=" ".join,
)
def test_mistakes_are_told_in_one_message(arguments, message, tmp_path, monkeypatch, call, capsys):
    monkeypatch.chdir(tmp_path)
    Path("there").touch()
    assert call(*arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert message in told.err and "Traceback" not in told.err and len(told.err) < 2000


def test_an_iteration_that_a_run_does_not_have_is_told(run, call, capsys):
    assert call("evaluate", "--run", run, "--iteration", "99") == 2
    assert "--iteration 99: the run has 0 to" in capsys.readouterr().err


def test_a_folder_that_is_no_data_set_fails_the_check(tmp_path):
    told = amslib("check", tmp_path, ok=1)
    assert "no known layout" in told.stdout
    assert not json.loads(amslib("check", tmp_path, "--json", ok=1).stdout)["ok"]


def test_data_that_changed_since_training_is_told(run, tmp_path):
    about = json.loads((run / "data.json").read_text())
    for file in run.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "data.json").write_text(json.dumps(about | {"options": {"seed": 5}}))
    assert "has changed since" in amslib("evaluate", "--run", tmp_path).stderr


def test_data_that_is_gone_since_training_is_told_and_may_be_named(run, tmp_path, call, capsys):
    for file in run.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    about = json.loads((run / "data.json").read_text())
    (tmp_path / "data.json").write_text(json.dumps(about | {"data": "/no/such/folder"}))
    assert call("evaluate", "--run", tmp_path) == 2
    assert "/no/such/folder: what" in (told := capsys.readouterr().err) and "--data" in told
    shown = amslib("evaluate", "--run", tmp_path, "--data", "synthetic-tiny", "--json").stdout
    assert shown == amslib("evaluate", "--run", run, "--json").stdout


def test_a_training_that_has_not_ended_is_told(tmp_path, call, capsys):
    (tmp_path / "checkpoint").mkdir()
    assert call("evaluate", "--run", tmp_path) == 2
    assert "not trained to the end; the same train command goes on" in capsys.readouterr().err


def test_unlike_names_are_told(tmp_path):
    write_detections([Detection("v", "a", 0.0, 1.0, 0.5)], tmp_path / "found.json")
    truth = {"database": {"w": {"subset": "test", "annotations": []}}}
    truth["database"]["w"]["annotations"] = [{"segment": [0, 1], "label": "a"}]
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    told = amslib(
        *("evaluate", "--detections", tmp_path / "found.json"),
        *("--ground-truth", tmp_path / "truth.json"),
    )
    assert "none of 1 detections has a video" in told.stderr


def test_paths_are_told_as_they_stand(tmp_path, call, capsys):
    """Neither markup nor the name of a picture, nor broken into lines."""
    folder = tmp_path / ("[/x] :bomb: " + 100 * "y")
    (folder / "checkpoint").mkdir(parents=True)
    data = "--data", "synthetic-tiny"
    assert call("train", *data, "--out", folder, *QUICK) == 0
    assert call("predict", "--run", folder, "--out", folder / "found.json") == 0
    assert call("convert", "synthetic-tiny", "--out", folder / "data") == 0
    told = capsys.readouterr().err
    for what in (
        f"{folder}/checkpoint is there: going on from it",
        f"saved in {folder}\n",
        f"written to {folder}/found.json\n",
        f"written to {folder}/data\n",
    ):
        assert what in told


def test_a_training_that_was_killed_while_it_was_saved_goes_on(tmp_path, call, monkeypatch):
    """Between the two files that tell of the run and of its data."""
    train = "train", "--data", "synthetic-tiny", "--out", tmp_path, *QUICK
    with monkeypatch.context() as broken:
        broken.setattr("amslib.source.write_whole", lambda _: sys.exit("killed"))
        assert call(*train) == "killed"
    assert not (tmp_path / "data.json").exists() and (tmp_path / "run.json").is_file()
    assert call(*train) == 0
    assert json.loads((tmp_path / "data.json").read_text())["options"] == {}
    assert not (tmp_path / "checkpoint").exists()
