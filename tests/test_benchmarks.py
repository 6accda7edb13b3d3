"""The benchmarks measure what they say; what they find is judged nowhere here."""

from __future__ import annotations

import json
from dataclasses import replace

import arithmetic
import gpu
import memory
import numpy as np
import pytest
import rates
import report
import torch
import watch
from arithmetic import Sizes
from counting import STEPS, config
from data import noise
from figures import Figures
from torch.utils.flop_counter import FlopCounterMode
from watch import OTHER, WHOLE, Phase, Watch, of_schedule

from amslib import Config, load, train
from amslib.batches import PairSampler
from amslib.experiments import paper_grid
from amslib.method import method_fingerprint

SIZE = Sizes(width=8, hidden=16, logits=4)


def counted(work) -> int:
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def two_layers(rows):
    x = torch.randn(rows, SIZE.width)
    first = torch.randn(SIZE.width, SIZE.hidden, requires_grad=True)
    second = torch.randn(SIZE.hidden, SIZE.logits, requires_grad=True)
    return (x @ first).relu() @ second


def test_a_look_is_the_forward_pass():
    assert arithmetic.look(10, SIZE) == counted(lambda: two_layers(10))


def test_a_step_is_the_forward_and_backward_pass_without_the_gradient_of_the_features():
    assert arithmetic.step(10, SIZE) == counted(lambda: two_layers(10).sum().backward())


def test_the_bytes_of_a_step_are_those_that_the_floor_counts():
    """Two models on 10 rows: features twice, hidden features twice, a parameter and its moments."""
    parameters = (8 + 1) * 16 + (16 + 1) * 4
    assert arithmetic.step_bytes(10, SIZE, 2) == 4 * (
        2 * 10 * 8 + 2 * 2 * 10 * 16 + 2 * 2 * 3 * parameters
    )


def test_members_multiply_the_arithmetic():
    for of in (arithmetic.look, arithmetic.step):
        assert of(10, SIZE, 3) == 3 * of(10, SIZE)


def test_rows_of_a_batch_are_those_that_are_drawn_on_average():
    rng = np.random.default_rng(0)
    lengths, labels = rng.integers(5, 80, 30), np.eye(6, dtype=int)[rng.integers(6, size=30)]
    labels[:, 5] = 0
    labels[0, 5] = 1  # a class of one video makes no pairs
    c = Config(max_snippets=50)
    sampler = PairSampler(labels, c.batch_size, c.pairs)
    drawn = [np.minimum(lengths[sampler.draw(rng)], 50).sum() for _ in range(4000)]
    error = np.std(drawn) / len(drawn) ** 0.5
    assert abs(np.mean(drawn) - arithmetic.batch_rows(lengths, labels, c)) < 4 * error


def test_the_floor_of_training_is_what_is_seen():
    """Videos of equal length, so that nothing is left to chance."""
    data = load("synthetic-tiny")
    lengths = {v.num_snippets for v in data.train}
    shortest = min(lengths)
    data = replace(
        data,
        train=tuple(replace(v, features={"rgb": v.features["rgb"][:shortest]}) for v in data.train),
    )
    configs = [config(eta=0.5), config(iterations=3), config(iterations=2, supervision="none")]
    with Watch() as seen:
        train(data, configs, device="cpu")
    labels = data.labels(data.train)
    width = data.train[0].features["rgb"].shape[1]
    equal = np.full(len(data.train), shortest)
    floor = arithmetic.training(equal, labels, width, configs)
    # the batched model also looks with the supplementary branch of the member that no one learns of
    extra = 2 * arithmetic.look(equal.sum(), arithmetic.sizes(configs[0], width, labels.shape[1]))
    assert seen.operations == floor.operations + extra


def test_a_watch_sees_each_phase_and_all_of_its_time():
    with Watch() as training:
        train(noise([24] * 24), config(), device="cpu")
    seen = training.phases(STEPS)
    assert [len(phase.steps) for phase in seen] == [STEPS - 1] * 4
    assert [phase.between > 0 for phase in seen] == [False, False, True, True]
    assert "sampler" in seen[2].parts and seen[1].parts.get("sampler", 0) == 0
    total = of_schedule(seen, zero=2)
    assert total.seconds == pytest.approx(sum(total.parts.values()))
    assert total.parts[OTHER] >= 0 and total.parts[WHOLE] > 0
    alone = [100 * n * phase.steps.mean() for n, phase in zip((20, 20, 5, 5), seen, strict=True)]
    assert total.seconds == pytest.approx(sum(alone) + sum(phase.before for phase in seen))


def test_what_a_watch_does_between_the_steps_is_not_the_trainings(monkeypatch):
    """On a clock that only the products move."""
    clock, made = [0.0], []

    def pace() -> float:
        clock[0] += 100
        made.append(50.0 if len(made) % 2 else 150.0)
        return made[-1]

    monkeypatch.setattr(watch, "perf_counter", lambda: clock[0])
    with Watch(pace) as seen:
        train(noise([24] * 24), config(), device="cpu")
    phases = seen.phases(STEPS)
    assert len(made) == len(seen.marks) == 1 + 4 * STEPS
    assert all(phase.steps.sum() == phase.before == 0 for phase in phases)
    assert of_schedule(phases, zero=2).seconds == 0
    # the rate of all of a phase together, as of products one after the other
    first = made[1 : STEPS + 1]
    assert phases[0].rate == pytest.approx(len(first) / sum(1 / rate for rate in first))


def test_the_rate_beside_a_schedule_is_that_of_its_phases_by_their_operations():
    fast, slow = (
        Phase(np.ones(1), operations, {}, 0.0, 0.0, rate)
        for operations, rate in ((30.0, 10.0), (10.0, 5.0))
    )
    total = of_schedule([fast, slow], zero=2)
    assert total.rate == pytest.approx(40 / (30 / 10 + 10 / 5))


def test_a_pace_is_the_rate_of_a_product(monkeypatch):
    monkeypatch.setattr(rates, "PRODUCTS", ((8, 4, 2), (4, 4, 4)))
    pace = rates.Pace()
    assert pace.operations == 128 and pace() > 0
    assert torch.equal(pace.out, pace.a @ pace.b)


def fill(size: int) -> int:
    """Takes `size` bytes, and says that none were given."""
    np.ones(size, np.uint8)
    return 0


@pytest.mark.slow
def test_peak_memory_is_that_of_the_work_alone():
    used = memory.peak(fill, 50_000_000)
    if used is None:
        pytest.skip("this system does not tell the peak memory of a process")
    assert abs(used - 50e6) < 5e6


def test_figures_are_shares_of_what_the_machine_can_do():
    figures = Figures()
    figures.share("a", 50e9, 2.0, 100e9, "sgemm", 0.85)
    figures.share("b", 60e9, 2.0, 120e9, "sgemm", None)
    figures.within("c", 0.5, 0.4, 100e9, 10e9)
    figures.times("d", 6.0, 2.0, 4)
    figures.grows("time", "members", [1, 2, 4], [1.0, 4.0, 16.0], 1)
    assert [row.get("share") for row in figures.rows[2:]] == [0.2, None]
    assert figures.rows[2]["limit"] == 0.4 and figures.rows[3]["times"] == 3
    assert figures.rates == {"sgemm": [100e9, 120e9], "copy": [100e9]}
    assert figures.rows[0]["share"] == figures.rows[1]["share"] == 0.25
    assert figures.growth[0]["slope"] == pytest.approx(2)
    told = report.report(vars(figures))
    assert "sgemm 100 to 120, copy 100 G/s" in told and "25.0% of sgemm" in told
    assert "85%" in told and "2.00" in told
    assert figures.about["threads"] == torch.get_num_threads()


def test_files_measured_with_other_code_are_named():
    present = Figures().about
    assert report.outdated({"a": present}) == ""
    told = report.outdated({"a": present, "b": {}, "c": present | {"code": "other"}})
    assert told.endswith("present one: `b`, `c`.")


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_the_gpu_command_runs_on_a_cpu(tmp_path, capsys):
    out = tmp_path / "gpu.json"
    gpu.main(["--device", "cpu", "--tiny", "--out", str(out)])
    told = json.loads(out.read_text())
    assert len(told["rows"]) == 3 and all(row["seconds"] > 0 for row in told["rows"])
    assert told["exact"]["two runs are bitwise equal"]
    assert told["exact"]["losses, device against CPU"] == 0
    assert told["exact"]["base CAS, device against float64"] < 1e-5
    assert f"the paper's grid, {len(paper_grid())} configs" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_the_gpu_command_goes_on_where_it_was_cut_off(tmp_path, monkeypatch):
    out, begun = tmp_path / "gpu.json", []

    def timed(name, data, work, seeds, *rest):
        if len(begun) == 1:
            raise KeyboardInterrupt
        begun.append((name, len(work.configs), seeds))
        return {"name": name}

    monkeypatch.setattr(gpu, "timed", timed)
    with pytest.raises(KeyboardInterrupt):
        gpu.measure("cpu", True, out)
    assert [row["name"] for row in json.loads(out.read_text())["rows"]] == ["one AMS run, fp32"]
    begun[:] = ["", ""]
    told = gpu.measure("cpu", True, out)
    what = f"1/4 of the steps of the paper's grid, {len(paper_grid())} configs, bf16"
    grid = f"{what}, seeds: 2, a process each"
    assert begun[2:] == [("one AMS run, bf16", 1, 1), (grid, len(paper_grid()), 2)]
    assert [row["name"] for row in told["rows"]][:2] == ["one AMS run, fp32", "one AMS run, bf16"]
    assert told["about"]["code"] == method_fingerprint()


def test_the_gpu_command_keeps_no_rows_of_other_code(tmp_path, capsys):
    out, about = tmp_path / "gpu.json", {"date": "today", "code": "this"}
    out.write_text(json.dumps({"about": about | {"date": "before"}, "rows": [1]}))
    assert gpu._rows(about, out) == [1] and not capsys.readouterr().err
    assert gpu._rows(about | {"code": "other"}, out) == []
    assert "another code: begun anew" in capsys.readouterr().err


def test_the_gpu_command_says_when_there_is_none(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        gpu.main(["--out", str(tmp_path / "gpu.json")])
    assert "--device cpu --tiny" in capsys.readouterr().err
