"""Slow transcriptions of the paper's equations for one video: loops, NumPy scalars, no tricks.

Written from the paper and from the stated convention (snippet t covers [t, t + 1) of the time
axis, positions are centre units), not from the library.
"""

from __future__ import annotations

import math

import numpy as np


def aggregate(cas, labels, how):
    m = []
    for row in cas:
        own = [p for p, y in zip(row, labels, strict=True) if y]
        m.append(max(own) if how == "maximum" else sum(own) / len(own))
    return np.array(m)


def sampling_weights(m, eta):
    return np.array([max(m) - value + eta for value in m])


def interpolate(values, t):
    """`values[t]` at a real-valued t, the ends held."""
    t = min(max(t, 0), len(values) - 1)
    low = math.floor(t)
    high = min(low + 1, len(values) - 1)
    return values[low] + (t - low) * (values[high] - values[low])


def sample_positions(w, factor):
    count = len(w)
    upsampled = [interpolate(w, (b + 0.5) / factor - 0.5) for b in range(count * factor)]
    if sum(upsampled) == 0:
        return np.arange(float(count))
    positions = []
    for j in range(count):
        goal = (j + 0.5) / count * math.fsum(upsampled)
        reached, b = 0.0, 0
        while b < len(upsampled) - 1 and reached + upsampled[b] <= goal:
            reached += upsampled[b]
            b += 1
        positions.append((b + (goal - reached) / upsampled[b]) / factor - 0.5)
    return np.array(positions)


def sample_features(x, positions):
    return np.stack([interpolate(x, t) for t in positions])


def align(cas, positions):
    rows = []
    for t in range(len(cas)):
        before = [j for j, p in enumerate(positions) if p <= t]
        after = [j for j, p in enumerate(positions) if p > t]
        if not before:
            rows.append(cas[after[0]])
        elif not after:
            rows.append(cas[before[-1]])
        else:
            j, k = before[-1], after[0]
            along = (t - positions[j]) / (positions[k] - positions[j])
            rows.append(cas[j] + along * (cas[k] - cas[j]))
    return np.stack(rows)


def pseudo_labels(cas, labels, factor):
    out = np.zeros_like(cas)
    for k, y in enumerate(labels):
        alpha = factor * sum(cas[:, k]) / len(cas)
        for t in range(len(cas)):
            out[t, k] = 1 if y and cas[t, k] > alpha else 0
    return out


def localization_loss(cas, pseudo):
    total = 0.0
    for p, y in zip(cas.T, pseudo.T, strict=True):
        positive = [-math.log(v) for v, label in zip(p, y, strict=True) if label]
        negative = [-math.log(1 - v) for v, label in zip(p, y, strict=True) if not label]
        total += sum(side and sum(side) / len(side) or 0 for side in (positive, negative))
    return total / cas.shape[1]


def classification_loss(probabilities, labels, form):
    target = np.array(labels) / sum(labels)
    if form == "softmax_ce":
        return -sum(y * math.log(p) for p, y in zip(probabilities, target, strict=True))
    terms = [
        -y * math.log(p) - (1 - y) * math.log(1 - p)
        for p, y in zip(probabilities, target, strict=True)
    ]
    return sum(terms) / len(terms)


def topk_mean(logits, topk):
    k = math.ceil(len(logits) / topk)
    return np.array([sum(sorted(column)[-k:]) / k for column in logits.T])


def coactivity_loss(features, logits, labels, pairs, margin=0.5):
    """`features`, `logits`: lists of videos of their true lengths."""

    def pooled(video, k):
        s = np.exp(logits[video][:, k] - logits[video][:, k].max())
        a = s / s.sum()
        high = sum(a[t] * features[video][t] for t in range(len(a)))
        low = sum((1 - a[t]) * features[video][t] for t in range(len(a))) / max(len(a) - 1, 1)
        return high, low

    def distance(u, v):
        return 1 - u @ v / (np.linalg.norm(u) * np.linalg.norm(v))

    total, count = 0.0, 0
    for i, j in pairs:
        for k in range(len(labels[0])):
            if labels[i][k] and labels[j][k]:
                (hi, li), (hj, lj) = pooled(i, k), pooled(j, k)
                apart = distance(hi, hj)
                total += 0.5 * max(apart - distance(hi, lj) + margin, 0)
                total += 0.5 * max(apart - distance(hj, li) + margin, 0)
                count += 1
    return total / max(count, 1)


def fuse(base_rgb, supp_rgb, base_flow, supp_flow, beta):
    return 0.5 * (base_flow + supp_flow + beta * base_rgb + beta * supp_rgb)


def localize(cas, seconds, class_threshold, factor, topk):
    """[(class, start_s, end_s, score)] by class and start."""
    scores = topk_mean(cas, topk)
    classes = [k for k in range(cas.shape[1]) if scores[k] >= class_threshold]
    classes = classes or [int(np.argmax(scores))]
    found = []
    for k in classes:
        threshold, start = factor * cas[:, k].mean(), None
        for t in range(len(cas) + 1):
            inside = t < len(cas) and cas[t, k] > threshold
            if inside and start is None:
                start = t
            if not inside and start is not None:
                found.append((k, start * seconds, t * seconds, cas[start:t, k].max()))
                start = None
    return found
