"""The two defaults that were chosen by training loss, looked at again on the default data.

Usage: python tools/choose_schedule.py    (about five minutes on a CPU)

Trains the base branch alone through phase zero, never looks at a test video, and writes what the
book shows: `book/_static/schedule.json`, and the tables made of it, `book/_static/schedule.md`.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from amslib import Config, Dataset, Run, load, train
from amslib.batches import Store
from amslib.forward import read
from amslib.model import Branches
from amslib.packed import topk_mean

STATIC = Path(__file__).parents[1] / "book" / "_static"
STEPS = (20, 50, 100, 200)
FORMS = {"bce": "`bce`, the letter of Eq. 10", "softmax_ce": "`softmax_ce`, the default"}
PHASE_ZERO = dict(branches=1, sampler="none", supervision="none", iterations=0)


def phase_zero(dataset: Dataset, **fields) -> Run:
    """The base branch after phase zero."""
    return train(dataset, Config(**PHASE_ZERO, **fields), seed=0, device="cpu")


def losses(run: Run, term: str) -> dict[str, list[float]]:
    """Mean of a loss term in each epoch, by stream."""
    streams = dict.fromkeys(row["stream"] for row in run.history)
    return {s: [row[term] for row in run.history if row["stream"] == s] for s in streams}


def basic_losses(run: Run) -> dict[str, list[float]]:
    """Mean of L_basic in each epoch, by stream."""
    classification, coactivity = losses(run, "classification"), losses(run, "coactivity")
    a, b = run.config.class_weight, run.config.coactivity_weight
    return {
        s: [a * x + b * y for x, y in zip(classification[s], coactivity[s], strict=True)]
        for s in classification
    }


def last_quarter(curve: list[float]) -> float:
    """Share of the fall from the first epoch to the last that falls to the last quarter."""
    return (curve[-1 - len(curve) // 4] - curve[-1]) / (curve[0] - curve[-1])


@torch.no_grad()
def classified(run: Run, dataset: Dataset) -> dict[str, float]:
    """Share of the training videos whose most probable class is one of their own, by stream."""
    labels, shares = dataset.labels(dataset.train), {}
    for stream in run.states[0]:
        store = Store(dataset.train, stream, labels, torch.device("cpu"))
        model, hits = Branches(run.states[0][stream]["base"]), 0.0
        for i in range(len(labels)):
            batch = store.batch(np.array([i]))
            _, logits = model(read(batch))
            best = topk_mean(logits, batch, run.config.topk).argmax()
            hits += batch.labels[0, best].item()
        shares[stream] = hits / len(labels)
    return shares


def measure() -> dict:
    """Everything the tables need."""
    dataset = load("synthetic")
    runs = {n: phase_zero(dataset, steps_per_epoch=n) for n in STEPS}
    default = Config().steps_per_epoch
    forms = {"softmax_ce": runs[default], "bce": phase_zero(dataset, class_loss="bce")}
    return {
        "fingerprint": dataset.fingerprint,
        "steps": {str(n): basic_losses(run) for n, run in runs.items()},
        "forms": {
            form: {
                "loss": losses(forms[form], "classification"),
                "classified": classified(forms[form], dataset),
            }
            for form in FORMS
        },
    }


def render(measured: dict) -> str:
    """The two tables of the book."""
    rows = []
    for n, curves in measured["steps"].items():
        for stream, curve in curves.items():
            path = f"{curve[0]:.2f} → {curve[-1]:.2f}"
            rows.append(f"| {n} | {stream} | {path} | {100 * last_quarter(curve):.0f} % |")
    kinds = []
    for form, name in FORMS.items():
        result = measured["forms"][form]
        for stream, curve in result["loss"].items():
            path = f"{curve[0]:.3f} → {curve[-1]:.3f}"
            kinds.append(
                f"| {name} | {stream} | {path} | {100 * result['classified'][stream]:.0f} % |"
            )
    return "\n".join(
        [
            ":::{table} Phase zero with more or fewer steps an epoch.",
            ":name: tab-schedule",
            "",
            "| `steps_per_epoch` | stream | basic loss, first → last epoch | in the last quarter |",
            "|--:|:--|:--|--:|",
            *rows,
            ":::",
            "",
            ":::{table} Phase zero with either form of the classification loss.",
            ":name: tab-class-loss",
            "",
            "| `class_loss` | stream | first → last epoch | training videos classified |",
            "|:--|:--|:--|--:|",
            *kinds,
            ":::",
            "",
        ]
    )


if __name__ == "__main__":
    torch.set_num_threads(1)  # the sums, and so the last digits, depend on it
    found = measure()
    (STATIC / "schedule.json").write_text(json.dumps(found, indent=1) + "\n")
    (STATIC / "schedule.md").write_text(render(found))
