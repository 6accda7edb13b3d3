"""The README's results: scores with the command of each row, and which claims hold.

Usage: python tools/write_results.py    (seconds; after `make reproduce`; `make notebooks` calls it)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from amslib import Config, claims, experiments, load, run_grid
from amslib.statistics import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED, estimate, holm, paired
from amslib.tables import interval, spread

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- results: written by tools/write_results.py -->\n", "<!-- end of results -->\n"
VERDICTS = (SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE, claims.UNMEASURABLE)
THREE, FOUR = experiments.table_3(), experiments.table_4()
ROWS = {
    "(A) one branch, as W-TALC": THREE["A"],
    "(B) two branches": THREE["B"],
    "(C) and the adaptive sampler": THREE["C"],
    "(D) and self-training": THREE["D"],
    "(E) and mutual supervision": THREE["E"],
    "(F) AMS: sampler and mutual supervision": THREE["F"],
    "AMS, random sampling": FOUR["random"],
    "AMS, erasing": FOUR["erase"],
}


def options(config: Config) -> str:
    """What `amslib train` must be told to train a config."""
    changed = [f.name for f in fields(config) if getattr(config, f.name) != f.default]
    return " ".join(f"--set {name}={getattr(config, name)}" for name in changed)


def render() -> str:
    """The section between the markers."""
    data, seeds = load("synthetic"), range(experiments.SEEDS)
    named = claims.configs()
    configs = list(dict.fromkeys([*ROWS.values(), *named.values()]))
    found = run_grid(configs, seeds, data)
    of = {c: [r for r in found if r.config == c] for c in configs}
    judged = claims.judge(claims.CLAIMS, {name: of[config] for name, config in named.items()})
    return "\n".join([*_table(of), "", *_verdicts(judged)]) + "\n"


def _table(of: dict) -> list[str]:
    def scores(config, low, high):
        return [r.evaluation().average(low, high) for r in of[config]]

    baseline = THREE["B"]
    lines = ["| row | mAP@0.5 | AVG(0.1-0.7) | against (B) | options |", "|:--|--:|--:|--:|:--|"]
    for name, config in ROWS.items():
        average = scores(config, 0.1, 0.7)
        against = interval(paired(average, scores(baseline, 0.1, 0.7)))
        cells = [spread(estimate(scores(config, 0.5, 0.5))), spread(estimate(average))]
        cells += ["" if config == baseline else against]
        cells += [f"`{options(config)}`" if options(config) else "none"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _verdicts(judged: Sequence[claims.Judgement]) -> list[str]:
    of = {verdict: [j for j in judged if j.verdict == verdict] for verdict in VERDICTS}
    corrected = holm([j.p for j in judged])
    sure = [j for j, p in zip(judged, corrected, strict=True) if p < 0.05]
    return [
        f"Of {len(judged)} claims of the paper's Section IV, judged on this data:",
        "",
        f"- supported: {len(of[SUPPORTED])}, of which {len(sure)} also after Holm's correction for "
        f"so many: {_sentences(sure)}",
        f"- not supported: {len(of[NOT_SUPPORTED])}: {_sentences(of[NOT_SUPPORTED])}",
        f"- inconclusive with {experiments.SEEDS} seeds: {len(of[INCONCLUSIVE])}; "
        f"not measurable: {len(of[claims.UNMEASURABLE])}",
    ]


def _sentences(judged: Sequence[claims.Judgement]) -> str:
    """The claims themselves, each with the comparison that speaks least for it."""
    told = [f"*{j.claim.sentence}* ({interval(j.effects[j.deciding])})" for j in judged]
    return "; ".join(told) or "none"


def written(readme: str) -> str:
    """A README with the section in place of the old one."""
    head, rest = readme.split(BEGIN)
    return head + BEGIN + "\n" + render() + "\n" + END + rest.split(END)[1]


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
