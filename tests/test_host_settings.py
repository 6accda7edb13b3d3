"""What a host program has set for its own work changes no number, and is as it was afterwards."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
import torch

from amslib import Config, Run, evaluate, load, localize, train
from amslib.device import own_settings
from amslib.diagnostics import detection_quality, loss_curves, pseudo_label_quality
from amslib.protocols import PROTOCOLS

TINY = load("synthetic-tiny", width=16)
SHORT = dict(steps_per_epoch=2, epochs_zero=2, epochs=1, iterations=1)
CONFIGS = [
    Config(**SHORT, positions="bins"),
    Config(**SHORT, aggregation="random", max_snippets=30),
    Config(**SHORT, sampler="random"),
    Config(**SHORT, sampler="erase", location_axis="sampled"),
    Config(**SHORT, activation="sigmoid", class_loss="bce", background=True, heads="parallel"),
]
pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]


def everything(folder) -> dict:
    """All numbers from loading to scores, as plain data and arrays."""
    data, found = load("synthetic-tiny", width=16), {}
    for i, run in enumerate(train(data, CONFIGS, seed=3, device="cpu")):
        run.save(folder / f"{i}")
        run = Run.load(folder / f"{i}")
        found[f"{i} history"] = run.history
        found[f"{i} detections"] = run.predict(data.test, device="cpu")
        found[f"{i} positions"] = arrays(run.positions(data.test[0], device="cpu"))
        found[f"{i} cas"] = arrays(run.cas(data.test[0], device="cpu"))
        found[f"{i} weights"] = [arrays(state) for state in run.states]
        found[f"{i} curves"] = arrays(loss_curves(run.history, run.config))
        found[f"{i} quality"] = repr(
            [
                pseudo_label_quality(run, data.train, device="cpu"),
                detection_quality(run, data.test, device="cpu"),
            ]
        )
    for name in PROTOCOLS:
        found[name] = evaluate(found["0 detections"], data.test, protocol=name).to_dict()
    return found


def arrays(tree):
    """A tree of tensors as lists of (dtype, values)."""
    if isinstance(tree, torch.Tensor):
        assert tree.device.type == "cpu"
        return str(tree.dtype), np.nan_to_num(tree.numpy(), nan=-1.0).tolist()
    return {name: arrays(one) for name, one in tree.items()}


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> dict:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = everything(tmp_path_factory.mktemp("expected"))
    torch.set_num_threads(threads)
    return found


@contextmanager
def changed(get, change, restore=None) -> Iterator[None]:
    """One setting, restored with what `get` has told before."""
    before = get()
    try:
        change()
        yield
    finally:
        (restore or change)(before)


def dtype(kind: torch.dtype):
    return changed(
        torch.get_default_dtype, partial(torch.set_default_dtype, kind), torch.set_default_dtype
    )


def precision(kind: str):
    setter = torch.set_float32_matmul_precision
    return changed(torch.get_float32_matmul_precision, partial(setter, kind), setter)


def default_device(kind: str):
    return changed(lambda: None, partial(torch.set_default_device, kind), torch.set_default_device)


def deterministic():
    setter = torch.use_deterministic_algorithms
    return changed(torch.are_deterministic_algorithms_enabled, partial(setter, True), setter)


@contextmanager
def anomalies() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that it is slow
        mode = torch.autograd.set_detect_anomaly(True)
    with mode:
        yield


SETTINGS = {
    "default dtype float64": partial(dtype, torch.float64),
    "default dtype float16": partial(dtype, torch.float16),
    "default dtype bfloat16": partial(dtype, torch.bfloat16),
    "default device meta": partial(default_device, "meta"),
    "default device cuda": partial(default_device, "cuda"),
    "no gradients": torch.no_grad,
    "inference mode": torch.inference_mode,
    "autocast": partial(torch.autocast, "cpu", dtype=torch.bfloat16),
    "deterministic algorithms": deterministic,
    "anomaly detection": anomalies,
    "products in less than float32": partial(precision, "medium"),
    "NumPy errors raise": partial(np.errstate, all="raise"),
    "NumPy prints little": partial(np.printoptions, precision=1, threshold=2),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_of_the_host_changes_no_number(name, expected, tmp_path):
    if "cuda" in name and not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    with SETTINGS[name]():
        found = everything(tmp_path)
    for key, value in expected.items():
        assert found[key] == value, key


def test_global_seeds_are_neither_used_nor_moved():
    before = train(TINY, CONFIGS[2], seed=1, device="cpu").predict(TINY.test)
    numpy_state, torch_state = np.random.get_state(), torch.get_rng_state()
    try:
        np.random.seed(7)
        torch.manual_seed(7)
        theirs = np.random.get_state()[1].copy(), torch.get_rng_state()
        after = train(TINY, CONFIGS[2], seed=1, device="cpu").predict(TINY.test)
        assert (np.random.get_state()[1] == theirs[0]).all()
        assert torch.equal(torch.get_rng_state(), theirs[1])
    finally:
        np.random.set_state(numpy_state)
        torch.set_rng_state(torch_state)
    assert after == before


def test_two_threads_compute_the_same_within_rounding():
    run = train(TINY, CONFIGS[0], seed=1, device="cpu")
    one = run.cas(TINY.test[0])["rgb"]["base"]
    with changed(torch.get_num_threads, partial(torch.set_num_threads, 2), torch.set_num_threads):
        two = run.cas(TINY.test[0])["rgb"]["base"]
        train(TINY, CONFIGS[0], seed=1, device="cpu")
        assert torch.get_num_threads() == 2
    assert (one - two).abs().max() < 1e-6


def test_settings_are_as_they_were_afterwards_even_after_an_error():
    with precision("medium"), torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        train(TINY, CONFIGS[0], seed=1, device="cpu").predict(TINY.test[:1])
        with pytest.raises(ValueError, match="0 training videos"), own_settings(gradients=True):
            assert torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu")
            raise ValueError("0 training videos")
        assert torch.get_float32_matmul_precision() == "medium"
        assert torch.is_autocast_enabled("cpu") and not torch.is_grad_enabled()


def test_a_prediction_between_two_others_leaves_the_host_its_settings():
    """CAS come one by one: what is set while they are computed must not reach who takes them."""
    run = train(TINY, CONFIGS[0], seed=1, device="cpu")
    for _ in run.all_cas(TINY.test):
        assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


def test_localize_takes_no_default_device_or_dtype():
    cas = [[0.0], [0.9], [0.8], [0.1]]
    expected = localize(torch.tensor(cas), 0.5)
    with default_device("meta"), dtype(torch.float64):
        assert localize(torch.tensor(cas, dtype=torch.float32, device="cpu"), 0.5) == expected
        assert localize(np.array(cas, np.float32), 0.5) == expected
