# SPDX-License-Identifier: GPL-3.0-or-later
"""Compressed objects in Blender: what the copy shows against the original, frame by frame, as evaluated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
import scene_support
import skin_support
from mathutils import Euler

METAPERSON = Path(__file__).resolve().parents[3] / "shared/data/metaperson/head_lod2.glb"


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


def made(obj: Any, bones: int = 6, **options: Any) -> tuple[Any, Any, Any]:
    """(copy, report, skin) of an original."""
    skin = skin_for(obj, bones)
    copy = compressed().build_compressed(bpy.context, obj, skin, compressed().CompressOptions(**options))
    return copy, compressed().bake(bpy.context, copy), skin


def alone(obj: Any, skin: Any) -> np.ndarray:
    """(T, N) how far a skin by itself is from what an original plays."""
    source = scene_support.part("addon.scene.shape_source")
    _, values = source.sample_values(bpy.context.scene, obj, skin.names)
    shapes = source.read_shapes(obj)
    there = shapes.rest + np.einsum("ts,sni->tni", values, shapes.deltas)
    return np.linalg.norm(scene_support.part("core.skin.playback").evaluate(skin, values) - there, axis=2)


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


def metaperson() -> Any:
    """A MetaPerson head whose mouth opens while the head turns; the armature stands aslant."""
    if not METAPERSON.is_file():
        pytest.skip(f"{METAPERSON.name} is not here")
    bpy.ops.import_scene.gltf(filepath=str(METAPERSON))
    armature = bpy.data.objects["AvatarRoot"]
    armature.rotation_mode = "XYZ"
    armature.location, armature.rotation_euler = (0.3, 0.2, 0.1), (0.0, 0.0, 0.4)
    for obj in [obj for obj in bpy.data.objects if obj.type == "MESH" and obj.data.shape_keys]:
        for number, block in enumerate(obj.data.shape_keys.key_blocks[1:]):
            for frame in (1, 6, 12):
                block.value = 1.0 if (block.name, frame) == ("jawOpen", 6) else 0.1 * ((number + frame) % 3)
                block.keyframe_insert("value", frame=frame)
    for name in ("Head", "Neck", "LeftEye"):
        bone = armature.pose.bones[name]
        bone.rotation_mode = "QUATERNION"
        for frame, turn in ((1, 0.0), (12, 0.3)):
            bone.rotation_quaternion = (1.0, turn, -0.5 * turn, 0.2 * turn)
            bone.keyframe_insert("rotation_quaternion", frame=frame)
    return armature


def test_an_imported_head_with_all_its_parts() -> None:
    """Head and lashes on one armature and one action, eyes that go along, and the throat that the neck's bone
    holds for the most part follows the jaw: with bones on the head alone it would lose 17 mm.
    """
    armature = metaperson()
    made_of = {name: made(bpy.data.objects[name], 30) for name in ("AvatarHead", "AvatarEyelashes")}
    head, report, skin = made_of["AvatarHead"]
    lashes, of_lashes, _ = made_of["AvatarEyelashes"]
    rig = head.parent
    assert lashes.parent == rig and of_lashes.action == report.action
    parents = {bone.parent.name for bone in rig.data.bones if bone.name.startswith("Face")}
    assert parents >= {"Head", "Neck2"}
    for copy, said in ((head, report), (lashes, of_lashes)):
        original = bpy.data.objects[copy.name.removesuffix(" Compressed")]
        shown = skin_support.distances(original, copy, (1, 6, 9)) * 1000.0
        np.testing.assert_allclose(shown.max(axis=1), said.error.frame_worst[[0, 5, 8]], rtol=0.01)
    throat = scene_support.part("addon.scene.compressed_weights").shares(
        bpy.data.objects["AvatarHead"], armature, ["Neck2"]
    )[:, 0]
    fitted = alone(bpy.data.objects["AvatarHead"], skin).max(axis=0) * 1000.0
    assert fitted[throat > 0.5].max() < 12.0
    assert np.all(report.error.vertex_worst[throat > 0.5] < 1.5 * fitted[throat > 0.5] + 1.0)
    eye = bpy.data.objects["AvatarLeftEyeball Compressed"]
    apart = skin_support.distances(bpy.data.objects["AvatarLeftEyeball"], eye, (6, 12))
    assert apart.max() < 1e-5


def test_companions_come_and_go(tmp_path: Any) -> None:
    """What stands on the original's armature is copied with the first compressed mesh, and removed with the
    last one.
    """
    obj = patch()
    armature = bpy.data.objects.new("Rig", bpy.data.armatures.new("Rig"))
    bpy.context.scene.collection.objects.link(armature)
    with scene_support.part("addon.scene.workspace").edit_mode(bpy.context, armature):
        bone = armature.data.edit_bones.new("Skull")
        bone.tail = (0.0, 0.0, 1.0)
    obj.parent = armature
    obj.modifiers.new("Rig", "ARMATURE").object = armature
    obj.vertex_groups.new(name="Skull").add(list(range(len(obj.data.vertices))), 1.0, "REPLACE")
    hat = bpy.data.objects.new("Hat", bpy.data.meshes.new("Hat"))
    bpy.context.scene.collection.objects.link(hat)
    hat.parent, hat.parent_type, hat.parent_bone = armature, "BONE", "Skull"
    copy, report, _ = made(obj)
    companions = scene_support.part("addon.scene.compressed_companions")
    (brought,) = companions.companions_of(copy.parent)
    assert brought.parent == copy.parent and brought.parent_bone == "Skull" and brought.data == hat.data
    assert copy.parent.data.bones["Face 0"].parent.name == "Skull" and report.bones == 6
    companions.release_companions(copy.parent)
    assert len(companions.companions_of(copy.parent)) == 1
    rig = copy.parent
    bpy.data.objects.remove(copy)
    companions.release_companions(rig)
    assert not companions.companions_of(rig) and hat.name in bpy.data.objects
