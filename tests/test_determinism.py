"""What is told of a machine, and the tool that measures how far apart trainings end."""

from __future__ import annotations

import json
import platform
from dataclasses import replace

import measure_determinism
import numpy as np
import pytest
import torch
from measure_determinism import MOMENTS, REFERENCE, Setting, apart, settings, shaken, trained

from amslib import Config, load, machine
from amslib.method import method_fingerprint

TINY = load("synthetic-tiny", width=8)
QUICK = Config(steps_per_epoch=2, epochs_zero=1, epochs=1, iterations=1)
pytestmark = pytest.mark.usefixtures("one_thread")


# what a record tells of the machine


def test_a_machine_is_described_by_what_changes_digits_and_not_by_name(monkeypatch):
    for name in machine.CHOICES:
        monkeypatch.delenv(name, raising=False)
    told = machine.described("cpu")
    assert told["threads"] == 1 and told["torch"] == torch.__version__
    assert told["kernels"] == torch.backends.cpu.get_cpu_capability()
    assert all(str(value) for value in told.values()) and "chosen" not in told
    assert platform.node() not in json.dumps(told) and "/" not in json.dumps(told)
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    assert machine.described("cpu") == told | {"chosen": {"MKL_CBWR": "COMPATIBLE"}}


def test_the_processor_is_the_one_that_linux_names(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "CPU", tmp_path / "cpuinfo")
    assert machine.processor() == (platform.processor() or platform.machine())
    (tmp_path / "cpuinfo").write_text("processor : 0\nmodel name\t: Made Up 3: fast\n" * 2)
    assert machine.processor() == "Made Up 3: fast"


@pytest.mark.parametrize(
    "config, products",
    [
        ("  - Intel(R) oneAPI Math Kernel Library Version 2024.2-Product Build", "MKL 2024.2"),
        ("  - Build settings: BLAS_INFO=accelerate, BUILD_TYPE=Release", "accelerate"),
        ("nothing known", "unknown"),
    ],
)
def test_the_library_of_products(config, products):
    assert machine._products(config) == products


# tools/measure_determinism.py


@pytest.fixture(scope="module")
def reference():
    return trained(Setting(REFERENCE), TINY, QUICK)


@pytest.mark.slow
def test_the_same_training_is_bitwise_the_same(reference):
    told = apart(trained(Setting("again"), TINY, QUICK), reference)
    assert told["equal"] and not told["losses"]
    assert not any(value for moment in MOMENTS for value in told[moment].values())


def test_a_training_changed_by_a_little_is_told_apart(reference):
    told = apart(trained(Setting("noise", noise=1e-7), TINY, QUICK), reference)
    assert not told["equal"]
    assert 0 < told["one step"]["parameters"] < 1e-5 and 0 < told["one step"]["cas"] < 1e-4


def test_distances_are_the_largest_of_each_moment():
    def run(weight, cas, score):
        made = {"losses": np.array([[2.0, 4.0]])}
        for moment in MOMENTS:
            made[f"{moment}/parameters/a/w"] = np.array([weight, -4.0])
            made[f"{moment}/cas/v/rgb/base"] = np.array([cas, 0.5])
            made[f"{moment}/map"] = np.array([score])
        return made

    told = apart(run(1.0, 0.25, 50.0), run(3.0, 0.5, 49.0))
    assert told["losses"] == 0 and not told["equal"]
    assert told["end"] == {
        "parameters": 2.0,
        "relative": 0.5,
        "cas": 0.25,
        "mean cas": 0.125,
        "map": 1.0,
    }


def test_noise_reaches_every_feature_and_stays_small():
    pairs = zip(TINY.train, shaken(TINY, 1e-3).train, strict=True)
    for was, now in ((a.features["rgb"], b.features["rgb"]) for a, b in pairs):
        seen = was != 0
        assert now.dtype == was.dtype and (now != was)[seen].mean() > 0.99
        np.testing.assert_allclose(now, was, rtol=1e-2)


def test_a_setting_tries_only_kernels_that_the_processor_has():
    names = {level: [s.name for s in settings(level, cuda=False)] for level in ("AVX2", "AVX512")}
    assert "kernels AVX512" in names["AVX512"] and "kernels AVX512" not in names["AVX2"]
    assert "kernels DEFAULT" in names["AVX2"]
    assert not any(s.name.startswith("kernels") for s in settings("unheard of", cuda=False))
    everything = settings("AVX512", cuda=True)
    known = [s.name for s in everything]
    assert len(set(known)) == len(known)
    for place, setting in enumerate(everything[1:], start=1):
        assert setting.of in known[:place]


def test_a_setting_that_fails_is_told_and_the_others_go_on(tmp_path, monkeypatch):
    def started(setting, scale, path):
        if setting.device == "cuda":
            return "RuntimeError: no GPU"
        measure_determinism.save_file(made | {"losses": made["losses"] + setting.noise}, path)

    made = {"losses": np.ones((1, 2))}
    for moment in MOMENTS:
        made |= {f"{moment}/{what}": np.ones(1) for what in ("parameters/w", "cas/v", "map")}
    monkeypatch.setattr(measure_determinism, "started", started)
    chosen = [Setting(REFERENCE), Setting("noise", noise=0.5), Setting("GPU", device="cuda")]
    noisy, failed = measure_determinism.rows("short", chosen, tmp_path)
    assert noisy["name"] == "noise" and noisy["losses"] == 0.5 and not noisy["equal"]
    assert failed == {"name": "GPU", "of": REFERENCE, "error": "RuntimeError: no GPU"}
    (tmp_path / "there").mkdir()
    there = measure_determinism.rows("short", chosen[:2], tmp_path / "there", tmp_path)
    assert [(row["of"], row["equal"]) for row in there] == [("the same there", True)] * 2


def test_the_file_tells_its_code_and_takes_no_rows_of_other_code(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(measure_determinism, "rows", lambda *_: [])
    monkeypatch.setattr(measure_determinism, "scores", lambda *_: {})
    monkeypatch.setattr(measure_determinism, "spread", lambda: {})
    out = tmp_path / "out.json"
    measure_determinism.main(["--out", str(out)])
    there = ["--out", str(out), "--against", str(tmp_path)]
    measure_determinism.main(there)
    told = json.loads(out.read_text())
    assert told["method"] == method_fingerprint() and len(told["elsewhere"]) == 1
    out.write_text(json.dumps(told | {"method": "other"}))
    with pytest.raises(SystemExit):
        measure_determinism.main(there)
    assert "other code" in capsys.readouterr().err


def test_settings_train_in_their_own_environment(monkeypatch, tmp_path):
    seen = {}

    def run(words, env, **_):
        seen.update(env)
        return measure_determinism.subprocess.CompletedProcess(words, 1, stderr="a\nlast line\n")

    monkeypatch.setattr(measure_determinism.subprocess, "run", run)
    monkeypatch.setenv("MKL_CBWR", "AVX2")
    setting = replace(Setting("x"), variables=(("ATEN_CPU_CAPABILITY", "default"),))
    assert measure_determinism.started(setting, "short", tmp_path / "x") == "last line"
    assert seen["ATEN_CPU_CAPABILITY"] == "default" and "MKL_CBWR" not in seen
