"""Score released detections under every protocol.

    python tools/score_released.py FOLDER

FOLDER holds S1.json.gz (AutoLoc's detections on THUMOS14), S2.json.gz (those of a re-implementation
of STPN) and S3.json.gz (AutoLoc's on ActivityNet1.2), each with its ground truth. They are not
distributed with this project; their scores go to book/_static/released_scores.json.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

from amslib import evaluate_panel, read_detections, read_ground_truth

OUT = Path(__file__).parents[1] / "book" / "_static" / "released_scores.json"
AUTOLOC = "detections released in github.com/zhengshou/AutoLoc (commit 82c7e51, MIT)"
STPN = "detections released in github.com/bellos1203/STPN (commit ecadfca, Apache-2.0)"
OFFICIAL = "ambiguous intervals of the official THUMOS14 annotations"
SETS = {
    "AutoLoc, THUMOS14": (
        "S1.json.gz",
        f"{AUTOLOC}, with the ground truth and durations given there; {OFFICIAL}",
    ),
    "STPN, THUMOS14": (
        "S2.json.gz",
        f"{STPN}, a re-implementation; ground truth of github.com/Pilhyeon/BaSNet-pytorch "
        f"(commit c8c6bbd, MIT); {OFFICIAL}",
    ),
    "AutoLoc, ActivityNet1.2": (
        "S3.json.gz",
        f"{AUTOLOC}, with the ground truth and durations given there; class names by way of CMCS's "
        "annotations (MIT); no ambiguous intervals",
    ),
}


def scores(file: Path) -> dict[str, list[float]]:
    """mAP at IoU 0.1, 0.2, .., 0.7 by protocol."""
    panel = evaluate_panel(read_detections(file), read_ground_truth(file))
    return {
        name: [round(float(x), 6) for x in score.map] for name, score in panel.evaluations.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    about = {
        name: {
            "file": file,
            "source": source,
            "sha256": hashlib.sha256((folder / file).read_bytes()).hexdigest(),
            "mAP": scores(folder / file),
        }
        for name, (file, source) in SETS.items()
    }
    OUT.write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
