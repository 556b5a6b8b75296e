# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh on pairs of bones, as compression makes it: a parent with uneven scale, a child that deforms."""

from __future__ import annotations

import json
from pathlib import Path

import bpy
import numpy as np
from mathutils import Quaternion
from scene_support import part

BONES, FRAMES = 5, 9


def patch(side: int = 9) -> bpy.types.Object:
    """A bent sheet of quads with a UV seam, and two vertices in one place, as lips have."""
    u, v = (axis.ravel() for axis in np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side)))
    points = np.stack([0.1 * u, 0.05 * (u**2 - v**2) - 0.3, 0.12 * v + 1.5], axis=1)
    corner = np.array([r * side + c for r in range(side - 1) for c in range(side - 1)])
    faces = np.stack([corner, corner + 1, corner + side + 1, corner + side], axis=1)
    points = np.concatenate([points, points[:side] * [1, 1, 1], points[:side] - [0, 0, 0.02]])
    first = side * side + np.arange(side - 1)
    lip = np.stack([first, first + side, first + side + 1, first + 1], axis=1)
    mesh = bpy.data.meshes.new("face")
    mesh.from_pydata(points.tolist(), [], np.concatenate([faces, lip]).tolist())
    layer = mesh.uv_layers.new(name="UVMap")
    left = np.repeat(np.mean(points[np.concatenate([faces, lip])], axis=1)[:, 0] < 0, 4)
    index = np.array([loop.vertex_index for loop in mesh.loops])
    uv = points[index][:, [0, 2]] * 3 + np.where(left, 0.0, 0.4)[:, None]
    layer.data.foreach_set("uv", uv.astype(np.float32).ravel())
    obj = bpy.data.objects.new("face", mesh)
    bpy.context.scene.collection.objects.link(obj)
    return obj


def paired_armature(name: str = "bones") -> bpy.types.Object:
    """A root, and `BONES` pairs below it."""
    rig = bpy.data.objects.new(name, bpy.data.armatures.new(name))
    bpy.context.scene.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    root = rig.data.edit_bones.new("root")
    root.head, root.tail = (0, 0, 1.3), (0, 0, 1.35)
    for j in range(BONES):
        head = np.array([0.08 * np.cos(j), -0.3, 1.5 + 0.1 * np.sin(j)])
        holder, child = (rig.data.edit_bones.new(f"{kind}_{j}") for kind in ("hold", "bone"))
        for bone, parent in ((holder, root), (child, holder)):
            bone.head, bone.tail, bone.roll = head, head + np.array([0.0, 0.01, 0.02]), 0.3 * j
            bone.parent, bone.use_deform = parent, bone is child
    bpy.ops.object.mode_set(mode="OBJECT")
    for bone in rig.pose.bones:
        bone.rotation_mode = "QUATERNION"
    return rig


def skinned(influences: int = 5, seed: int = 2) -> bpy.types.Object:
    """The sheet on the pairs, with an action over frames 10 to 10 + FRAMES - 1."""
    rng = np.random.default_rng(seed)
    obj, rig = patch(), paired_armature()
    obj.parent = rig
    modifier = obj.modifiers.new("Armature", "ARMATURE")
    modifier.object = rig
    groups = [obj.vertex_groups.new(name=name) for name in ["root", *(f"bone_{j}" for j in range(BONES))]]
    for vertex in range(len(obj.data.vertices)):
        weights = rng.dirichlet(np.full(len(groups), 0.4))
        weights[np.argsort(-weights)[influences:]] = 0.0
        for group, weight in zip(groups, weights / weights.sum(), strict=True):
            if weight > 0:
                group.add([vertex], weight, "REPLACE")
    frames = np.arange(FRAMES) + 10
    compat = part("addon.scene.bpy_compat")
    action = bpy.data.actions.new("talk")
    slot, bag = compat.channelbag(action, rig)
    for j in range(BONES):
        phase = np.linspace(0, 3, FRAMES) + j
        turns = np.array([Quaternion((1, 0.3 * j, 1), 0.6 * np.sin(p)) for p in phase])
        channels = {
            ("hold", "location"): 0.02 * np.stack([np.sin(phase), np.cos(phase), phase * 0.3], axis=1),
            ("hold", "rotation_quaternion"): turns,
            ("hold", "scale"): 1 + 0.3 * np.stack([np.sin(phase), 0 * phase, np.cos(phase)], axis=1),
            ("bone", "rotation_quaternion"): turns[::-1],
        }
        for (kind, path), values in channels.items():
            for index, column in enumerate(np.asarray(values).T):
                compat.write_fcurve(bag, f'pose.bones["{kind}_{j}"].{path}', index, frames, column)
    compat.assign_action(rig, action, slot)
    state = part("addon.scene.compressed_state")
    state.keep_bones(obj, state.FaceBones(tuple(f"bone_{j}" for j in range(BONES)), False), None)
    return obj


def state_of_the_file() -> dict[str, object]:
    """What a user would see changed."""
    scene, window = bpy.context.scene, bpy.context.window
    return {
        "blocks": {(type(block).__name__, block.name, block.users) for block in bpy.data.user_map()},
        "scene": (scene.name, scene.frame_current, scene.render.fps, scene.render.fps_base),
        "window": window.scene.name if window else "",
        "selected": sorted(obj.name for obj in bpy.context.selected_objects),
        "active": bpy.context.view_layer.objects.active,
        "mode": bpy.context.mode,
    }


class Glb:
    """A .glb as an engine reads it."""

    TYPES = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
    WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        length = int.from_bytes(data[12:16], "little")
        self.json = json.loads(data[20 : 20 + length])
        self.binary = data[28 + length :]

    def accessor(self, index: int) -> np.ndarray:
        """(count, width)"""
        accessor = self.json["accessors"][index]
        view = self.json["bufferViews"][accessor["bufferView"]]
        start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
        width, kind = self.WIDTHS[accessor["type"]], self.TYPES[accessor["componentType"]]
        count = accessor["count"] * width
        return np.frombuffer(self.binary, kind, count, start).reshape(-1, width)

    def attribute(self, name: str) -> np.ndarray:
        """Of the only mesh."""
        (mesh,) = self.json["meshes"]
        return np.concatenate([self.accessor(part["attributes"][name]) for part in mesh["primitives"]])

    def joint_names(self) -> list[str]:
        """In the order of JOINTS_0."""
        (skin,) = self.json["skins"]
        return [self.json["nodes"][joint]["name"] for joint in skin["joints"]]
