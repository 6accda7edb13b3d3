"""The rules by which the field's evaluation codes score detections, by name.

Each is a function of (detections, videos, thresholds (n,)) that returns the average precisions
(n,) of each class; `DESCRIPTIONS` says each in a line. Where an official code trips, the sane value
is given: 0/0 is no hit, a label without instances is left out, a class without detections has 0.
"""

from __future__ import annotations

from . import cleaned, kits, snippets
from .activitynet import ClassByClass
from .subset import without_three

PROTOCOLS = {
    "activitynet": ClassByClass(),
    "activitynet-210": without_three,
    "co2net": snippets.CO2NET,
    "wtalc": snippets.WTALC,
    "thumos-2014": kits.THUMOS_2014,
    "thumos-updated": kits.THUMOS_UPDATED,
    "actionformer": cleaned.ACTIONFORMER,
    "opentad": cleaned.OPENTAD,
}
DESCRIPTIONS: dict[str, str] = {
    "activitynet": "in seconds; surest detection first, best free instance; interpolated AP",
    "activitynet-210": "as activitynet, without three test videos of THUMOS14",
    "co2net": "as activitynet, rounded to snippets of 0.64 s; ambiguous detections removed",
    "wtalc": "as co2net, but the first instance that fits, and AP not interpolated",
    "thumos-2014": "each instance takes the detection that overlaps most; AP at 11 recalls",
    "thumos-updated": "as thumos-2014, AP not interpolated",
    "actionformer": "as activitynet, repeated and empty instances dropped",
    "opentad": "as actionformer, thresholds of exactly 0.3 and 0.7",
}
# whose codes write their thresholds down, 0.3 and 0.7, where others compute 3 * 0.1 and 7 * 0.1
LITERAL = frozenset({"co2net", "wtalc", "opentad"})
