# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an imported person stands, what the camera frames and focuses on, how the arms hang."""

from __future__ import annotations

from math import cos, radians, sin
from typing import Any

import bpy
import numpy as np
from mathutils import Vector

from . import camera
from .double import VENDOR_ROOT, tag, tagged
from .placement import parent_to_head, place_root
from .settings import BuildSettings
from .vendor_parts import Parts

_BELOW_FLOOR = 0.02
"""Metres that soles may lie below the floor without the person being lifted."""
_HANG = radians(72.0)
"""How far below the horizontal arms hang that no clip moves."""
_SPREAD = radians(35.0)
"""Arms that point within this of where they shall hang are left as they are."""


def root_for(
    scene: bpy.types.Scene, collection: bpy.types.Collection, id: str, title: str, settings: BuildSettings
) -> Any:
    """The empty that carries the person, found or placed anew."""
    root = tagged(collection.all_objects, id, VENDOR_ROOT)
    if root is None:
        root = tag(bpy.data.objects.new(title, None), id, VENDOR_ROOT)
        root.empty_display_type, root.empty_display_size = "ARROWS", 0.25
        collection.objects.link(root)
        place_root(scene, root, settings)
    return root


def points_of(mesh: Any) -> np.ndarray:
    """(V, 3) vertices at rest in the root's coordinates."""
    points = np.empty(3 * len(mesh.data.vertices), np.float32)
    mesh.data.vertices.foreach_get("co", points)
    matrix = np.eye(4)
    while mesh is not None and mesh.get("likeness_role") != VENDOR_ROOT:
        matrix = np.array(mesh.matrix_parent_inverse @ mesh.matrix_basis) @ matrix
        mesh = mesh.parent if mesh.parent_type == "OBJECT" else None
    return points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]


def stand_on_floor(parts: Parts) -> None:
    """Lift a person whose feet are below the floor: heads alone are modelled around the neck."""
    bones = [bone.head_local.z for bone in parts.armature.data.bones]
    lowest = min([*bones, *(float(points_of(mesh)[:, 2].min()) for mesh in parts.meshes)])
    if lowest < -_BELOW_FLOOR:
        parts.armature.location.z -= lowest


def eye_place(parts: Parts) -> Vector:
    """Between the eyes, in the armature's coordinates."""
    bones = parts.armature.data.bones
    eyes = [bones[name].head_local for name in ("LeftEye", "RightEye") if name in bones]
    if eyes:
        return sum(eyes, Vector()) / len(eyes)
    points = points_of(parts.head)
    middle = 0.5 * (points.min(axis=0) + points.max(axis=0))
    return parts.armature.matrix_basis.inverted() @ Vector((0.0, float(points[:, 1].min()), float(middle[2])))


def framing_of(parts: Parts) -> camera.Framing:
    """Head and shoulders of the person, by eyes, crown and shoulder joints."""
    eyes = parts.armature.matrix_basis @ eye_place(parts)
    crown = float(points_of(parts.head)[:, 2].max())
    head = min(max(2.0 * (crown - eyes.z), 0.16), 0.36)
    bones = parts.armature.data.bones
    arms = [abs(bones[name].head_local.x) for name in ("LeftArm", "RightArm") if name in bones]
    half = max(arms, default=0.75 * head) + 0.35 * head
    return camera.Framing(crown + 0.30 * head, 2.2 * head, 2.0 * half, eyes.y)


def focus_for(parts: Parts, collection: bpy.types.Collection, id: str, title: str) -> Any:
    """The empty between the eyes, carried by the head bone."""
    focus = tagged(collection.all_objects, id, "focus")
    if focus is None:
        focus = tag(bpy.data.objects.new(f"{title} Focus", None), id, "focus")
        focus.empty_display_type, focus.empty_display_size = "SPHERE", 0.02
        collection.objects.link(focus)
    parent_to_head(focus, parts.armature, "Head" if "Head" in parts.armature.data.bones else None)
    focus.location = eye_place(parts)
    return focus


def camera_for(
    scene: bpy.types.Scene, parts: Parts, root: Any, focus: Any, collection: Any, id: str, title: str
) -> Any:
    """The portrait camera; one that is there stays as it is."""
    shot = tagged(collection.all_objects, id, "camera")
    if shot is None:
        name = f"{title} Camera"
        shot = tag(bpy.data.objects.new(name, bpy.data.cameras.new(name)), id, "camera")
        collection.objects.link(shot)
        camera.set_up_camera(scene, shot, root, focus)
        camera.frame_camera(scene, shot, framing_of(parts))
        if scene.camera is None or "likeness_role" not in scene.camera:
            scene.camera = shot
    shot.data.dof.focus_object = focus
    return shot


def lower_arms(parts: Parts, keyed: set[str]) -> None:
    """Let arms hang that the clip leaves stretched out, as models are built."""
    armature = parts.armature
    for side, out in (("Left", 1.0), ("Right", -1.0)):
        arm, fore = (armature.pose.bones.get(f"{side}{name}") for name in ("Arm", "ForeArm"))
        if arm is None or fore is None or arm.name in keyed:
            continue
        along = (fore.bone.head_local - arm.bone.head_local).normalized()
        down = Vector((out * cos(_HANG), 0.0, -sin(_HANG)))
        if along.angle(down) < _SPREAD:
            continue
        rest = arm.bone.matrix_local.to_quaternion()
        arm.rotation_mode = "QUATERNION"
        arm.rotation_quaternion = rest.inverted() @ along.rotation_difference(down) @ rest
