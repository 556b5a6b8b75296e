# SPDX-License-Identifier: GPL-3.0-or-later
"""Compressed skins for tests, made in a moment: bones spread over what moves, weights by distance, motions by
least squares.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from scene_support import part


def tiny_skin(source: Any, bones: int = 12, influences: int = 4) -> Any:
    """A CompressedSkin of shapes (a ShapeSource): far from the best, but complete. The last bone is still."""
    centre = source.rest.mean(axis=0, dtype=np.float64)
    rest = (source.rest - centre).astype(np.float64)
    motion = np.linalg.norm(source.deltas, axis=2).max(axis=0)
    weights = spread_weights(rest, motion, bones, influences)
    transforms = np.zeros((len(source.deltas), weights.shape[1], 6), np.float32)
    transforms[:, :-1] = _fitted(rest, weights[:, :-1], source.deltas)
    return part("core.skin.compressed").CompressedSkin(
        rest=rest.astype(np.float32),
        centre=centre,
        faces=source.faces,
        weights=weights.astype(np.float32),
        transforms=transforms,
        shape_names=source.names,
    )


def spread_weights(rest: np.ndarray, motion: np.ndarray, bones: int, influences: int) -> np.ndarray:
    """(N, bones + 1) weights; the last bone holds what does not move."""
    movers = np.flatnonzero(motion > 0.02 * motion.max())
    chosen = [int(movers[np.argmax(motion[movers])])]
    distance = np.full(len(movers), np.inf)
    for _ in range(min(bones, len(movers)) - 1):
        distance = np.minimum(distance, np.linalg.norm(rest[movers] - rest[chosen[-1]], axis=1))
        chosen.append(int(movers[np.argmax(distance)]))
    apart = np.linalg.norm(rest[:, None] - rest[chosen], axis=2)
    width = 0.8 * max(float(distance.max(initial=0.0)), 1e-9)
    near = np.exp(-((apart / width) ** 2) / 2) + 1e-9
    near[np.arange(len(near))[:, None], np.argsort(-near, axis=1)[:, influences:]] = 0.0
    near /= near.sum(axis=1, keepdims=True)
    still = motion <= 0.0
    near[still] = 0.0
    return np.concatenate([near, still[:, None]], axis=1)


def _fitted(rest: np.ndarray, weights: np.ndarray, deltas: np.ndarray) -> np.ndarray:
    """(S, P, 6) motions with the least squared error."""
    n, bones = weights.shape
    matrix = np.zeros((n, 3, bones, 6))
    x, y, z = rest.T
    for row, column, value in ((0, 1, z), (0, 2, -y), (1, 0, -z), (1, 2, x), (2, 0, y), (2, 1, -x)):
        matrix[:, row, :, column] = weights * value[:, None]
    for axis in range(3):
        matrix[:, axis, :, 3 + axis] = weights
    flat = matrix.reshape(3 * n, 6 * bones)
    normal = flat.T @ flat
    normal += np.eye(len(normal)) * 1e-9 * np.trace(normal)
    wanted = flat.T @ deltas.reshape(len(deltas), -1).T.astype(np.float64)
    return np.linalg.solve(normal, wanted).T.reshape(-1, bones, 6)


def world_points(obj: Any) -> np.ndarray:
    """(n, 3) world coordinates of a mesh object as Blender shows it now."""
    evaluated = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
    points = np.empty(3 * len(evaluated.data.vertices), np.float32)
    evaluated.data.vertices.foreach_get("co", points)
    world = np.array(evaluated.matrix_world)
    return points.reshape(-1, 3).astype(np.float64) @ world[:3, :3].T + world[:3, 3]


def distances(source: Any, copy: Any, frames: Any) -> np.ndarray:
    """(T, N) world distances between an original and its copy as Blender shows them, each frame moved onto
    the other by the offset of their places.
    """
    rows = []
    for frame in frames:
        bpy.context.scene.frame_set(int(frame))
        aside = np.array(copy.matrix_world)[:3, 3] - np.array(source.matrix_world)[:3, 3]
        rows.append(np.linalg.norm(world_points(copy) - aside - world_points(source), axis=1))
    return np.array(rows)
