# SPDX-License-Identifier: GPL-3.0-or-later
"""Many strands from few guides: interpolation, clumps and loose hairs, all in numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .hair_surface import Roots

Array = np.ndarray


@dataclass(frozen=True)
class Strands:
    """Finished hairs of equal point count, head frame, metres."""

    points: Array
    """(n, k, 3) from root to tip."""
    radius: Array
    """(n, k)."""
    uv: Array
    """(n, 2) of the roots."""


def spread_subset(points: Array, count: int) -> Array:
    """(count,) indices of points that lie far from each other (farthest-point order)."""
    count = min(count, len(points))
    chosen = np.zeros(count, np.int64)
    distance = np.full(len(points), np.inf)
    for i in range(1, count):
        distance = np.minimum(distance, ((points - points[chosen[i - 1]]) ** 2).sum(axis=1))
        chosen[i] = int(np.argmax(distance))
    return chosen


def resampled(lines: Array, count: int) -> Array:
    """Polylines (n, k, 3) with `count` points each, evenly spaced along their length."""
    steps = np.linalg.norm(np.diff(lines, axis=1), axis=2)
    length = np.concatenate([np.zeros((len(lines), 1)), np.cumsum(steps, axis=1)], axis=1)
    length /= np.maximum(length[:, -1:], 1e-9)
    at = np.linspace(0.0, 1.0, count)
    result = np.empty((len(lines), count, 3))
    for i, (line, where) in enumerate(zip(lines, length, strict=True)):
        for axis in range(3):
            result[i, :, axis] = np.interp(at, where, line[:, axis])
    return result


def grow_between(
    roots: Roots, guides: Array, guide_roots: Roots, *, clump: float, loose: float, seed: int, unit: float
) -> Array:
    """(n, k, 3): a strand for each root, shaped by its three nearest guides ((g, k, 3)).

    Guides that lead elsewhere than the nearest one (across a parting) do not take part. `clump` 0..1 draws
    tips to the nearest guide, `loose` (metres at the tip) lets hairs stray, `unit` is the guides' spacing
    scale in
    metres.
    """
    rng = np.random.default_rng(seed)
    near, distance = _nearest(roots.places, guide_roots.places, 3)
    offsets = guides - guides[:, :1]
    lead = offsets[:, -1] / np.maximum(np.linalg.norm(offsets[:, -1], axis=1, keepdims=True), 1e-9)
    agree = np.einsum("nkd,nd->nk", lead[near], lead[near[:, 0]]) > 0.55
    weight = agree / np.maximum(distance, 1e-4) ** 2
    weight /= weight.sum(axis=1, keepdims=True)
    lines = roots.points[:, None] + np.einsum("nk,nkpd->npd", weight, offsets[near])
    along = np.linspace(0.0, 1.0, guides.shape[1])
    pull = clump * along**1.5 * rng.uniform(0.35, 1.0, (len(roots), 1))
    lines += pull[..., None] * (guides[near[:, 0]] - lines)
    stray = rng.normal(0.0, 1.0, (len(roots), 1, 3)) + 0.6 * _wander(rng, len(roots), guides.shape[1])
    lines += loose * (along**1.3)[None, :, None] * stray
    shorter = rng.uniform(0.82, 1.0, (len(roots), 1, 1))
    return _shortened(lines, shorter[:, 0, 0])


def tapered(count: int, points: int, radius: float, tip: float, seed: int) -> Array:
    """(count, points) radii, full for most of the strand and `tip` times that at its end."""
    own = radius * np.random.default_rng(seed).uniform(0.8, 1.2, (count, 1))
    along = np.linspace(0.0, 1.0, points)
    return own * (1.0 - (1.0 - tip) * along**2.2)


def _nearest(points: Array, targets: Array, count: int) -> tuple[Array, Array]:
    """Indices and distances (n, count) of the nearest targets, nearest first; chunked to bound memory."""
    index = np.empty((len(points), count), np.int64)
    distance = np.empty((len(points), count))
    norms = (targets**2).sum(axis=1)
    for start in range(0, len(points), 2048):
        part = points[start : start + 2048]
        squared = (part**2).sum(axis=1)[:, None] - 2 * part @ targets.T + norms
        best = np.argpartition(squared, count, axis=1)[:, :count]
        order = np.argsort(np.take_along_axis(squared, best, 1), axis=1)
        index[start : start + 2048] = np.take_along_axis(best, order, 1)
        distance[start : start + 2048] = np.sqrt(
            np.maximum(np.take_along_axis(squared, index[start : start + 2048], 1), 0)
        )
    return index, distance


def _wander(rng: np.random.Generator, count: int, points: int) -> Array:
    """Smooth random curves (count, points, 3): two sine waves of random phase per axis."""
    along = np.linspace(0.0, 1.0, points)[None, :, None]
    phase = rng.uniform(0, 2 * np.pi, (2, count, 1, 3))
    return np.sin(5.0 * along + phase[0]) + 0.6 * np.sin(11.0 * along + phase[1])


def _shortened(lines: Array, share: Array) -> Array:
    """Polylines cut to a share of their length, with as many points as before."""
    count = lines.shape[1]
    at = np.linspace(0.0, 1.0, count)[None, :] * share[:, None] * (count - 1)
    low = np.minimum(at.astype(np.int64), count - 2)
    t = (at - low)[..., None]
    rows = np.arange(len(lines))[:, None]
    return lines[rows, low] * (1 - t) + lines[rows, low + 1] * t
