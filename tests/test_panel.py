"""One set of detections under every protocol, as a table."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from protocol_reference import nasty_case
from score_released import OUT, scores
from typer.testing import CliRunner

from amslib import evaluate, evaluate_panel
from amslib.cli import app
from amslib.data import DataWarning
from amslib.data.video import Video
from amslib.detections import Detection, read_detections, write_detections
from amslib.panel import Panel
from amslib.protocols import PROTOCOLS

GOLDEN = Path(__file__).parents[2] / "shared" / "data" / "detections"
CASE = nasty_case(np.random.default_rng(3))


def test_a_row_for_each_protocol():
    panel = evaluate_panel(*CASE)
    assert list(panel.rows()) == list(PROTOCOLS)
    for name, cells in panel.rows().items():
        alone = evaluate(*CASE, protocol=name)
        assert len(cells) == len(Panel.columns) - 1
        assert cells[4] == f"{100 * alone.map[4]:.1f}"
        assert cells[-1] == f"{100 * alone.average_map:.1f}"
        assert panel.to_dict()[name] == alone.to_dict()
    values = [e.average_map for e in panel.evaluations.values()]
    assert panel.spread(0.1, 0.7) == (min(values), max(values))


def test_printed_it_is_a_table_that_says_what_differs():
    lines = str(evaluate_panel(*CASE)).splitlines()
    assert len({len(line) for line in lines[: len(PROTOCOLS) + 1]}) == 1
    for name in PROTOCOLS:
        assert sum(line.split()[:1] == [name] for line in lines) == 2
    assert "none of them is here" not in str(evaluate_panel(*CASE))
    other = [Video("a", segments=((0.0, 2.0, "X"),))]
    left_out = Detection("video_test_0001292", "X", 0.0, 1.0, 0.5)
    assert "none of them is here" not in str(evaluate_panel([left_out], other))
    assert "three test videos of THUMOS14; none of them is here" in str(evaluate_panel([], other))


def test_names_that_never_meet_are_told_once():
    video = Video("a", segments=((0.0, 2.0, "X"),))
    with pytest.warns(DataWarning) as told:
        evaluate_panel([Detection("v_a", "X", 0.0, 2.0, 0.5)], [video])
    assert len(told) == 1


def test_command_line(tmp_path):
    file = tmp_path / "found.json"
    detections, videos = CASE
    write_detections(detections, file)
    truth = {
        v.id: {
            "annotations": [{"segment": [s, e], "label": label} for s, e, label in v.segments],
            "ambiguous": [list(span) for span in v.ambiguous],
        }
        for v in videos
    }
    (tmp_path / "truth.json").write_text(json.dumps({"ground_truth": truth}))
    command = ["evaluate", "--protocol", "all", "--detections", str(file)]
    command += ["--ground-truth", str(tmp_path / "truth.json")]
    expected = evaluate_panel(read_detections(file), videos)
    told = CliRunner().invoke(app, command)
    assert told.exit_code == 0 and str(expected) in told.stdout
    refused = CliRunner().invoke(app, [*command, "--tiou", "0.5"])
    assert "--protocol all has IoU 0.1 to 0.7" in str(refused.exception)
    told = CliRunner().invoke(app, [*command, "--json"])
    assert json.loads(told.stdout) == expected.to_dict()


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="no ../shared/data/detections")
def test_released_detections_are_scored_as_the_book_says():
    written = json.loads(OUT.read_text())
    for name, about in written.items():
        file = GOLDEN / about["file"]
        assert hashlib.sha256(file.read_bytes()).hexdigest() == about["sha256"], name
        assert scores(file) == about["mAP"], name
