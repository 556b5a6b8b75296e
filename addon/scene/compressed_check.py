# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a mesh stands so that bones can take it over, and is still the one that was compressed."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ...core.errors import ModelError
from ...core.skin.compressed import CompressedSkin
from .compressed_mesh import points_of

_UNEVEN = 1e-4
"""How far axes may differ in length or from right angles, as a share."""
_MOVED = 1e-4
"""How far a vertex of the original may have gone, as a share of the mesh's size: float32."""
_RESHAPED = 0.01
"""The same for the copy, over all its vertices: touching it up by hand is fine, applying its scale is not."""


def is_even(obj: bpy.types.Object) -> bool:
    """Whether an object stands turned, moved and evenly scaled only, as evaluated last."""
    linear = np.array(obj.matrix_world, np.float64)[:3, :3]
    volume = float(np.linalg.det(linear))
    if volume <= 0.0:
        return False
    return bool(np.abs(linear @ linear.T / np.cbrt(volume) ** 2 - np.eye(3)).max() <= _UNEVEN)


def require_even(obj: bpy.types.Object) -> None:
    """ModelError for an uneven, mirrored or sheared scale: bones and files for engines cannot hold that."""
    if not is_even(obj):
        raise ModelError(
            f"{obj.name} is scaled unevenly, mirrored or sheared.", "Apply the object's scale, then compress."
        )


def require_unchanged(source: bpy.types.Object, obj: bpy.types.Object, skin: CompressedSkin) -> None:
    """ModelError when the neutral or the evenness of the original is another than when it was compressed, or
    the compressed mesh has another size: the skin's motions would be of another mesh.
    """
    rest = skin.rest.astype(np.float64) + skin.centre
    size = float(np.ptp(rest, axis=0).max(initial=0.0))
    now, own = _neutral(source), points_of(obj.data)
    if now.shape != rest.shape or np.abs(now - rest).max(initial=0.0) > _MOVED * size:
        raise _changed(source)
    if is_even(obj) and not is_even(source):
        raise _changed(source)
    if own.shape != rest.shape or np.sqrt(np.square(own - rest).mean()) > _RESHAPED * size:
        raise _changed(obj)


def _neutral(source: bpy.types.Object) -> np.ndarray:
    """(N, 3) vertices of a mesh with shape keys where all are off."""
    mesh: Any = source.data
    if mesh.shape_keys is None:
        return points_of(mesh)
    block = mesh.shape_keys.reference_key
    points = np.empty(3 * len(block.data), np.float32)
    block.data.foreach_get("co", points)
    return points.reshape(-1, 3).astype(np.float64)


def _changed(obj: bpy.types.Object) -> ModelError:
    return ModelError(f"{obj.name} changed since it was compressed.", "Compress again.")
