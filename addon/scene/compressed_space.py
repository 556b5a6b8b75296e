# SPDX-License-Identifier: GPL-3.0-or-later
"""A skin's motions and its original's shapes in the coordinates of an armature and in the skin's order."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ...core.errors import ModelError
from ...core.skin.compressed import CompressedSkin
from ...core.skin.playback import bone_matrices
from .compressed_mesh import points_of
from .shape_source import read_shapes


def motions_in_rig(
    skin: CompressedSkin, values: np.ndarray, obj: bpy.types.Object, rig: bpy.types.Object
) -> np.ndarray:
    """(T, P, 3, 4) motions of the skin's bones in the armature's coordinates."""
    motions = bone_matrices(skin, values)
    local = np.zeros((*motions.shape[:2], 4, 4))
    local[..., :3, :], local[..., 3, 3] = motions, 1.0
    local[..., :3, 3] += skin.centre - motions[..., :3] @ skin.centre
    there = np.array(to_rig(obj, rig), np.float64)
    return (there @ local @ np.linalg.inv(there))[..., :3, :]


def to_rig(obj: bpy.types.Object, rig: bpy.types.Object) -> Any:
    """From an object's coordinates to those of its armature."""
    return rig.matrix_world.inverted_safe() @ obj.matrix_world


def points_in_rig(obj: bpy.types.Object, rig: bpy.types.Object) -> np.ndarray:
    """(N, 3) vertices in the armature's coordinates."""
    there = np.array(to_rig(obj, rig), np.float64)
    return points_of(obj.data) @ there[:3, :3].T + there[:3, 3]


def reach(skin: CompressedSkin) -> np.ndarray:
    """(N,) how far each vertex goes at most with one shape fully on, in the mesh's unit."""
    farthest = np.zeros(skin.n_vertices)
    for six in skin.transforms:
        blended = skin.weights @ six
        moved = np.cross(blended[:, :3], skin.rest) + blended[:, 3:]
        np.maximum(farthest, np.linalg.norm(moved, axis=1), out=farthest)
    return farthest


def deltas_of(source: bpy.types.Object, skin: CompressedSkin) -> np.ndarray:
    """(S, N, 3) float32 shapes of the original in the skin's order."""
    shapes = read_shapes(source)
    gone = [name for name in skin.names if name not in shapes.names]
    if gone:
        raise ModelError(
            f"{source.name} has no shape key {gone[0]} any more.", "Name it as before, or compress anew."
        )
    return shapes.deltas[[shapes.names.index(name) for name in skin.names]]
