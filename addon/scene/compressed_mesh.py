# SPDX-License-Identifier: GPL-3.0-or-later
"""The mesh of a compressed object: the original's without its shape keys, or the skin's own."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ...core.skin.compressed import CompressedSkin
from . import compressed_state as state
from .compressed_rig import link_beside
from .double import ID_KEY, ROLE_KEY
from .splat_hiding import release
from .workspace import scene_and_layer


def copied_mesh(source: bpy.types.Object, name: str) -> bpy.types.Object:
    """A copy of a mesh object in its neutral, in the same collections. It is no part of the person that the
    original belongs to, and has its own mesh; materials are shared.
    """
    copy: Any = source.copy()
    copy.data = source.data.copy()  # type: ignore[union-attr]
    copy.name = copy.data.name = name
    state.forget(copy)
    release(copy)
    for owner in (copy, copy.data):
        for key in (ID_KEY, ROLE_KEY):
            if key in owner:
                del owner[key]
    link_beside(copy, source)
    keys = copy.data.shape_keys
    if keys is not None:
        points = np.empty(3 * len(copy.data.vertices), np.float32)
        keys.reference_key.data.foreach_get("co", points)
        copy.shape_key_clear()
        copy.data.vertices.foreach_set("co", points)
        copy.data.update()
    return copy


def own_mesh(context: bpy.types.Context, skin: CompressedSkin, name: str) -> bpy.types.Object:
    """An object with the rest of a skin, in the scene's collection."""
    mesh: Any = bpy.data.meshes.new(name)
    used = skin.faces >= 0
    sizes = used.sum(axis=1)
    points = (skin.rest + skin.centre).astype(np.float32)
    mesh.vertices.add(len(points))
    mesh.vertices.foreach_set("co", points.ravel())
    mesh.loops.add(int(sizes.sum()))
    mesh.loops.foreach_set("vertex_index", skin.faces[used].astype(np.int32))
    mesh.polygons.add(len(sizes))
    mesh.polygons.foreach_set("loop_start", (np.cumsum(sizes) - sizes).astype(np.int32))
    mesh.update(calc_edges=True)
    mesh.shade_smooth()
    obj = bpy.data.objects.new(name, mesh)
    scene_and_layer(context)[0].collection.objects.link(obj)
    return obj


def points_of(mesh: Any) -> np.ndarray:
    """(N, 3) float64 vertices."""
    points = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", points)
    return points.reshape(-1, 3).astype(np.float64)
