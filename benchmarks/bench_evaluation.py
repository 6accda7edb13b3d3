"""Scoring detections."""

from __future__ import annotations

from dataclasses import replace

from data import detections
from memory import evaluation, peak
from rates import copy

from amslib import evaluate

COUNT = 100_000
COLUMNS = 5  # of 8 bytes each: video, label, start, end, score


def test_evaluation(benchmark, wide, figures):
    videos = wide.test
    found = detections(videos, COUNT)
    benchmark.pedantic(evaluate, (found, videos), rounds=3)
    name = f"evaluation of {COUNT:,} detections in {len(videos)} videos"
    figures.within(name, benchmark.stats.stats.min, 0.4, copy(), 8 * COLUMNS * COUNT)


def test_memory(benchmark, wide, figures):
    bare = [replace(video, features={}, metadata={}) for video in wide.test]
    used = benchmark.pedantic(lambda: peak(evaluation, bare, COUNT), rounds=1)
    figures.peak(f"evaluation of {COUNT:,} detections", used, 200e6)
