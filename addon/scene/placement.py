# SPDX-License-Identifier: GPL-3.0-or-later
"""Where persons stand: a root empty on the floor each, the second beside the first."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from mathutils import Euler, Vector

from ...core.head import HeadModel, Rest
from .compressed_state import RIG_SOURCE
from .double import person_roots
from .mesh import body_rows, to_blender
from .posture import relaxed_vertices
from .settings import BuildSettings


def place_root(scene: bpy.types.Scene, root: bpy.types.Object, settings: BuildSettings) -> None:
    """Put a new root at the preferred place, or at the first free place to the side of it."""
    turn = Euler(settings.rotation, "XYZ")
    root.rotation_euler = turn
    others = [other for other in person_roots(scene) if other != root]
    step = Vector((settings.spacing, 0.0, 0.0))
    step.rotate(turn)
    place = Vector(settings.location)
    copies = [rig.matrix_world.translation for rig in scene.objects if RIG_SOURCE in rig]
    for n in range(2 * (len(others) + len(copies)) + 1):
        # 0, 1, -1, 2, -2 ...: people gather on both sides of the first.
        candidate = place + step * ((n + 1) // 2 * (1 if n % 2 else -1))
        free = all((candidate - other.location).length > 0.5 * settings.spacing for other in others)
        if free and all((candidate - copy).xy.length > 0.5 * settings.spacing for copy in copies):
            root.location = candidate
            return
    root.location = place + step * (len(others) + len(copies) + 1)


def feet_height(model: HeadModel, rest: Rest, relaxed: bool = True) -> float:
    """How far below the head frame's origin the lowest point of the body is, metres."""
    vertices = relaxed_vertices(model, rest) if relaxed else rest.vertices
    return float(-vertices[body_rows(model), 1].min())


def eye_centre(model: HeadModel, rest: Rest) -> np.ndarray:
    """(3,) point between the eyes in the armature's coordinates; without eye joints, where they would be."""
    joints = [model.roles[role] for role in ("eye_left", "eye_right") if role in model.roles]
    if not joints:
        return to_blender(np.array([0.0, 0.03, 0.09]))
    heads = rest.joint_heads[[model.joint_names.index(str(joint)) for joint in joints]]
    return to_blender(heads.mean(axis=0))


def parent_to_head(obj: Any, armature: Any, bone_name: str | None) -> None:
    """Let `obj` follow the head bone; its location stays in the armature's rest coordinates."""
    obj.parent = armature
    if bone_name is None:
        obj.parent_type = "OBJECT"
        obj.matrix_parent_inverse.identity()
        return
    bone = armature.data.bones[bone_name]
    obj.parent_type, obj.parent_bone = "BONE", bone_name
    rest = bone.matrix_local.copy()
    rest.translation = bone.tail_local  # Blender hangs children on the tail
    obj.matrix_parent_inverse = rest.inverted()
