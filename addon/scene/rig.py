# SPDX-License-Identifier: GPL-3.0-or-later
"""The armature: one bone per joint, with the rest axes of the model, and eyes that follow the eyeLook
keys.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from mathutils import Vector

from ...core.head import HeadModel, Rest
from .mesh import to_blender
from .workspace import edit_mode

_SHORTEST = 1e-4
"""Metres; Blender throws away bones of no length."""


def update_armature(
    context: bpy.types.Context, obj: bpy.types.Object, model: HeadModel, rest: Rest
) -> list[str]:
    """Make the object's bones this person's joints; the names of bones that are new. Other bones stay as
    they are.
    """
    armature: Any = obj.data
    missing = [name for name in model.joint_names if name not in armature.bones]
    if missing or not _in_place(armature, model, rest):
        with edit_mode(context, obj):
            _write_bones(armature, model, rest)
    if missing:
        armature.display_type = "STICK"
        _sort_bones(armature, model)
    return missing


def _ends(rest: Rest) -> tuple[np.ndarray, np.ndarray]:
    heads, tails = to_blender(rest.joint_heads), to_blender(rest.joint_tails)
    along = to_blender(rest.joint_rotations[:, :, 1])
    length = np.linalg.norm(tails - heads, axis=1, keepdims=True)
    return heads, np.where(length < _SHORTEST, heads + _SHORTEST * along, tails)


def _in_place(armature: Any, model: HeadModel, rest: Rest) -> bool:
    heads, tails = _ends(rest)
    bones = [armature.bones[name] for name in model.joint_names]
    found = np.array([(*bone.head_local, *bone.tail_local, *bone.matrix_local.col[2][:3]) for bone in bones])
    expected = np.concatenate([heads, tails, to_blender(rest.joint_rotations[:, :, 2])], axis=1)
    return bool(np.allclose(found, expected, atol=1e-5))


def _write_bones(armature: Any, model: HeadModel, rest: Rest) -> None:
    heads, tails = _ends(rest)
    up = to_blender(rest.joint_rotations[:, :, 2])
    bones = armature.edit_bones
    for i, name in enumerate(model.joint_names):
        bone = bones.get(name) or bones.new(name)
        parent = model.joint_parents[i]
        bone.use_connect = False
        bone.parent = bones[model.joint_names[parent]] if parent >= 0 else None
        bone.head, bone.tail = heads[i].tolist(), tails[i].tolist()
        bone.align_roll(Vector(up[i].tolist()))


def _sort_bones(armature: Any, model: HeadModel) -> None:
    """Bone collections: what a performance keys, and the rest of the body."""
    keyed = set(performed_bones(model))
    for title, names in (
        ("Performance", [name for name in model.joint_names if name in keyed]),
        ("Body", [name for name in model.joint_names if name not in keyed]),
    ):
        collection = armature.collections.get(title) or armature.collections.new(title)
        for name in names:
            collection.assign(armature.bones[name])


def role_bones(model: HeadModel, role: str) -> tuple[str, ...]:
    """The joints that play a role in the model, an empty tuple where it has none."""
    found = model.roles.get(role, ())
    return (found,) if isinstance(found, str) else tuple(found)


def performed_bones(model: HeadModel) -> tuple[str, ...]:
    """The bones that a performance moves: neck from below, head, eyes."""
    return tuple(
        name for role in ("neck", "head", "eye_left", "eye_right") for name in role_bones(model, role)
    )


def add_modifiers(body: bpy.types.Object, armature: bpy.types.Object) -> None:
    """The armature modifier, and subdivision at render time, where they are missing."""
    if "Likeness Armature" not in body.modifiers:
        deform: Any = body.modifiers.new("Likeness Armature", "ARMATURE")
        body.modifiers.move(len(body.modifiers) - 1, 0)
        deform.object = armature
    else:
        modifier: Any = body.modifiers["Likeness Armature"]
        modifier.object = armature
    if "likeness_smooth" not in body:
        smooth: Any = body.modifiers.new("Likeness Smooth", "SUBSURF")
        smooth.levels, smooth.render_levels = 0, 1
        smooth.boundary_smooth = "PRESERVE_CORNERS"
        body["likeness_smooth"] = True


def bone_turn(axes: np.ndarray, quaternions: np.ndarray) -> np.ndarray:
    """Turns about the head frame's axes, (..., 4) wxyz, as `rotation_quaternion` of a bone with rest `axes`
    (3, 3).

    The vector part of a quaternion changes axes like any vector; w stays.
    """
    q = np.asarray(quaternions, np.float64)
    return np.concatenate([q[..., :1], q[..., 1:] @ axes], axis=-1)
