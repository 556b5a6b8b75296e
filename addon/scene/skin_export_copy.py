# SPDX-License-Identifier: GPL-3.0-or-later
"""A compressed mesh and its armature for an engine: few weights, one plain action from frame 0.

They are copies; the scene's objects are not touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from ...core import rotation
from . import bpy_compat
from .compressed_error import COLOUR_ATTRIBUTE, MEAN_ATTRIBUTE, WORST_ATTRIBUTE
from .error_view import shows_error, take_off
from .skin_export_stage import Motion, armature_of


def add_copy(
    scene: bpy.types.Scene, obj: bpy.types.Object, motion: Motion, influences: int, correctives: bool
) -> tuple[bpy.types.Object, bpy.types.Object]:
    """Mesh and armature for the file: at rest, without parents, drivers and other modifiers."""
    source = armature_of(obj)
    armature, mesh = source.copy(), obj.copy()
    armature.data, mesh.data = source.data.copy(), obj.data.copy()
    for copy, place in ((armature, motion.world[0]), (mesh, motion.mesh)):
        scene.collection.objects.link(copy)
        copy.animation_data_clear()
        for constraint in list(copy.constraints):
            copy.constraints.remove(constraint)
        copy.parent = None
        _stand(copy, place)
    armature.data.animation_data_clear()
    armature.data.pose_position = "POSE"
    _keep_one_modifier(mesh, armature)
    mesh.parent = armature
    # The armature's own `matrix_world` is not up to date before the scene is evaluated.
    mesh.matrix_parent_inverse = Matrix(motion.world[0].tolist()).inverted_safe()
    if shows_error(mesh):
        take_off(mesh)
    for layer in (WORST_ATTRIBUTE, MEAN_ATTRIBUTE, COLOUR_ATTRIBUTE):
        if layer in mesh.data.attributes:
            mesh.data.attributes.remove(mesh.data.attributes[layer])
    if mesh.data.shape_keys is not None:
        _keep_keys(mesh, correctives)
    limit_weights(mesh, [bone.name for bone in armature.data.bones if bone.use_deform], influences)
    for bone in armature.pose.bones:
        bone.rotation_mode, bone.custom_shape = "QUATERNION", None
        bone.matrix_basis.identity()
        for constraint in list(bone.constraints):
            bone.constraints.remove(constraint)
    return mesh, armature


def _stand(copy: Any, place: np.ndarray) -> None:
    """Put an object without parent at (4, 4), without the offsets that stay when it is animated."""
    copy.delta_location, copy.delta_rotation_euler = (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
    copy.delta_rotation_quaternion, copy.delta_scale = (1.0, 0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    copy.rotation_mode = "QUATERNION"
    copy.matrix_world = Matrix(place.tolist())


def _keep_one_modifier(mesh: Any, armature: Any) -> None:
    kept = next(m for m in mesh.modifiers if m.type == "ARMATURE" and m.object is not None)
    for modifier in [m for m in mesh.modifiers if m != kept]:
        mesh.modifiers.remove(modifier)
    kept.object, kept.show_viewport, kept.show_render = armature, True, True


def _keep_keys(mesh: Any, correctives: bool) -> None:
    """Correctives stay, at zero, without what moved them; otherwise all keys go."""
    if correctives:
        mesh.data.shape_keys.animation_data_clear()
        return
    mesh.shape_key_clear()


def limit_weights(mesh: Any, bones: Sequence[str], influences: int) -> None:
    """Keep the largest weights of each vertex, which sum to 1 then, and only groups that deform."""
    for group in [g for g in mesh.vertex_groups if g.name not in bones]:
        mesh.vertex_groups.remove(group)
    for vertex in mesh.data.vertices:
        weights = sorted(((entry.weight, entry.group) for entry in vertex.groups), reverse=True)
        total = sum(weight for weight, _ in weights[:influences])
        for rank, (weight, group) in enumerate(weights):
            if rank >= influences or weight <= 0.0:
                mesh.vertex_groups[group].remove([vertex.index])
            else:
                mesh.vertex_groups[group].add([vertex.index], weight / total, "REPLACE")


def play(mesh: Any, armature: Any, motion: Motion, name: str) -> None:
    """Give the copies one action with the motion from frame 0 on."""
    action = bpy.data.actions.new(name)
    frames = np.arange(len(motion.world))
    slot, bag = bpy_compat.channelbag(action, armature)
    for bone, channels in motion.bones.items():
        _write_channels(bag, f'pose.bones["{bpy.utils.escape_identifier(bone)}"].', frames, channels)
    if np.ptp(motion.world, axis=0).max(initial=0.0) > 1e-6:
        _write_channels(bag, "", frames, _decomposed(motion.world))
    bpy_compat.assign_action(armature, action, slot)
    keys = mesh.data.shape_keys
    if keys is not None:
        slot, bag = bpy_compat.channelbag(action, keys)
        for key, values in motion.keys.items():
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
