"""The rules by which the field's evaluation codes score detections, by name.

Each is a function of (detections, videos, thresholds (n,)) that returns the average precisions
(n,) of each class.
"""

from __future__ import annotations

from .activitynet import ClassByClass

PROTOCOLS = {"activitynet": ClassByClass()}
