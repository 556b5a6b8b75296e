# SPDX-License-Identifier: GPL-3.0-or-later
"""A compressed mesh and its armature for an engine: few weights, one plain action from frame 0.

They are copies; the scene's objects are not touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import bmesh
import bpy
import numpy as np
from mathutils import Matrix

from ...core import rotation
from . import bpy_compat
from .compressed_error import COLOUR_ATTRIBUTE, MEAN_ATTRIBUTE, WORST_ATTRIBUTE
from .error_view import shows_error, take_off
from .skin_export_stage import Motion, Part
from .skin_export_weights import limit_weights, motions_of


def add_armature(scene: bpy.types.Scene, source: Any, motion: Motion) -> Any:
    """The armature for the file: at rest, without parent, constraints and drivers."""
    armature = _resting_copy(source)
    armature.data = source.data.copy()
    scene.collection.objects.link(armature)
    _stand(armature, motion.world[0])
    armature.data.animation_data_clear()
    armature.data.pose_position = "POSE"
    for bone in armature.pose.bones:
        bone.rotation_mode, bone.custom_shape = "QUATERNION", None
        bone.matrix_basis.identity()
        for constraint in list(bone.constraints):
            bone.constraints.remove(constraint)
    return armature


def _resting_copy(source: Any) -> Any:
    """A copy whose bones rest. The FBX exporter reads the matrices of bones that a copy takes over, and
    Blender 4.5 does not renew them in a scene that no window shows.
    """
    position = source.data.pose_position
    try:
        source.data.pose_position = "REST"
        bpy.context.view_layer.update()
        return source.copy()
    finally:
        source.data.pose_position = position
        bpy.context.view_layer.update()


def add_mesh(
    scene: bpy.types.Scene, obj: Any, armature: Any, motion: Motion, part: Part, influences: int
) -> Any:
    """A mesh for the file, on its armature, without other modifiers and the marks of its error."""
    mesh = obj.copy()
    mesh.data = obj.data.copy()
    scene.collection.objects.link(mesh)
    _stand(mesh, part.place)
    if shows_error(mesh):
        take_off(mesh)
    for layer in (WORST_ATTRIBUTE, MEAN_ATTRIBUTE, COLOUR_ATTRIBUTE):
        if layer in mesh.data.attributes:
            mesh.data.attributes.remove(mesh.data.attributes[layer])
    _keep_one_modifier(mesh, armature)
    mesh.parent = armature
    # The armature's own `matrix_world` is not up to date before the scene is evaluated.
    mesh.matrix_parent_inverse = Matrix(motion.world[0].tolist()).inverted_safe()
    deforming = [bone.name for bone in armature.data.bones if bone.use_deform]
    there = np.linalg.inv(motion.world[0]) @ part.place
    limit_weights(mesh, deforming, motions_of(obj, deforming, motion, there), influences)
    return mesh


def _stand(copy: Any, place: np.ndarray) -> None:
    """Put an object at (4, 4), alone, without the offsets that stay when it is animated."""
    copy.animation_data_clear()
    for constraint in list(copy.constraints):
        copy.constraints.remove(constraint)
    copy.parent, copy.parent_type, copy.hide_viewport = None, "OBJECT", False
    copy.delta_location, copy.delta_rotation_euler = (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
    copy.delta_rotation_quaternion, copy.delta_scale = (1.0, 0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    copy.rotation_mode = "QUATERNION"
    copy.matrix_world = Matrix(place.tolist())


def _keep_one_modifier(mesh: Any, armature: Any) -> None:
    kept = next(m for m in mesh.modifiers if m.type == "ARMATURE" and m.object is not None)
    for modifier in [m for m in mesh.modifiers if m != kept]:
        mesh.modifiers.remove(modifier)
    kept.object, kept.show_viewport, kept.show_render = armature, True, True


def keep_keys(mesh: Any, correctives: bool) -> None:
    """Correctives stay, off and without what moved them; otherwise all keys go."""
    if mesh.data.shape_keys is None:
        return
    if correctives:
        mesh.data.shape_keys.animation_data_clear()
        for block in mesh.data.shape_keys.key_blocks:
            block.value = 0.0
    else:
        mesh.shape_key_clear()


def drop_hidden(mesh: Any, original: Any, part: Part) -> Part:
    """Take away the vertices that masks hide, such as skin under clothes."""
    hidden = np.zeros(len(original.data.vertices), bool)
    for modifier in original.modifiers:
        if modifier.type == "MASK" and modifier.mode == "VERTEX_GROUP" and modifier.show_viewport:
            hidden |= _masked(original, modifier)
    if not hidden.any():
        return part
    edited = bmesh.new()
    edited.from_mesh(mesh.data)
    edited.verts.ensure_lookup_table()
    bmesh.ops.delete(edited, geom=[edited.verts[i] for i in np.flatnonzero(hidden)], context="VERTS")
    edited.to_mesh(mesh.data)
    edited.free()
    return replace(part, points=part.points[:, ~hidden])


def _masked(original: Any, modifier: Any) -> np.ndarray:
    """(N,) whether a mask hides each vertex; one without its group hides nothing."""
    group = original.vertex_groups.get(modifier.vertex_group)
    weights = np.zeros(len(original.data.vertices))
    if group is None:
        return weights > 0.0
    for vertex in original.data.vertices:
        weights[vertex.index] = sum(entry.weight for entry in vertex.groups if entry.group == group.index)
    shown = weights > modifier.threshold
    return shown if modifier.invert_vertex_group else ~shown


def play(armature: Any, motion: Motion, meshes: Sequence[Any], parts: Sequence[Part], name: str) -> None:
    """Give the copies one action with the motion from frame 0 on."""
    action = bpy.data.actions.new(name)
    frames = np.arange(len(motion.world))
    slot, bag = bpy_compat.channelbag(action, armature)
    for bone, channels in motion.bones.items():
        _write_channels(bag, f'pose.bones["{bpy.utils.escape_identifier(bone)}"].', frames, channels)
    if np.ptp(motion.world, axis=0).max(initial=0.0) > 1e-6:
        _write_channels(bag, "", frames, _decomposed(motion.world))
    bpy_compat.assign_action(armature, action, slot)
    for mesh, part in zip(meshes, parts, strict=True):
        keys = mesh.data.shape_keys
        if keys is None:
            continue
        slot, bag = bpy_compat.channelbag(action, keys, keys.name)
        for key, values in part.keys.items():
            path = f'key_blocks["{bpy.utils.escape_identifier(key)}"].value'
            bpy_compat.write_fcurve(bag, path, 0, frames, values)
        bpy_compat.assign_action(keys, action, slot)


def _write_channels(bag: Any, prefix: str, frames: np.ndarray, channels: np.ndarray) -> None:
    """Keys of (T, 10) location, quaternion and scale."""
    parts = {"location": channels[:, :3], "rotation_quaternion": channels[:, 3:7], "scale": channels[:, 7:]}
    for path, columns in parts.items():
        for index, values in enumerate(columns.T):
            bpy_compat.write_fcurve(bag, prefix + path, index, frames, values)


def _decomposed(worlds: np.ndarray) -> np.ndarray:
    """(T, 10) location, quaternion and scale of (T, 4, 4) matrices."""
    parts = [Matrix(world.tolist()).decompose() for world in worlds]
    channels = np.array([[*place, *turn, *size] for place, turn, size in parts])
    channels[:, 3:7] = rotation.continuous(channels[:, 3:7])
    return channels
