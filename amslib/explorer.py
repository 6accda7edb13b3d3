"""A figure to explore with a slider in a page without a kernel.

Every number is computed here, by the library; the page's script only draws the chosen frame. The
same arguments give the same text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from string import Template

import torch
from torch import Tensor

from .sampler import sample_positions, sampling_weights

LEFT, WIDTH = 6, 468  # of the time axis, in a drawing of 480 x 260
TOP, HEIGHT = 24, 110  # of the panel above; the rows of the one below:
ROW_ABOVE, ROW_BELOW = 176, 236

PAGE = Template("""\
<figure class="explorer" id="$uid">
<label for="$uid-slider">Sampling adjustment value η
<input type="range" id="$uid-slider" min="0" max="$last" step="1" value="$start" \
aria-describedby="$uid-note" aria-valuetext="η = $eta"/>
<output for="$uid-slider">$eta</output></label>
<svg viewBox="0 0 480 260" role="img" aria-label="$alt" font-size="13" fill="#222">
$bands
<polyline points="$cas" fill="none" stroke="#0072b2" stroke-width="2"/>
<line x1="$left" x2="$right" y1="$one" y2="$one" stroke="#8c8c8c"/>
<polyline data-part="density" points="$density" fill="none" stroke="#d55e00" \
stroke-width="2" stroke-dasharray="6 3"/>
<text x="$left" y="14" fill="#0072b2">aggregated CAS m</text>
<text x="$right" y="14" text-anchor="end" fill="#b34e00">samples per snippet (grey line: 1)</text>
<g data-part="fan" stroke="#8c8c8c">
$fan
</g>
<text x="$left" y="168">original snippets, evenly spaced</text>
<text x="$left" y="254">where the samples are read</text>
</svg>
<p id="$uid-note">$note</p>
<noscript><p>Moving the slider needs JavaScript; the drawing shows η = $eta.</p></noscript>
<script type="application/json">$data</script>
<script>
(function () {
  const figure = document.getElementById("$uid");
  const part = name => figure.querySelector("[data-part=" + name + "]");
  const frames = JSON.parse(figure.querySelector("script").textContent);
  const slider = figure.querySelector("input");
  const x = t => $left + $width * (t + 0.5) / $count, y = v => $floor - $unit * v;
  function draw() {
    const frame = frames[slider.value];
    const points = frame.density.map((v, t) => [x(t), y(v)]).join(" ");
    part("density").setAttribute("points", points);
    frame.positions.forEach((t, j) => part("fan").children[j].setAttribute("x2", x(t)));
    figure.querySelector("output").textContent = frame.eta;
    slider.setAttribute("aria-valuetext", "η = " + frame.eta);
    document.getElementById("$uid-note").textContent = frame.note;
  }
  slider.addEventListener("input", draw);
  draw();
})();
</script>
</figure>""")


def eta_explorer(
    m: Tensor,
    etas: Sequence[float],
    start: float,
    spans: Iterable[tuple[float, float]] = (),
    factor: int = 20,
    uid: str = "eta-explorer",
) -> str:
    """HTML of a slider over eta that redraws Eqs 4 and 5 on one aggregated CAS.

    Args:
        m: aggregated CAS, shape (T,).
        etas: the slider's values, each >= 0.
        start: the value shown first, one of `etas`.
        spans: (start, end) of the ground truth in snippets, shaded.
        factor: H of `sample_positions`.
        uid: id of the figure; another one for each explorer of a page.

    Returns:
        One `<figure>` that needs nothing else but the page's style sheet.

    Raises:
        ValueError: `start` is not among `etas`, or `uid` is not letters, digits, - and _.
    """
    if not re.fullmatch(r"[\w-]+", uid):
        raise ValueError(f"uid={uid!r}; expected letters, digits, - and _ alone")
    if start not in etas:
        raise ValueError(f"start={start!r} is not one of the {len(etas)} etas; add it to them")
    frames = [_frame(m, eta, factor) for eta in etas]
    first, count = frames[etas.index(start)], len(m)
    unit = HEIGHT / max(float(m.max()), *(v for frame in frames for v in frame["density"]))
    floor = TOP + HEIGHT

    def x(t: float) -> float:
        return round(LEFT + WIDTH * (t + 0.5) / count, 1)

    def line(values: list[float]) -> str:
        return " ".join(f"{x(t)},{floor - unit * v:.1f}" for t, v in enumerate(values))

    return PAGE.substitute(
        uid=uid,
        last=len(etas) - 1,
        start=etas.index(start),
        eta=first["eta"],
        note=first["note"],
        data=json.dumps(frames, separators=(",", ":"), ensure_ascii=False),
        alt=f"Of {count} snippets, how often each is sampled and where the samples lie",
        bands="\n".join(
            f'<rect x="{x(a)}" y="{TOP}" width="{round(x(b) - x(a), 1)}" '
            f'height="{ROW_BELOW - TOP}" fill="#f7ebd6"/>'
            for a, b in spans
        ),
        cas=line(m.tolist()),
        density=line(first["density"]),
        fan="\n".join(
            f'<line x1="{x(j)}" y1="{ROW_ABOVE}" x2="{x(t)}" y2="{ROW_BELOW}"/>'
            for j, t in enumerate(first["positions"])
        ),
        one=round(floor - unit, 1),
        left=LEFT,
        right=LEFT + WIDTH,
        width=WIDTH,
        count=count,
        floor=floor,
        unit=round(unit, 3),
    )


def _frame(m: Tensor, eta: float, factor: int) -> dict:
    """What one slider value shows; numbers rounded to what a drawing resolves."""
    w = sampling_weights(m.double(), eta)
    positions = sample_positions(w, factor)
    density = w / w.mean() if w.any() else torch.ones_like(w)
    read = positions.round().long().clamp(0, len(m) - 1)
    high = m > m.max() / 2
    ratio = f"{float(w.max() / w.min()):.1f}" if w.min() > 0 else "∞"
    return {
        "eta": f"{eta:.2f}",
        "positions": [round(t, 2) for t in positions.tolist()],
        "density": [round(v, 3) for v in density.tolist()],
        "note": f"Densest to sparsest sampling {ratio} : 1. {int(high[read].sum())} of "
        f"{len(m)} samples fall on the {int(high.sum())} snippets where m exceeds half its peak.",
    }
