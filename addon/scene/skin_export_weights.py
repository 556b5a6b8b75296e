# SPDX-License-Identifier: GPL-3.0-or-later
"""As many weights per vertex as a file may hold, chosen for what bones do in the action and in each shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...core.errors import ModelError
from ...core.skin.fewer_weights import fewer_weights
from ...core.skin.playback import bone_matrices
from .compressed_state import bones_of, is_compressed, skin_of
from .skin_export_stage import Motion

_SHAPES = 128
"""Most shapes that are looked at beside the action."""


def motions_of(obj: Any, bones: Sequence[str], motion: Motion, there: np.ndarray) -> np.ndarray:
    """(F, B, 3, 4) what bones do to points of a mesh: at frames of the action, and at each shape alone.

    `there` (4, 4) takes the mesh's coordinates to the armature's.
    """
    poses = np.stack([motion.poses[name] for name in bones], axis=1)
    played = (np.linalg.inv(there) @ poses @ there)[:, :, :3]
    return np.concatenate([played, _shapes_of(obj, bones)])


def _shapes_of(obj: Any, bones: Sequence[str]) -> np.ndarray:
    """(S, B, 3, 4) what bones do when one shape of the skin is at 1; none for a mesh that has no skin."""
    try:
        skin, names = skin_of(obj), bones_of(obj).names if is_compressed(obj) else ()
    except ModelError:
        return np.empty((0, len(bones), 3, 4))
    chosen = np.eye(skin.n_shapes)[:: max(1, -(-skin.n_shapes // _SHAPES))]
    motions = bone_matrices(skin, chosen)
    motions[..., 3] += skin.centre - motions[..., :3] @ skin.centre
    out = np.broadcast_to(np.eye(3, 4), (len(chosen), len(bones), 3, 4)).copy()
    for j, name in enumerate(names):
        if name in bones:
            out[:, bones.index(name)] = motions[:, j]
    return out


def limit_weights(mesh: Any, bones: Sequence[str], motions: np.ndarray, influences: int) -> None:
    """Keep so many weights of each vertex, which sum to 1 then, and only groups of `bones`, which deform."""
    for group in [g for g in mesh.vertex_groups if g.name not in bones]:
        mesh.vertex_groups.remove(group)
    before = _weights(mesh, bones)
    total = before.sum(axis=1, keepdims=True)
    points = np.empty(3 * len(before), np.float32)
    mesh.data.vertices.foreach_get("co", points)
    wanted = before / np.where(total > 0.0, total, 1.0)
    after = fewer_weights(points.reshape(-1, 3), wanted, motions, influences)
    groups = [mesh.vertex_groups.get(name) for name in bones]
    for row, column in np.argwhere(after != before).tolist():
        if after[row, column] > 0.0:
            groups[column].add([row], after[row, column], "REPLACE")
        else:
            groups[column].remove([row])


def _weights(mesh: Any, bones: Sequence[str]) -> np.ndarray:
    """(N, B) weights by bone."""
    column = [bones.index(group.name) for group in mesh.vertex_groups]
    weights = np.zeros((len(mesh.data.vertices), len(bones)))
    for vertex in mesh.data.vertices:
        for entry in vertex.groups:
            weights[vertex.index, column[entry.group]] = entry.weight
    return weights
