# SPDX-License-Identifier: GPL-3.0-or-later
"""Coordinates on the strips that carry the lashes: along the lid and from root to tip."""

from __future__ import annotations

from typing import Any

import numpy as np

from .anchors import default_rest, eye_centres

Array = np.ndarray


def lash_coordinates(model: Any) -> tuple[Array, Array]:
    """Rows (n,) of all lash strips and their (n, 3) coordinates: 0..1 along the lid, 0 root .. 1 tip, 0
    lower / 1 upper lid.

    Each strip is a grid of quads. Its short sides end at corners (vertices of one polygon); steps along
    edges from the long side next to the eyeball count from root to tip.
    """
    rest = default_rest(model)
    rows, coordinates = [], []
    for side, centre in zip(("left", "right"), eye_centres(model, rest), strict=True):
        part = f"lashes_{side}"
        if part not in model.part_names:
            continue
        strips = _strips(model.faces[model.part_faces(part)])
        heights = [float(rest.vertices[np.unique(strip)][:, 1].mean()) for strip in strips]
        for strip, height in zip(strips, heights, strict=True):
            members, place = _strip_coordinates(strip, rest.vertices, centre)
            rows.append(members)
            coordinates.append(np.c_[place, np.full(len(place), float(height >= max(heights)))])
    if not rows:
        return np.zeros(0, np.int64), np.zeros((0, 3))
    return np.concatenate(rows), np.concatenate(coordinates)


def _strips(faces: Array) -> list[Array]:
    """Connected pieces of a polygon soup, as face arrays."""
    label = np.arange(faces.max() + 1)
    for _ in range(len(faces)):
        before = label.copy()
        lowest = label[faces].min(axis=1)
        for corner in range(4):
            np.minimum.at(label, faces[:, corner], lowest)
        if np.array_equal(before, label):
            break
    names = label[faces[:, 0]]
    return [faces[names == name] for name in np.unique(names)]


def _strip_coordinates(faces: Array, vertices: Array, centre: Array) -> tuple[Array, Array]:
    members, local = np.unique(faces, return_inverse=True)
    local = local.reshape(faces.shape)
    edges = np.concatenate([local[:, [i, (i + 1) % 4]] for i in range(4)])
    ordered, count = np.unique(np.sort(edges, axis=1), axis=0, return_counts=True)
    border = ordered[count == 1]
    uses = np.bincount(local.ravel(), minlength=len(members))
    corners = [corner for corner in np.unique(border) if uses[corner] == 1]
    if len(corners) != 4:
        return members, np.c_[np.linspace(0, 1, len(members)), np.full(len(members), 0.5)]
    sides = sorted(_border_sides(border, corners), key=len)
    points = vertices[members]
    near = [float(np.linalg.norm(points[side] - centre, axis=1).mean()) for side in sides[2:]]
    root, tip = (sides[2], sides[3]) if near[0] <= near[1] else (sides[3], sides[2])
    ends = sorted(sides[:2], key=lambda side: abs(float(points[side][:, 0].mean())))
    along, across = (
        _share(_steps(ordered, start, len(members)), _steps(ordered, stop, len(members)))
        for start, stop in ((ends[0], ends[1]), (root, tip))
    )
    return members, np.c_[along, across]


def _border_sides(border: Array, corners: list[int]) -> list[list[int]]:
    """The four runs of border vertices between the corners, ends included."""
    neighbours: dict[int, list[int]] = {}
    for a, b in border:
        neighbours.setdefault(int(a), []).append(int(b))
        neighbours.setdefault(int(b), []).append(int(a))
    sides, previous, current = [], int(corners[0]), neighbours[int(corners[0])][0]
    run = [previous]
    while len(sides) < 4:
        run.append(current)
        if current in corners:
            sides.append(run)
            run = [current]
        step = next(n for n in neighbours[current] if n != previous)
        previous, current = current, step
    return sides


def _steps(edges: Array, start: list[int], count: int) -> Array:
    """Edge steps from the vertices `start` to every vertex."""
    steps = np.full(count, 1_000_000)
    steps[start] = 0
    for _ in range(count):
        before = steps.copy()
        np.minimum.at(steps, edges[:, 0], steps[edges[:, 1]] + 1)
        np.minimum.at(steps, edges[:, 1], steps[edges[:, 0]] + 1)
        if np.array_equal(before, steps):
            break
    return steps


def _share(first: Array, second: Array) -> Array:
    return first / np.maximum(first + second, 1)
