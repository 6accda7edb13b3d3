"""The rules by which the field's evaluation codes score detections, by name.

Each is a function of (detections, videos, thresholds (n,)) that returns the average precisions
(n,) of each class.
"""

from __future__ import annotations

from .activitynet import ClassByClass

PROTOCOLS = {"activitynet": ClassByClass()}
# whose codes write their thresholds down, 0.3 and 0.7, where others compute 3 * 0.1 and 7 * 0.1
LITERAL = frozenset()
