# SPDX-License-Identifier: GPL-3.0-or-later
"""A fitted piece to a mesh object, skinned with the body's armature."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from .clothes_cut import Piece
from .materials.anchors import default_rest
from .materials.attributes import BORDER, REST
from .materials.surface import write_attribute

Array = np.ndarray

COVERED = "likeness_covered"
"""Vertex group of the body: skin under clothes, hidden by a mask."""
TO_BLENDER = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


def write_garment(mesh: Any, piece: Piece, points: Array, model: Any) -> None:
    """Give a mesh the shape of a piece: surface, and the attributes its fabric reads."""
    mesh.clear_geometry()
    mesh.from_pydata((points @ TO_BLENDER.T).tolist(), [], piece.polygons)
    mesh.shade_smooth()
    write_attribute(mesh, REST, "FLOAT_VECTOR", piece.mix(np.asarray(default_rest(model).vertices)))
    write_attribute(mesh, BORDER, "FLOAT", piece.depth)
    mesh.update()


def write_weights(obj: bpy.types.Object, piece: Piece, model: Any) -> None:
    """Vertex groups named as the joints."""
    obj.vertex_groups.clear()
    count = len(model.joint_names)
    rows = np.unique(np.concatenate([piece.first, piece.second]))
    dense = np.zeros((int(rows.max()) + 1, count), np.float32)
    np.add.at(dense, (rows[:, None], model.skin_joints[rows].astype(np.int64)), model.skin_weights[rows])
    weights = piece.mix(dense)
    for joint in np.flatnonzero(weights.max(axis=0) > 1e-4):
        group = obj.vertex_groups.new(name=model.joint_names[joint])
        column = weights[:, joint]
        for vertex in np.flatnonzero(column > 1e-4).tolist():
            group.add([vertex], float(column[vertex]), "REPLACE")


def add_modifiers(obj: bpy.types.Object, armature: bpy.types.Object, thickness: float) -> None:
    """Armature, thickness and smoothing, where they are missing."""
    if "Likeness Armature" not in obj.modifiers:
        deform: Any = obj.modifiers.new("Likeness Armature", "ARMATURE")
        deform.object = armature
    if "likeness_dressed" in obj:
        return
    solid: Any = obj.modifiers.new("Likeness Thickness", "SOLIDIFY")
    solid.thickness, solid.offset, solid.use_even_offset = thickness, 1.0, False
    smooth: Any = obj.modifiers.new("Likeness Smooth", "SUBSURF")
    smooth.levels, smooth.render_levels = 1, 2
    obj["likeness_dressed"] = True


def cover_body(body: bpy.types.Object, rows: Array, covered: Array) -> None:
    """Hide the body's vertices under clothes. `rows`: model row per vertex; `covered`: (V,) bool per row."""
    group = body.vertex_groups.get(COVERED) or body.vertex_groups.new(name=COVERED)
    everything = np.arange(len(rows))
    group.remove(everything.tolist())
    hidden = everything[covered[rows]]
    group.add(hidden.tolist(), 1.0, "REPLACE")
    modifier: Any = body.modifiers.get("Likeness Covered")
    if modifier is None:
        modifier = body.modifiers.new("Likeness Covered", "MASK")
        modifier.vertex_group, modifier.invert_vertex_group = COVERED, True
        armature = body.modifiers.find("Likeness Armature")
        body.modifiers.move(len(body.modifiers) - 1, armature + 1)
