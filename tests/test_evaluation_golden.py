"""The evaluator on released detections: the official code's output and published figures."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from evaluation_reference import MUTANTS

from amslib.detections import read_detections, read_ground_truth
from amslib.evaluation import PROTOCOLS, evaluate

GOLDEN = Path(__file__).parents[2] / "shared" / "data" / "detections"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not GOLDEN.is_dir(), reason="no ../shared/data/detections"),
]
ACTIVITYNET_TIOU = np.linspace(0.5, 0.95, 10)


def read_case(file):
    return read_detections(file), read_ground_truth(file)


def check_golden(evaluate, case, golden):
    result = evaluate(*case, tiou=golden["tiou"])
    assert set(result.per_class) == set(golden["per_class"])
    for name, ap in golden["per_class"].items():
        np.testing.assert_allclose(result.per_class[name], ap, atol=1e-9, rtol=0)
    np.testing.assert_allclose(result.map, golden["mAP"], atol=1e-9, rtol=0)
    assert result.average_map == pytest.approx(np.mean(golden["mAP"]), abs=1e-9)


@pytest.mark.parametrize("name", ["S1", "S2", "S3", "S4", "S5"])
def test_official_code(name):
    case = read_case(GOLDEN / f"{name}.json.gz")
    golden = json.loads((GOLDEN / f"expected_{name}.json").read_text())
    check_golden(evaluate, case, golden["A_stable"])
    if name == "S5":  # with 0.3 and 0.7 themselves; exact-threshold IoUs tell them apart
        literal = golden["A_stable_literal_thresholds"]
        assert literal["mAP"] != golden["A_stable"]["mAP"]
        check_golden(evaluate, case, literal)


# Where the official code misbehaves there is nothing to reproduce: 0/0 makes an IoU of NaN, which
# is not below any threshold and so counts as a hit, and a label that nobody annotates stops it.
OFFICIAL_MISBEHAVES = {
    "inverted_det_nan": [0.0] * 9,
    "zero_length_gt_and_det": [0.0] * 9,
    "label_unknown_everywhere": [1.0] * 9,
}


@pytest.mark.filterwarnings("ignore::amslib.data.findings.DataWarning")  # unknown names among them
def test_official_code_on_micro_cases(tmp_path):
    cases = json.loads((GOLDEN / "micro.json").read_text())
    golden = json.loads((GOLDEN / "expected_micro.json").read_text())
    assert len(cases) == 41
    for name, case in cases.items():
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(case))
        if name in OFFICIAL_MISBEHAVES:
            result = evaluate(*read_case(file), tiou=golden["perfect"]["A"]["tiou"])
            assert result.map.tolist() == OFFICIAL_MISBEHAVES[name]
        else:
            check_golden(evaluate, read_case(file), golden[name]["A_stable"])


def percent(values, digits=1):
    return [round(100 * float(v), digits) for v in values]


def test_autoloc_on_thumos14_as_published():
    """The AMS paper's Table I row of AutoLoc, IoU 0.3 to 0.7."""
    result = evaluate(*read_case(GOLDEN / "S1.json.gz"))
    assert percent(result.map[2:]) == [35.8, 29.0, 21.2, 13.4, 5.8]


def test_autoloc_on_activitynet_as_published():
    """The AMS paper's Table II row of AutoLoc, IoU 0.5, 0.75, 0.95 and the average."""
    result = evaluate(*read_case(GOLDEN / "S3.json.gz"), tiou=ACTIVITYNET_TIOU)
    assert percent(result.map[[0, 5, 9]]) == [27.3, 15.1, 3.3]
    assert percent([result.average_map]) == [16.0]


def test_stpn_as_published():
    """The row of its README, which prints 4.99 as 4.9."""
    result = evaluate(*read_case(GOLDEN / "S2.json.gz"), tiou=np.linspace(0.1, 0.9, 9))
    assert percent(result.map) == [52.1, 44.2, 34.7, 26.1, 17.7, 10.1, 5.0, 1.3, 0.1]
    assert percent(result.map[6:7], 2) == [4.99]
    assert percent([result.average_map]) == [21.3]


@pytest.mark.parametrize("name", [name for name in MUTANTS if name != "zero_by_zero_is_one"])
def test_mutants_are_caught_by_official_figures(monkeypatch, name):
    """By S2, where long detections overlap instances equally, or S5, made to be nasty (no 0/0)."""
    kind = "S2" if name == "earlier_of_equal_overlaps_first" else "S5"
    golden = json.loads((GOLDEN / f"expected_{kind}.json").read_text())["A_stable"]
    mutant = PROTOCOLS["activitynet"]._replace(**MUTANTS[name])
    monkeypatch.setitem(PROTOCOLS, "mutant", mutant)
    with pytest.raises(AssertionError):
        check_golden(
            partial(evaluate, protocol="mutant"), read_case(GOLDEN / f"{kind}.json.gz"), golden
        )
