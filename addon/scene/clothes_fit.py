# SPDX-License-Identifier: GPL-3.0-or-later
"""Fits a cut piece to a person: clear of the skin, smoothed as cloth is, hanging from chest and belly."""

from __future__ import annotations

from typing import Any

import numpy as np

from .clothes_cut import Piece
from .hair_surface import Collider

Array = np.ndarray


def fitted(
    piece: Piece, rest: Any, collider: Collider, ease: Array, trunk: Array, hang: float, smooth: int
) -> Array:
    """(n, 3) head frame, metres. `ease`: (V,) distance from the skin; `trunk`: (V,) bool, not of an arm;
    `hang` 0..1: how far the cloth falls straight from
    where the body is widest; `smooth`: rounds of smoothing that take out what cloth bridges.
    """
    points = piece.mix(np.asarray(rest.vertices, np.float64))
    edges = edges_of(piece.polygons)
    border = _border(piece.polygons, len(points))
    # Collars lie close; sleeves end wide enough for a bent elbow.
    tight = np.where(trunk[piece.first], 0.22, 1.0)
    room = piece.mix(ease) * np.clip(tight + piece.depth / 0.08, tight, 1.0)
    points = _smoothed(points, edges, border, smooth)
    points = collider.keep_out(points, room, reach=0.08)
    if hang > 0.0:
        points = _hanging(points, trunk[piece.first] & trunk[piece.second], hang)
    points = _smoothed(points, edges, border, 2)
    return collider.keep_out(points, room, reach=0.08)


def edges_of(polygons: list[list[int]]) -> Array:
    """(e, 2) edges, each once."""
    pairs = [(a, b) for polygon in polygons for a, b in zip(polygon, polygon[1:] + polygon[:1], strict=True)]
    return np.unique(np.sort(np.array(pairs), axis=1), axis=0)


def _border(polygons: list[list[int]], count: int) -> Array:
    """(n,) True for vertices on an open edge."""
    pairs = [(a, b) for polygon in polygons for a, b in zip(polygon, polygon[1:] + polygon[:1], strict=True)]
    unique, uses = np.unique(np.sort(np.array(pairs), axis=1), axis=0, return_counts=True)
    open_edge = np.zeros(count, bool)
    open_edge[unique[uses == 1].ravel()] = True
    return open_edge


def _smoothed(points: Array, edges: Array, border: Array, rounds: int) -> Array:
    """Laplacian smoothing; border vertices follow only their border neighbours."""
    along = border[edges[:, 0]] & border[edges[:, 1]]
    for _ in range(rounds):
        result = points.copy()
        for used, who in ((~border[edges[:, 0]] | ~border[edges[:, 1]], ~border), (along, border)):
            chosen = edges if who is not border else edges[used]
            total, count = np.zeros_like(points), np.zeros(len(points))
            for a, b in ((0, 1), (1, 0)):
                np.add.at(total, chosen[:, a], points[chosen[:, b]])
                np.add.at(count, chosen[:, a], 1.0)
            mean = total / np.maximum(count, 1.0)[:, None]
            move = who & (count > 0)
            result[move] = 0.5 * points[move] + 0.5 * mean[move]
        points = result
    return points


def _hanging(points: Array, trunk: Array, amount: float) -> Array:
    """Let the cloth fall from the widest place above: per direction about the trunk's axis, radii may
    shrink downwards
    only by (1 - amount) of what the body does.
    """
    axis_z = np.median(points[trunk][:, 2])
    offset = points - [0.0, 0.0, axis_z]
    angle, radius = np.arctan2(offset[:, 0], offset[:, 2]), np.hypot(offset[:, 0], offset[:, 2])
    levels = np.linspace(points[:, 1].max(), points[:, 1].min(), 32)
    sectors = 36
    sector = ((angle / (2 * np.pi) + 0.5) * sectors).astype(int) % sectors
    level = np.clip(np.searchsorted(-levels, -points[:, 1]), 0, 31)
    widest = np.zeros((32, sectors))
    chest = points[:, 1] < points[:, 1].max() - 0.12
    body = chest & trunk
    np.maximum.at(widest, (level[body], sector[body]), radius[body])
    widest = np.maximum(widest, np.maximum(np.roll(widest, 1, axis=1), np.roll(widest, -1, axis=1)) * 0.97)
    fallen = np.maximum.accumulate(widest, axis=0) * 0.98
    target = np.maximum(fallen[level, sector], radius)
    fade = np.clip((points[:, 1].max() - 0.14 - points[:, 1]) / 0.12, 0.0, 1.0) * body
    grown = radius + amount * fade * np.minimum(target - radius, 0.05)
    result = points.copy()
    result[:, 0] = np.where(body, grown * np.sin(angle), points[:, 0])
    result[:, 2] = np.where(body, grown * np.cos(angle) + axis_z, points[:, 2])
    return result
