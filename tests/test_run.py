"""A run: its CAS, predictions, and files."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from amslib import Config, Run, fuse, load, train

TINY = load("synthetic-tiny", width=16)
QUICK = Config(steps_per_epoch=5, epochs_zero=2, epochs=1, iterations=1)


@pytest.fixture(scope="module")
def trained() -> Run:
    return train(TINY, QUICK, seed=5)


def test_save_and_load_round_trip(trained, tmp_path):
    trained.save(tmp_path / "run")
    again = Run.load(tmp_path / "run")
    assert again.config == trained.config and again.classes == trained.classes and again.seed == 5
    assert again.history == trained.history
    for iteration in (0, 1):
        assert again.predict(TINY.test, iteration) == trained.predict(TINY.test, iteration)
    assert {p.name for p in (tmp_path / "run").iterdir()} == {"run.json", "run.safetensors"}


def test_a_missing_or_damaged_run_is_refused(trained, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"run\.json"):
        Run.load(tmp_path)
    trained.save(tmp_path)
    whole = (tmp_path / "run.safetensors").read_bytes()
    (tmp_path / "run.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="not a readable run"):
        Run.load(tmp_path)
    (tmp_path / "run.safetensors").write_bytes(whole)
    (tmp_path / "run.json").write_text('{"format": 99}')
    with pytest.raises(ValueError, match="format 99"):
        Run.load(tmp_path)


OTHERS = {
    "one branch": lambda w, about: about["config"].update(
        branches=1, sampler="none", supervision="none"
    ),
    "another width": lambda w, about: about["config"].update(hidden=8),
    "more iterations": lambda w, about: about["config"].update(iterations=2),
    "a background class": lambda w, about: about["config"].update(background=True),
    "one class fewer": lambda w, about: about["classes"].pop(),
    "a weight under another name": lambda w, about: w.update(x=w.pop("0/rgb/base/bias1")),
    "a weight too many": lambda w, about: w.update({"2/rgb/base/bias1": torch.ones(1)}),
    "a weight that is a number": lambda w, about: w.update({"0/rgb/supp/weight1": torch.ones(())}),
    "two models in one": lambda w, about: w.update({k: p.repeat(2, 1, 1) for k, p in w.items()}),
    "no seed": lambda w, about: about.pop("seed"),
    "a seed that is a text": lambda w, about: about.update(seed="x"),
    "a seed that is a flag": lambda w, about: about.update(seed=True),
    "no history": lambda w, about: about.pop("history"),
    "a history that is a text": lambda w, about: about.update(history="x"),
    "epochs that are numbers": lambda w, about: about.update(history=[1]),
    "no classes": lambda w, about: about.pop("classes"),
    "classes that are a text": lambda w, about: about.update(classes="Dive"),  # of 4 letters
    "classes that are none": lambda w, about: about.update(classes=[{"name": "Dive"}] * 4),
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_run_that_was_not_saved_so_is_refused(trained, tmp_path, what):
    trained.save(tmp_path)
    about = json.loads((tmp_path / "run.json").read_text())
    weights = load_file(tmp_path / "run.safetensors")
    OTHERS[what](weights, about)
    (tmp_path / "run.json").write_text(json.dumps(about))
    save_file(weights, tmp_path / "run.safetensors")
    with pytest.raises(ValueError, match="not a readable run"):
        Run.load(tmp_path)


def test_cas_has_the_shape_eq_12_expects(trained):
    video = TINY.test[0]
    cas = trained.cas(video)
    assert {s: set(b) for s, b in cas.items()} == {s: {"base", "supp"} for s in ("rgb", "flow")}
    assert fuse(cas).shape == (video.num_snippets, 4)
    where = trained.positions(video)["rgb"]
    assert where.shape == (video.num_snippets,) and (where.diff() > 0).all()


@pytest.mark.parametrize("how", ["predicted", "all", "argmax", "oracle"])
def test_classes_that_steer_the_sampler_at_test_time(trained, how):
    run = Run(replace(QUICK, test_classes=how), trained.classes, trained.seed)
    run.states = trained.states
    video = next(v for v in TINY.test if len(v.labels) == 1)
    truth = torch.from_numpy(TINY.labels([video])[0])
    given = {"all": torch.ones(4), "oracle": truth}
    if how in given:
        told = trained.positions(video, classes=given[how])["rgb"]
        assert torch.equal(run.positions(video)["rgb"], told)
    assert torch.equal(run.cas(video)["rgb"]["base"], trained.cas(video)["rgb"]["base"])
    if how == "all":
        assert not torch.equal(run.positions(video)["rgb"], trained.positions(video)["rgb"])


def test_labels_of_a_test_video_are_not_used(trained):
    """Only the "oracle" may know them."""
    video = TINY.test[0]
    stripped = replace(video, labels=(), segments=())
    assert trained.predict([stripped]) == trained.predict([video])


def test_a_video_that_does_not_fit_is_named(trained):
    video = TINY.test[0]
    with pytest.raises(ValueError, match=f"{video.id}: no rgb features"):
        trained.cas(replace(video, features={"flow": video.features["flow"]}))
    narrow = {s: x[:, :3] for s, x in video.features.items()}
    with pytest.raises(ValueError, match=f"{video.id}: rgb features are 3 wide"):
        trained.cas(replace(video, features=narrow))
