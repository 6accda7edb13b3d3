"""The rules by which the field's evaluation codes score detections, by name.

Each is a function of (detections, videos, thresholds (n,)) that returns the average precisions
(n,) of each class; `DESCRIPTIONS` says in a line what is particular to it. Where an official code
misbehaves (0/0, a label that no instance has, a class without detections) the sane value is given.
"""

from __future__ import annotations

from .activitynet import ClassByClass
from .cleaned import InSecondsCleaned, a_millisecond, positive
from .kits import ThumosKit, best_free_detection, original_ap, updated_ap
from .precision import mean_precision_at_hits
from .snippets import first_free_instance, in_annotated_videos, in_snippets
from .subset import in_210_videos

PROTOCOLS = {
    "activitynet": ClassByClass(),
    "activitynet-210": ClassByClass(in_210_videos),
    "co2net": ClassByClass(in_snippets),
    "wtalc": ClassByClass(in_annotated_videos, first_free_instance, mean_precision_at_hits),
    "thumos-2014": ThumosKit(original_ap, best_free_detection),
    "thumos-updated": ThumosKit(updated_ap, best_free_detection),
    "actionformer": ClassByClass(InSecondsCleaned(a_millisecond)),
    "opentad": ClassByClass(InSecondsCleaned(positive)),
}
# for users, a line each
DESCRIPTIONS: dict[str, str] = {
    "activitynet": "best free instance by score, area under the interpolated curve; the default",
    "activitynet-210": "the same without videos 270, 1292 and 1496 of THUMOS14's test part",
    "co2net": "the same in whole snippets, without detections that meet an ambiguous interval",
    "wtalc": "in snippets like co2net, but first free instance, and no interpolation",
    "thumos-2014": "the challenge's kit: best detection per instance, precision at 11 recalls",
    "thumos-updated": "the kit's later version: the same matching, mean precision at hits",
    "actionformer": "activitynet without repeated instances and those shorter than 1 ms",
    "opentad": "activitynet without repeated and empty instances, thresholds 0.3 and 0.7 exactly",
}
# whose codes write their thresholds down, 0.3 and 0.7, where others compute 3 * 0.1 and 7 * 0.1
LITERAL = frozenset({"co2net", "wtalc", "opentad"})
