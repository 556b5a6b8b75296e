# SPDX-License-Identifier: GPL-3.0-or-later
"""Compressed objects in Blender: what the copy shows against the original, frame by frame, as evaluated."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
import pytest
import scene_support
import skin_support
from mathutils import Euler


@pytest.fixture(autouse=True)
def new_file(empty_scene: bpy.types.Scene) -> None:
    """Every test starts in an empty file."""


def compressed() -> Any:
    return scene_support.part("addon.scene.compressed")


def patch(name: str = "Patch", animated: bool = True) -> Any:
    """A mesh of quads, a triangle, a pentagon and a loose point, with three shapes; millimetres."""
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(8.0), np.arange(8.0)))
    points = np.concatenate([np.stack([x, y, 0.1 * x * y], 1), [[12, 0, 0], [14, 0, 1], [12, 3, 0]]])
    points = np.concatenate([points, [[20, 0, 0], [22, 1, 0], [22, 3, 0], [20, 4, 0], [19, 2, 0], [9, 9, 9]]])
    corners = [r * 8 + c for r in range(7) for c in range(7)]
    faces = [(i, i + 1, i + 9, i + 8) for i in corners] + [(64, 65, 66), (67, 68, 69, 70, 71)]
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(points.tolist(), [], faces)
    obj = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(obj)
    obj.shape_key_add(name="Basis", from_mix=False)
    swing = np.cross(points - [3, 3, 0], [0.3, 0.5, 0.8])
    lift = np.outer(np.exp(-((x - 2) ** 2 + (y - 5) ** 2) / 4), [0, 0.4, 1.5])
    for title, delta in (("swing", 0.5 * swing), ("lift", np.pad(lift, ((0, 9), (0, 0)))), ("empty", 0)):
        key = obj.shape_key_add(name=title, from_mix=False)
        key.value = 0.0
        key.data.foreach_set("co", (points + delta).astype(np.float32).ravel())
        if animated:
            for frame, value in ((1, 0.0), (8, 1.0), (13, 0.4)):
                key.value = value if title != "lift" else 1.0 - value
                key.keyframe_insert("value", frame=frame)
    return obj


def skin_for(obj: Any, bones: int = 6) -> Any:
    return skin_support.tiny_skin(scene_support.part("addon.scene.shape_source").read_shapes(obj), bones)


def made(obj: Any, **options: Any) -> tuple[Any, Any, Any]:
    """(copy, report, skin) of an original."""
    skin = skin_for(obj)
    copy = compressed().build_compressed(bpy.context, obj, skin, compressed().CompressOptions(**options))
    return copy, compressed().bake(bpy.context, copy), skin


def standing_oddly(obj: Any) -> None:
    """Turn, scale and hang an object on a moving parent."""
    carrier = bpy.data.objects.new("Carrier", None)
    bpy.context.scene.collection.objects.link(carrier)
    carrier.rotation_euler = (0.2, 0.1, 0.7)
    for frame, place in ((1, (0, 0, 0)), (13, (5, 1, 2))):
        carrier.location = place
        carrier.keyframe_insert("location", frame=frame)
    obj.parent = carrier
    obj.rotation_euler, obj.scale = Euler((0.5, -0.3, 0.9)), (2.0, 2.0, 2.0)
    obj.location = (3.0, 2.0, 1.0)


@pytest.mark.parametrize("two_bone", [False, True])
def test_the_copy_plays_the_skin(two_bone: bool) -> None:
    """With two bones Blender shows exactly what the skin says; with one bone nearly that."""
    obj = patch()
    standing_oddly(obj)
    copy, report, skin = made(obj, two_bone=two_bone)
    frames, values = scene_support.part("addon.scene.shape_source").sample_values(
        bpy.context.scene, obj, skin.names
    )
    expected = scene_support.part("core.skin.playback").evaluate(skin, values)
    for row in (0, 5, 12):
        bpy.context.scene.frame_set(int(frames[row]))
        world = np.array(obj.matrix_world)
        aside = np.array(copy.matrix_world)[:3, 3] - world[:3, 3]
        shown = skin_support.world_points(copy) - aside
        apart = shown - (expected[row] @ world[:3, :3].T + world[:3, 3])
        assert np.abs(apart).max() < (2e-4 if two_bone else 0.3)
        size = np.linalg.norm(skin_support.world_points(obj) - shown, axis=1) * 1000.0
        assert report.error.frame_worst[row] == pytest.approx(size.max(), rel=1e-3, abs=0.2)
    assert report.bones == 6


def test_the_copy_stands_beside_and_follows() -> None:
    obj = patch()
    standing_oddly(obj)
    copy, _, _ = made(obj)
    aside = []
    for frame in (1, 7, 13):
        bpy.context.scene.frame_set(frame)
        aside.append(np.array(copy.matrix_world)[:3, 3] - np.array(obj.matrix_world)[:3, 3])
    np.testing.assert_allclose(aside, np.tile(aside[0], (3, 1)), atol=1e-4)
    assert np.linalg.norm(aside[0]) > 20.0
    in_place, _, _ = made(obj, beside=False)
    np.testing.assert_allclose(np.array(in_place.matrix_world), np.array(obj.matrix_world), atol=1e-5)
    assert in_place.data.shape_keys is None and obj.data.shape_keys is not None


def test_update_follows_an_edited_action_and_keeps_other_curves() -> None:
    obj = patch()
    copy, report, _ = made(obj)
    rig = copy.parent
    rig.pose.bones["Root"].location = (0.0, 0.0, 1.0)
    rig.pose.bones["Root"].keyframe_insert("location", frame=3)
    key = obj.data.shape_keys.key_blocks["swing"]
    key.value = 0.9
    key.keyframe_insert("value", frame=18)
    again = compressed().bake(bpy.context, copy)
    assert again.action == report.action and again.frames[-1] == 18.0
    paths = [c.data_path for c in scene_support.part("addon.scene.compressed_action").curves_of(rig)]
    assert 'pose.bones["Root"].location' in paths and len(paths) == 3 + 10 * report.bones


def test_it_survives_saving(tmp_path: Any) -> None:
    """After loading, the object still knows its skin and original."""
    obj = patch()
    copy, before, _ = made(obj)
    name = copy.name
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "kept.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "kept.blend"))
    after = compressed().bake(bpy.context, bpy.data.objects[name])
    np.testing.assert_allclose(after.error.frame_worst, before.error.frame_worst, rtol=1e-5)
    assert after.error.sentence == before.error.sentence


def test_the_double_and_its_copy_do_the_same() -> None:
    """Body, pose and eyes: what the report says is what Blender shows, and eyes look the same way."""
    double = scene_support.build(scene_support.avatar(), scene_support.performance(12, gaze=False))
    parts = len(scene_support.part("addon.scene.double").find_doubles(bpy.context.scene))
    copy, report, _ = made(double.body)
    rig = copy.parent
    assert len(scene_support.part("addon.scene.double").find_doubles(bpy.context.scene)) == parts == 1
    assert not rig.animation_data.drivers
    frames = [0, 4, 11]
    apart = skin_support.distances(double.body, copy, frames) * 1000.0
    np.testing.assert_allclose(apart.max(axis=1), report.error.frame_worst[frames], rtol=0.02)
    for name in ("eye.L", "eye.R", "head"):
        mine, theirs = rig.pose.bones[name].matrix, double.armature.pose.bones[name].matrix
        np.testing.assert_allclose(np.array(mine), np.array(theirs), atol=1e-5)


def test_what_cannot_be_done_is_said() -> None:
    errors = scene_support.part("core.errors")
    obj = patch()
    skin = skin_for(obj)
    plain = bpy.data.objects.new("Plain", bpy.data.meshes.new("Plain"))
    with pytest.raises(errors.ModelError, match="has 73 vertices and"):
        compressed().build_compressed(bpy.context, plain, skin)
    copy = compressed().build_compressed(bpy.context, obj, skin)
    bpy.data.objects.remove(obj)
    with pytest.raises(errors.ModelError, match="original"):
        compressed().bake(bpy.context, copy)
    values = np.linspace(0.0, 1.0, 5)[:, None] * np.ones(skin.n_shapes)
    assert compressed().bake(bpy.context, copy, np.arange(5.0), values).error is None
    copy.parent.data.bones["Face 0"].name = "Other"
    with pytest.raises(errors.ModelError, match="Face 0"):
        compressed().bake(bpy.context, copy, np.arange(5.0), values)
