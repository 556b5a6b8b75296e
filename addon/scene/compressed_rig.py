# SPDX-License-Identifier: GPL-3.0-or-later
"""The armature of a compressed mesh: a copy of the original's, with the face's bones on the head's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy
import numpy as np
from mathutils import Vector

from .compressed_state import HEAD_SUFFIX, RIG_SOURCE, FaceBones
from .workspace import edit_mode

COLLECTION = "Compressed"
"""Bone collection of the face's bones."""
ROOT_BONE = "Root"


def copied_rig(armature: bpy.types.Object, source: bpy.types.Object) -> bpy.types.Object:
    """A copy of an armature in the source's collections, without its action; constraints aim at the copy."""
    rig: Any = armature.copy()
    rig.data = armature.data.copy()  # type: ignore[union-attr]
    rig.name = f"{source.name} Compressed Rig"
    rig[RIG_SOURCE] = armature
    link_beside(rig, armature if armature.users_collection else source)
    if rig.animation_data is not None:
        rig.animation_data.action = None
    for bone in rig.pose.bones:
        for constraint in bone.constraints:
            if getattr(constraint, "target", None) == armature:
                constraint.target = rig
    return rig


def new_rig(source: bpy.types.Object) -> bpy.types.Object:
    """An armature where a mesh without one stands, parented and constrained as the mesh is."""
    rig: Any = bpy.data.objects.new(
        f"{source.name} Compressed Rig", bpy.data.armatures.new(f"{source.name} Compressed")
    )
    rig.data.display_type = "STICK"
    rig.show_in_front = True
    link_beside(rig, source)
    rig.parent, rig.parent_type, rig.parent_bone = source.parent, source.parent_type, source.parent_bone
    rig.matrix_parent_inverse = source.matrix_parent_inverse
    rig.rotation_mode = source.rotation_mode
    for name in ("location", "rotation_euler", "rotation_quaternion", "rotation_axis_angle", "scale"):
        setattr(rig, name, getattr(source, name))
    for name in ("location", "rotation_euler", "rotation_quaternion", "scale"):
        setattr(rig, f"delta_{name}", getattr(source, f"delta_{name}"))
    for constraint in source.constraints:
        rig.constraints.copy(constraint)
    return rig


def link_beside(obj: bpy.types.Object, other: bpy.types.Object) -> None:
    """Put an object into the collections that another is in."""
    for collection in other.users_collection:
        collection.objects.link(obj)


def bone_names(
    rig: bpy.types.Object, mesh: bpy.types.Object, moving: Sequence[bool], prefix: str, two_bone: bool
) -> FaceBones:
    """A name for every moving bone of a skin that no bone and no vertex group has."""
    data: Any = rig.data
    taken, title, number = {*data.bones.keys(), *mesh.vertex_groups.keys()}, prefix, 1
    while any(name.startswith(f"{title} ") for name in taken):
        number += 1
        title = f"{prefix}{number}"
    digits = len(str(max(len(moving) - 1, 1)))
    names = (f"{title} {j:0{digits}d}" if moves else "" for j, moves in enumerate(moving))
    return FaceBones(tuple(names), two_bone)


def add_bones(
    context: bpy.types.Context,
    rig: bpy.types.Object,
    bones: FaceBones,
    carriers: Sequence[str],
    hung: np.ndarray,
    at: np.ndarray,
    axes: np.ndarray,
    length: float,
) -> Sequence[str]:
    """Add the face's bones at pivots (B, 3) with rest axes (B, 3, 3) of the armature, each on carrier number
    `hung` (B,); the carriers' names, a new root's where there are none.
    """
    data: Any = rig.data
    with edit_mode(context, rig):
        parents = tuple(carriers) or (_add_root(data, at, length),)
        for name, c, place, frame in zip(bones.deforming, hung, at, axes, strict=True):
            parent = parents[c]
            if bones.two_bone:
                parent = name + HEAD_SUFFIX
                _add_bone(data, parent, parents[c], place, frame, length).use_deform = False
            _add_bone(data, name, parent, place, frame, length)
    collection = data.collections.get(COLLECTION) or data.collections.new(COLLECTION)
    pose: Any = rig.pose
    for name in {*bones.deforming, *bones.keyed}:
        collection.assign(data.bones[name])
        pose.bones[name].rotation_mode = "QUATERNION"
    return parents


def _add_root(data: Any, at: np.ndarray, length: float) -> str:
    if ROOT_BONE in data.edit_bones:
        return ROOT_BONE
    bone = data.edit_bones.new(ROOT_BONE)
    bone.head = at.mean(axis=0).tolist() if len(at) else (0.0, 0.0, 0.0)
    bone.tail = bone.head + Vector((0.0, 0.0, 2.0 * length))
    return ROOT_BONE


def _add_bone(data: Any, name: str, parent: str, place: np.ndarray, frame: np.ndarray, length: float) -> Any:
    bone = data.edit_bones.new(name)
    bone.parent = data.edit_bones[parent]
    bone.head, bone.tail = place.tolist(), (place + length * frame[:, 1]).tolist()
    bone.align_roll(Vector(frame[:, 2].tolist()))
    bone.inherit_scale = "FULL"
    return bone


def rest_frames(rig: bpy.types.Object, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Heads (B, 3) and rest axes (B, 3, 3) of bones, in the armature's coordinates."""
    data: Any = rig.data
    rest = np.array([data.bones[name].matrix_local for name in names], np.float64).reshape(-1, 4, 4)
    return rest[:, :3, 3], rest[:, :3, :3]
