# SPDX-License-Identifier: GPL-3.0-or-later
"""Corrective keys: before the bones, so taken back by their motion; what Blender shows is the original."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
import pytest
import skin_support
from scene_support import part

SHAPES = ("bend", "bulge", "twist")
ALONE = (5, 10, 15)
"""Frames at which one shape is fully on and the others are off."""


@pytest.fixture
def face(empty_scene) -> Any:
    """A bar that bends and twists far, and bulges."""
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(0, 2, 14), np.linspace(-0.3, 0.3, 6)))
    points = np.stack([x, y, 0.1 * np.cos(3 * y)], axis=1)
    corners = [r * 14 + c for r in range(5) for c in range(13)]
    data = bpy.data.meshes.new("Bar")
    data.from_pydata(points.tolist(), [], [(i, i + 1, i + 15, i + 14) for i in corners])
    obj = bpy.data.objects.new("Bar", data)
    bpy.context.scene.collection.objects.link(obj)
    obj.location, obj.scale = (1.0, 2.0, 0.5), (0.5, 0.5, 0.5)
    angle = 0.6 * x
    bent = np.stack([np.sin(angle) / 0.6, y, points[:, 2] + (1 - np.cos(angle)) / 0.6], axis=1)
    twisted = np.stack([x, y * np.cos(x) - points[:, 2] * np.sin(x), y * np.sin(x)], axis=1)
    bulged = points + np.outer(np.exp(-((x - 1) ** 2 + y**2) / 0.05), [0.0, 0.0, 0.2])
    obj.shape_key_add(name="Basis", from_mix=False)
    for name, moved, frame in zip(SHAPES, (bent, bulged, twisted), ALONE, strict=True):
        block = obj.shape_key_add(name=name, from_mix=False)
        block.data.foreach_set("co", moved.astype(np.float32).ravel())
        for at in (1, *ALONE, 20):
            block.value = 1.0 if at == frame else 0.5 if at == 20 else 0.0
            block.keyframe_insert("value", frame=at)
    return obj


def compressed(face: Any, two_bone: bool = False) -> Any:
    scene = part("addon.scene.compressed")
    skin = skin_support.tiny_skin(part("addon.scene.shape_source").read_shapes(face), 5)
    return scene.build_compressed(bpy.context, face, skin, scene.CompressOptions(two_bone=two_bone))


def corrected(copy: Any, count: int) -> tuple[list[str], Any]:
    names = part("addon.scene.corrective_fit").add_correctives(bpy.context, copy, count)
    return names, part("addon.scene.compressed").bake(bpy.context, copy)


@pytest.mark.parametrize("two_bone", [False, True])
def test_with_all_shapes_corrected_each_alone_is_the_originals(face, two_bone):
    copy = compressed(face, two_bone)
    before = part("addon.scene.compressed").bake(bpy.context, copy).error
    _names, report = corrected(copy, 3)
    bare = report.error.worst, before.worst
    apart = skin_support.distances(face, copy, report.frames)
    assert apart[[frame - 1 for frame in (1, *ALONE)]].max() < 2e-6
    assert bare[0] < 0.5 * bare[1]
    assert report.error.worst == pytest.approx(1000.0 * apart.max(), rel=1e-3, abs=1e-3)
    assert report.error.frame_mean[-1] == pytest.approx(1000.0 * apart[-1].mean(), rel=1e-3)


def test_the_worst_shapes_come_first_and_the_neutral_stays(face):
    copy = compressed(face)
    rest = part("addon.scene.compressed_mesh").points_of(copy.data)
    report = part("addon.scene.compressed").bake(bpy.context, copy)
    at = {name: report.error.frame_worst[frame - 1] for name, frame in zip(SHAPES, ALONE, strict=True)}
    order = sorted(at, key=lambda name: -at[name])
    names, _report = corrected(copy, 2)
    assert names == [f"Corrective {name}" for name in order[:2]]
    assert part("addon.scene.compressed_mesh").points_of(copy.data) == pytest.approx(rest)
    assert [block.name for block in copy.data.shape_keys.key_blocks] == ["Basis", *names]


def test_shapes_that_never_play_are_left_alone():
    choose = part("addon.scene.corrective").choose
    worst, off = np.array([1.0, 5.0, 2.0, 0.0]), np.array([[0.5, 0.0, 0.5, 1.0], [0.0, 0.0, -1.0, 1.0]])
    assert choose(worst, off, 3).tolist() == [2, 0]
    assert choose(worst, 0.0 * off, 2).tolist() == [1, 2]
    assert choose(0.0 * worst, off, 4).tolist() == []


def test_update_keys_the_correctives_too_and_removed_ones_are_forgotten(face):
    copy = compressed(face)
    names, _report = corrected(copy, 3)
    face.data.shape_keys.key_blocks["bend"].keyframe_insert("value", frame=25)
    report = part("addon.scene.compressed").bake(bpy.context, copy)
    bpy.context.scene.frame_set(25)
    blocks = copy.data.shape_keys.key_blocks
    assert blocks["Corrective bend"].value == face.data.shape_keys.key_blocks["bend"].value
    copy.shape_key_remove(blocks[names[0]])
    less = part("addon.scene.compressed").bake(bpy.context, copy)
    assert less.error.worst > report.error.worst
    copy.shape_key_clear()
    part("addon.scene.compressed").bake(bpy.context, copy)


def test_two_faces_on_one_armature_have_their_own_correctives(face):
    rig = bpy.data.objects.new("Rig", bpy.data.armatures.new("Rig"))
    bpy.context.scene.collection.objects.link(rig)
    with part("addon.scene.workspace").edit_mode(bpy.context, rig):
        bone = rig.data.edit_bones.new("head")
        bone.head, bone.tail = (0, 0, 0), (0, 0, 1)
    other = face.copy()
    other.data = face.data.copy()
    bpy.context.scene.collection.objects.link(other)
    for obj in (face, other):
        group = obj.vertex_groups.new(name="head")
        group.add(range(len(obj.data.vertices)), 1.0, "REPLACE")
        obj.modifiers.new("Armature", "ARMATURE").object = rig
    copies = [compressed(obj) for obj in (face, other)]
    for copy in copies:
        corrected(copy, 3)
    other.data.shape_keys.animation_data_clear()
    for block in other.data.shape_keys.key_blocks:
        block.value = 0.0
    part("addon.scene.compressed").bake(bpy.context, copies[1])
    bpy.context.scene.frame_set(ALONE[0])
    assert copies[0].data.shape_keys.key_blocks["Corrective bend"].value == 1.0
    assert copies[1].data.shape_keys.key_blocks["Corrective bend"].value == 0.0
    assert skin_support.distances(face, copies[0], ALONE).max() < 2e-6
