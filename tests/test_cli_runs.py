"""Runs of the command line: how their data are read, what is never replaced, and what is said."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import environment, run_main

from amslib import Config, Run, cli, load, train
from amslib.experiments import EXPERIMENTS, set_in_every_row

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]
SHORT = [
    *("-s", "steps_per_epoch=15", "-s", "epochs_zero=2", "-s", "epochs=1", "-s", "iterations=0"),
    *("-s", "lr=0.001"),
]
SECONDS = 0.4


def recordings(
    folder: Path, classes=("Open", "Pour"), parts=("train", "test"), name: str = "video"
) -> Path:
    """Four videos a part in one's own layout, a row every 0.4 s; an action fills rows 6 to 11."""
    rng, labels = np.random.default_rng(3), ["video,subset,labels"]
    segments = ["video,start,end,label"]
    (folder / "features").mkdir(parents=True)
    for part in parts:
        for i in range(4):
            k, video = i % len(classes), f"{name}_{part}_{i}"
            x = rng.normal(size=(24, 6)).astype(np.float32)
            x[6:12, k] += 8
            np.save(folder / "features" / f"{video}.npy", x)
            labels.append(f"{video},{part},{classes[k]}")
            segments.append(f"{video},{6 * SECONDS},{12 * SECONDS},{classes[k]}")
    (folder / "labels.csv").write_text("\n".join([*labels, ""]))
    (folder / "segments.csv").write_text("\n".join([*segments, ""]))
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, Path]:
    """A folder of features and a run that was trained on it."""
    home = tmp_path_factory.mktemp("home")
    data, run = recordings(home / "data"), home / "run"
    words = ["--data", data, "--snippet-seconds", SECONDS, "--out", run, *SHORT]
    assert run_main("train", *words) == 0
    return data, run


@pytest.fixture
def evaluated(capsys):
    """evaluated(*options): the scores, and what is said beside them."""

    def evaluate(*options) -> tuple[dict, str]:
        capsys.readouterr()
        code = run_main("evaluate", *options, "--json")
        told = capsys.readouterr()
        assert code == 0, told.err
        return json.loads(told.out), told.err

    return evaluate


# How data are read


def test_other_data_are_read_as_those_of_training(trained, evaluated, tmp_path, capsys):
    data, run = trained
    own, told = evaluated("--run", run)
    assert told == "" and own["average_mAP"] > 0.5
    other = shutil.copytree(data, tmp_path / "other")
    scores, told = evaluated("--run", run, "--data", other)
    assert scores == own
    assert told == f"{other} is read as the training data of {run} were: snippet_seconds=0.4\n"
    for name, words in (("a", []), ("b", ["--data", other])):
        assert run_main("predict", "--run", run, "--out", tmp_path / name, *words) == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_option_that_differs_from_training_is_used_and_reported(trained, evaluated):
    data, run = trained
    scores, told = evaluated("--run", run, "--data", data, "--snippet-seconds", 0.8)
    assert scores != evaluated("--run", run)[0]
    assert "read otherwise than the training data" in told and "lasted 0.4 s, now 0.8 s" in told


def test_a_folder_that_states_its_own_snippets_takes_no_option(trained, evaluated, tmp_path):
    data, run = trained
    for seconds, folder in ((SECONDS, tmp_path / "same"), (0.5, tmp_path / "other")):
        assert run_main("convert", data, "--out", folder, "--snippet-seconds", seconds) == 0
    scores, told = evaluated("--run", run, "--data", tmp_path / "same")
    assert scores == evaluated("--run", run)[0] and told == ""
    scores, told = evaluated("--run", run, "--data", tmp_path / "other")
    assert "a snippet lasted 0.4 s, now 0.5 s" in told and told.count("\n") == 1


def test_what_the_training_data_stated_themselves_is_remembered(trained, evaluated, tmp_path):
    data, _ = trained
    assert run_main("convert", data, "--out", tmp_path / "p", "--snippet-seconds", SECONDS) == 0
    assert run_main("train", "--data", tmp_path / "p", "--out", tmp_path / "run", *SHORT) == 0
    scores, told = evaluated("--run", tmp_path / "run", "--data", data)
    assert scores == evaluated("--run", tmp_path / "run")[0] and "snippet_seconds=0.4" in told


def test_the_advice_for_a_moved_folder_gives_the_same_scores(trained, evaluated, tmp_path, capsys):
    data, run = trained
    shutil.copytree(data, tmp_path / "old")
    shutil.copytree(run, tmp_path / "run")
    about = json.loads((run / "data.json").read_text())
    (tmp_path / "run" / "data.json").write_text(json.dumps(about | {"data": "/gone/away"}))
    assert run_main("evaluate", "--run", tmp_path / "run") == 2
    told = capsys.readouterr().err
    assert "/gone/away" in told and "--data" in told and "snippet_seconds=0.4" in told
    scores, _ = evaluated("--run", tmp_path / "run", "--data", tmp_path / "old")
    assert scores == evaluated("--run", run)[0]


def test_a_run_saved_from_python_does_not_know_its_data(trained, evaluated, tmp_path, capsys):
    data, run = trained
    Run.load(run).save(tmp_path)
    assert run_main("evaluate", "--run", tmp_path) == 2
    assert "--data if it was saved from Python" in capsys.readouterr().err
    words = "--run", tmp_path, "--data", data
    scores, told = evaluated(*words, "--snippet-seconds", SECONDS)
    assert scores == evaluated("--run", run)[0]
    assert "is unknown" in told and "snippet_seconds=0.4" in told


def test_a_run_saved_over_another_does_not_inherit_its_data(trained, tmp_path):
    shutil.copytree(trained[1], tmp_path / "run")
    run = Run.load(tmp_path / "run")
    run.seed = 7
    run.save(tmp_path / "run")
    assert not (tmp_path / "run" / "data.json").exists()


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe" * 50_000, b"{}", b"[1]", b'{"data": 3, "options": {}, "fingerprint": ""}'],
    ids=["binary", "empty", "list", "number"],
)
def test_a_damaged_data_json_is_reported_briefly(trained, evaluated, tmp_path, content, capsys):
    data, run = trained
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "data.json").write_bytes(content)
    assert run_main("evaluate", "--run", tmp_path / "run") == 2
    told = capsys.readouterr().err
    assert "data.json: cannot be read" in told and "pass --data" in told and len(told) < 600
    _, told = evaluated("--run", tmp_path / "run", "--data", data)
    assert "is unknown" in told and max(map(len, told.splitlines())) < 600


def test_a_run_of_an_earlier_version_is_read_as_its_options_say(trained, evaluated, tmp_path):
    data, run = trained
    shutil.copytree(run, tmp_path / "run")
    about = json.loads((run / "data.json").read_text())
    old = {key: about[key] for key in ("data", "options", "fingerprint")}
    (tmp_path / "run" / "data.json").write_text(json.dumps(old))
    expected = evaluated("--run", run)[0]
    assert evaluated("--run", tmp_path / "run")[0] == expected
    assert evaluated("--run", tmp_path / "run", "--data", data)[0] == expected


# A finished run


def command(trained, *changes) -> list:
    data, run = trained
    return ["train", "--data", data, "--snippet-seconds", SECONDS, "--out", run, *SHORT, *changes]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def no_training(monkeypatch):
    monkeypatch.setattr(cli, "train", lambda *_, **__: pytest.fail("it has trained"))


@pytest.mark.usefixtures("no_training")
def test_the_same_command_again_does_nothing(trained, capsys):
    before = contents(trained[1])
    assert run_main(*command(trained)) == 0
    assert "already holds this run" in capsys.readouterr().err
    assert contents(trained[1]) == before


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (["-s", "eta=0.3"], "eta was 0.75, now 0.3"),
        (["--seed", "4"], "seed was 0, now 4"),
        (["--snippet-seconds", "0.2"], "snippet_seconds was 0.4, now 0.2"),
        (["--data", "synthetic-tiny", "-o", "seed=2"], "now 'synthetic-tiny'"),
    ],
    ids=["config", "seed", "reading", "data"],
)
def test_another_training_is_refused(trained, changes, told, capsys):
    words = command(trained, *changes)
    if "--data" in changes:  # generated data have no such option
        del words[3:5]
    before = contents(trained[1])
    assert run_main(*words) == 2
    shown = capsys.readouterr().err
    assert told in shown and "another folder with --out, or delete" in shown
    assert shown.count("\n") == 1 and len(shown) < 700
    assert contents(trained[1]) == before


@pytest.mark.usefixtures("no_training")
def test_data_that_changed_since_training_are_another_training(trained, tmp_path, capsys):
    data = shutil.copytree(trained[0], tmp_path / "data")
    run = shutil.copytree(trained[1], tmp_path / "run")
    about = json.loads((run / "data.json").read_text())
    (run / "data.json").write_text(json.dumps(about | {"data": str(data)}))
    extra = "video_train_0,train,Open"
    text = (data / "labels.csv").read_text()
    (data / "labels.csv").write_text(text.replace(extra, extra[:-4] + "Pour"))
    assert run_main(*command((data, run))) == 2
    assert f"the data in {data} have changed since" in capsys.readouterr().err


@pytest.mark.usefixtures("no_training")
def test_other_code_is_another_training(trained, monkeypatch, capsys):
    monkeypatch.setattr("amslib.source.method_fingerprint", lambda: "other")
    assert run_main(*command(trained)) == 2
    assert "another version of the method's code" in capsys.readouterr().err


@pytest.mark.usefixtures("no_training")
def test_a_run_whose_data_are_unknown_is_not_replaced(trained, tmp_path, capsys):
    Run.load(trained[1]).save(tmp_path)
    assert run_main(*command((trained[0], tmp_path))) == 2
    assert "not what it was trained on" in capsys.readouterr().err


@pytest.mark.usefixtures("no_training")
def test_a_damaged_run_is_not_replaced(trained, tmp_path, capsys):
    run = shutil.copytree(trained[1], tmp_path / "run")
    (run / "run.json").write_bytes(b"\xff" * 100_000)
    assert run_main(*command((trained[0], run))) == 2
    told = capsys.readouterr().err
    assert "not a readable run" in told and "delete it" in told and len(told) < 700


# Data that do not go with the run


def test_classes_that_the_run_does_not_know_are_reported(trained, evaluated, tmp_path):
    data = recordings(tmp_path / "data", ("Open", "Stir"), name="new")
    scores, told = evaluated("--run", trained[1], "--data", data)
    assert scores["per_class"]["Stir"] == [0] * 7 and scores["per_class"]["Open"][0] > 0
    assert "1 of 2 classes" in told and "(Stir)" in told and "trained on Open, Pour" in told


def test_another_order_of_classes_changes_nothing(trained, evaluated, tmp_path):
    data, run = trained
    words = "convert", data, "--out", tmp_path / "p", "--snippet-seconds", SECONDS
    assert run_main(*words) == 0
    file = tmp_path / "p" / "dataset.json"
    about = json.loads(file.read_text())
    file.write_text(json.dumps(about | {"classes": about["classes"][::-1]}))
    scores, told = evaluated("--run", run, "--data", tmp_path / "p")
    assert scores == evaluated("--run", run)[0] and told == ""


@pytest.mark.parametrize("verb", [["evaluate"], ["predict", "--out", "found.json"]])
def test_a_folder_without_a_test_part_is_refused(trained, tmp_path, verb, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = recordings(tmp_path / "data", parts=["train"])
    assert run_main(*verb, "--run", trained[1], "--data", data) == 2
    assert "no test videos, only 4 training videos" in capsys.readouterr().err
    assert not Path("found.json").exists()


def test_test_videos_that_were_trained_on_are_reported(trained, evaluated, tmp_path):
    data = shutil.copytree(trained[0], tmp_path / "data")
    text = (data / "labels.csv").read_text()
    (data / "labels.csv").write_text(text.replace("_0,train", "_0,test"))
    _, told = evaluated("--run", trained[1], "--data", data)
    assert "was trained on 1 of the 5 test videos" in told and "(video_train_0)" in told


# Grids


@pytest.mark.parametrize(
    ("experiment", "field", "value"),
    [
        ("table4", "sampler", "none"),
        ("table4", "sampler", "uniform"),
        ("table5", "aggregation", "average"),
        ("fig4", "iterations", 2),
        ("fig5", "eta", 0.5),
    ],
)
def test_what_every_row_sets_itself_is_refused(experiment, field, value, capsys):
    words = ["--experiment", experiment, "--data", "synthetic-tiny", "-s", f"{field}={value}"]
    assert run_main("grid", *words) == 2
    told = capsys.readouterr().err
    assert f"--set {field}={value}: every row of {experiment} sets {field} itself" in told


def test_each_experiment_owns_the_fields_that_none_of_its_rows_takes_from_the_base():
    fields = list(Config.__dataclass_fields__)
    own = {e: [f for f in fields if set_in_every_row(e, Config(), f)] for e in EXPERIMENTS}
    assert {name: found for name, found in own.items() if found} == {
        "table4": ["sampler"],
        "table5": ["aggregation"],
        "fig4": ["iterations"],
        "fig5": ["eta"],
    }


@pytest.mark.parametrize(
    ("experiment", "base", "unreached"),
    [
        ("table3", dict(iterations=2), "A, B, C:"),
        ("table3", dict(supervision="self"), "A, B, C:"),
        ("table3", dict(topk=4), None),
        ("ledger", dict(topk=5), "top-k: 4:"),
        ("paper", dict(eta=0.5), "fig5 0, fig5 0.25, fig5 0.75,"),
    ],
)
def test_rows_that_keep_their_own_value_are_named(experiment, base, unreached, capsys):
    rows = cli._rows(experiment, Config(**base), base)
    assert rows == EXPERIMENTS[experiment](Config(**base))
    told = capsys.readouterr().err
    assert (f" is not in {unreached}" in told) if unreached else told == ""


def test_rows_that_are_the_same_in_every_number_are_named(tmp_path, capsys):
    words = ["--experiment", "table5", "--data", "synthetic-tiny", "-o", "width=8", "--seeds", 1]
    words += ["-s", "sampler=none", "-s", "steps_per_epoch=2", "-s", "epochs_zero=1"]
    words += ["-s", "epochs=1", "-s", "iterations=1", "--out", tmp_path]
    assert run_main("grid", *words) == 0
    told = capsys.readouterr().out
    assert "the same in every number: random, average, maximum; with these settings" in told


# Terminals


def show(*words, shell: str = "", **changes) -> subprocess.CompletedProcess:
    program = [sys.executable, "-m", "amslib", *map(str, words)]
    if shell:
        program = ["sh", "-c", f'"$@" {shell}', "sh", *program]
    env = environment(OMP_NUM_THREADS="1", **changes)
    return subprocess.run(program, capture_output=True, env=env)


def test_json_and_paths_bear_no_colours(trained):
    data, run = trained
    words = "evaluate", "--run", run, "--data", data, "--json"
    shown = show(*words, FORCE_COLOR="1", NO_COLOR="")
    assert json.loads(shown.stdout)["protocol"] == "activitynet"
    assert b"\x1b" not in shown.stderr and f"{data} is read as".encode() in shown.stderr


@pytest.mark.parametrize(
    "changes",
    [
        dict(COLUMNS="20"),
        dict(COLUMNS="300", TERM="dumb"),
        dict(PYTHONIOENCODING="ascii", PYTHONUTF8="0"),
        dict(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"),
    ],
    ids=str,
)
def test_a_table_is_whole_in_any_terminal(trained, changes):
    shown = show("evaluate", "--run", trained[1], **changes)
    assert shown.returncode == 0, shown.stderr
    text = shown.stdout.decode(errors="replace")
    for name in ("AVG(0.1-0.5)", "AVG(0.1-0.7)"):
        (row,) = (line for line in text.splitlines() if name in line)
        assert row.strip(" |│").replace(name, "").strip(" |│").replace(".", "").isdigit()


def test_signs_that_an_encoding_lacks_are_spelt_out(capsys, monkeypatch, tmp_path):
    """A grid prints ±; so may the names of classes and files."""
    from types import SimpleNamespace

    from rich.console import Console

    scores = SimpleNamespace(average=lambda *_: 0.5, to_dict=dict)
    record = SimpleNamespace(evaluation=lambda: scores)
    with (tmp_path / "shown").open("w", encoding="ascii") as file:
        monkeypatch.setattr(cli, "out", Console(file=file, emoji=False, width=90))
        cli._print_grid({"row": [record, record]})
    assert "50.0 +-" in (tmp_path / "shown").read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of a POSIX shell")
def test_a_reader_who_has_read_enough_gets_no_complaint(trained):
    run = trained[1]
    assert show("evaluate", "--run", run, shell="| head -n 1 >/dev/null").stderr == b""
    assert show("evaluate", "--run", run, "--json", shell="| true").stderr == b""
    closed = show("evaluate", "--run", run, shell=">&-")
    assert closed.returncode == 0 and closed.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_output_that_cannot_be_written_is_one_error(trained):
    shown = show("evaluate", "--run", trained[1], "--json", shell=">/dev/full")
    assert shown.returncode == 2 and b"No space left" in shown.stderr
    assert b"Traceback" not in shown.stderr and b"ignored" not in shown.stderr


def test_it_needs_neither_a_home_nor_a_temporary_folder(trained, tmp_path):
    away = str(tmp_path / "file" / "x")
    (tmp_path / "file").touch()
    words = command((trained[0], tmp_path / "run"))
    shown = show(*words, HOME=away, TMPDIR=away, XDG_CACHE_HOME=away)
    assert shown.returncode == 0, shown.stderr
    assert (tmp_path / "run" / "data.json").is_file()


def test_the_version_is_printed(capsys):
    assert run_main("--version") == 0
    assert capsys.readouterr().out.startswith("amslib ")


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("True", True), ("False", False), ("None", None), ("null", None)],
)
def test_values_are_spelt_as_in_json_or_in_python(text, value):
    assert cli._pairs([f"x={text}"]) == {"x": value}
    assert cli._pairs(["x=True North"]) == {"x": "True North"}


def test_python_and_command_line_train_the_same(trained):
    data, run = trained
    config = Run.load(run).config
    again = train(load(data, snippet_seconds=SECONDS), config)
    assert again.history == Run.load(run).history
