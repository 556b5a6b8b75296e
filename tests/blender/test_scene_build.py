# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender shows what the numpy forward pass computes; building again changes only what it must."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from scene_support import avatar, bare_head, build, evaluated, expected, part, performance

TOLERANCE = 2e-4
"""Metres. Blender evaluates in float32 and stores angles as quaternions of float32."""


@pytest.fixture(scope="module")
def model():
    return part("core.head").load_model("anny")


def rest_of(model, person):
    return part("core.person").rest_of(model, person)


def turns_at(model, take, frame: int, share: float = 0.45) -> dict:
    rotation = part("core.rotation")
    turns = part("addon.scene.action").bone_turns(model, take, share)
    return {bone: rotation.to_matrix(turn[frame]) for bone, turn in turns.items()}


@pytest.mark.parametrize("frame", [0, 7, 19])
def test_a_performance_poses_the_body_as_the_forward_pass_does(empty_scene, model, frame):
    person, take = avatar(identity={"age": 0.9}), performance()
    double = build(person, take, relaxed=False)
    empty_scene.frame_set(frame)
    rest = rest_of(model, person)
    posed = model.pose(rest, take.weights[frame], turns_at(model, take, frame))
    found = evaluated(double)
    assert np.abs(found - expected(double, model, posed)).max() < TOLERANCE


def test_neck_and_head_together_make_the_recorded_rotation(model):
    rotation, take = part("core.rotation"), performance()
    for share in (0.0, 0.45, 1.0):
        total = np.eye(3)
        turns = part("addon.scene.action").bone_turns(model, take, share)
        for bone in (*model.roles["neck"], model.roles["head"]):
            total = total @ rotation.to_matrix(turns[bone])
        assert np.abs(total - rotation.to_matrix(take.head_rotation)).max() < 1e-12


def test_without_recorded_gaze_the_look_keys_turn_the_eyes(empty_scene, model):
    person, take = avatar(), performance(gaze=False, head=False)
    double = build(person, take, relaxed=False)
    empty_scene.frame_set(5)
    gaze = take.gaze_or_from_weights()[5]
    rotation = part("core.rotation")
    turns = {
        model.roles[eye]: rotation.to_matrix(rotation.from_angles(*gaze[i], np.float64(0.0)))
        for i, eye in enumerate(("eye_left", "eye_right"))
    }
    posed = model.pose(rest_of(model, person), take.weights[5], turns)
    assert np.abs(evaluated(double) - expected(double, model, posed)).max() < TOLERANCE
    assert all(curve.driver.is_simple_expression for curve in double.armature.animation_data.drivers)


def test_dragging_a_look_key_turns_an_eye_to_the_side_it_names(empty_scene, model):
    double = build(avatar())
    eye = double.armature.pose.bones[model.roles["eye_left"]]
    before = eye.matrix.col[1].xyz.copy()
    double.shape_keys.key_blocks["eyeLookOutLeft"].value = 1.0
    bpy.context.view_layer.update()
    moved = eye.matrix.col[1].xyz - before
    assert moved.x > 0.4  # +X is the subject's left


def test_at_rest_nothing_is_expressed(empty_scene, model):
    person = avatar()
    double = build(person, relaxed=False)
    keys = double.shape_keys.key_blocks
    assert [key.name for key in keys] == ["Basis", *part("core.arkit").ARKIT_NAMES]
    assert all(key.value == 0.0 for key in keys[1:])
    rest = rest_of(model, person)
    assert np.abs(evaluated(double) - expected(double, model, rest.vertices)).max() < TOLERANCE


def test_bones_have_the_models_axes(empty_scene, model):
    person = avatar(identity={"height": 0.8})
    bones = build(person).armature.data.bones
    axes = part("core.head").TO_BLENDER @ rest_of(model, person).joint_rotations
    found = np.array([np.array(bones[name].matrix_local)[:3, :3] for name in model.joint_names])
    assert np.abs(found - axes).max() < 1e-4
    parents = [bones[name].parent.name if bones[name].parent else "" for name in model.joint_names]
    assert parents == ["" if p < 0 else model.joint_names[p] for p in model.joint_parents]


def test_skin_weights_are_the_models_and_sum_to_one(empty_scene, model):
    double = build(avatar())
    rows = part("addon.scene.mesh").body_rows(model)
    names = {group.index: group.name for group in double.body.vertex_groups}
    for vertex in list(double.body.data.vertices)[::97]:
        found = {names[g.group]: g.weight for g in vertex.groups}
        row = rows[vertex.index]
        wanted = {
            model.joint_names[j]: w
            for j, w in zip(model.skin_joints[row], model.skin_weights[row], strict=True)
            if w > 0
        }
        assert found == pytest.approx(wanted, abs=1e-6)
        assert sum(found.values()) == pytest.approx(1.0, abs=1e-5)


def test_people_stand_on_the_floor_with_hanging_arms_and_whole_skin(empty_scene, model):
    for identity in ({"gender": 1.0}, {"gender": 0.0, "weight": 1.0, "muscle": 1.0}, {"age": 0.34}):
        double = build(avatar(str(identity), identity=identity))
        points = evaluated(double)
        assert abs(points[:, 2].min()) < 2e-3
        for side in "LR":
            bones = double.armature.pose.bones
            shoulder, elbow, hand = (bones[f"{b}.{side}"].head for b in ("upperarm01", "lowerarm01", "wrist"))
            assert shoulder.z - elbow.z > 0.9 * (shoulder - elbow).length
            assert elbow.z - hand.z > 0.85 * (elbow - hand).length
        assert stretch(double, points).max() < 2.6


def stretch(double, points: np.ndarray) -> np.ndarray:
    """How much longer each edge is than at rest; short edges, which double harmlessly, are left out."""
    mesh = double.body.data
    edges = np.empty(2 * len(mesh.edges), np.int32)
    mesh.edges.foreach_get("vertices", edges)
    edges = edges.reshape(-1, 2)
    rest = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", rest)
    rest = rest.reshape(-1, 3)
    before = np.linalg.norm(np.diff(rest[edges], axis=1)[:, 0], axis=1)
    after = np.linalg.norm(np.diff(points[edges], axis=1)[:, 0], axis=1)
    return (after / before)[before > 0.004]


def test_a_model_without_body_builds_too(empty_scene):
    model, take = bare_head(), performance(gaze=False)
    person = avatar("Flame", gender="", identity={"size": 1.0})
    double = build(person, take, model)
    empty_scene.frame_set(9)
    weights = take.weights[9][[part("core.arkit").INDEX[name] for name in model.expression_names]]
    posed = model.pose(rest_of(model, person), weights, turns_at(model, take, 9))
    assert np.abs(evaluated(double) - expected(double, model, posed)).max() < TOLERANCE
    assert len(double.shape_keys.key_blocks) == 53


def test_building_again_updates_in_place_and_keeps_what_the_user_made(empty_scene, model):
    person, take = avatar(), performance()
    double = build(person, take)
    lens, lamp = double.camera.data, next(o for o in empty_scene.objects if o.get("likeness_role") == "light")
    lens.lens, double.camera.location.x, lamp.data.energy = 50.0, 0.3, 777.0
    material = double.body.data.materials[0]
    material.diffuse_color = (1.0, 0.0, 1.0, 1.0)
    own = bpy.data.materials.new("Own")
    own["likeness_role"] = double.body.data.materials[1].get("likeness_role")
    double.body.data.materials[1] = own
    double.armature.pose.bones["upperarm01.L"].rotation_quaternion = (0.6, 0.8, 0.0, 0.0)
    double.armature.keyframe_insert('pose.bones["spine03"].location', frame=4)
    action = double.armature.animation_data.action
    counts = {kind: len(getattr(bpy.data, kind)) for kind in KINDS}
    before = evaluated(double)

    person.identity["weight"] = 1.0
    again = build(person, performance(seed=4))
    assert {kind: len(getattr(bpy.data, kind)) for kind in KINDS} == counts
    assert again.body == double.body and again.armature == double.armature
    assert np.abs(evaluated(again) - before).max() > 0.01
    assert (lens.lens, lamp.data.energy) == (50.0, 777.0)
    assert again.camera.location.x == pytest.approx(0.3)
    assert tuple(material.diffuse_color) == (1.0, 0.0, 1.0, 1.0)
    assert again.body.data.materials[1] == own
    assert again.armature.pose.bones["upperarm01.L"].rotation_quaternion[1] == pytest.approx(0.8)
    assert again.armature.animation_data.action == action
    compat = part("addon.scene.bpy_compat")
    _slot, bag = compat.channelbag(action, again.armature)
    assert bag.fcurves.find('pose.bones["spine03"].location', index=0) is not None


KINDS = (
    "objects",
    "meshes",
    "armatures",
    "shape_keys",
    "actions",
    "materials",
    "lights",
    "worlds",
    "cameras",
    "collections",
)


def test_another_model_of_the_same_avatar_replaces_the_surface(empty_scene, model):
    person = avatar(identity={})
    person.gender = ""
    double = build(person)
    old = len(double.body.data.vertices)
    again = build(person, None, bare_head())
    assert again.body == double.body
    assert len(again.body.data.vertices) == 36 != old
    assert len(again.shape_keys.key_blocks) == 53


def test_the_second_person_stands_beside_the_first(empty_scene):
    first = build(avatar("Ada"), location=(1.0, 2.0, 0.0))
    second = build(avatar("Ben"), location=(1.0, 2.0, 0.0))
    third = build(avatar("Cas"), location=(1.0, 2.0, 0.0))
    places = [np.array(double.root.location) for double in (first, second, third)]
    assert places[0] == pytest.approx([1.0, 2.0, 0.0])
    for i in range(3):
        for j in range(i):
            assert np.linalg.norm(places[i] - places[j]) > 0.8
    assert np.ptp([place[1] for place in places]) == 0.0
    assert [double.name for double in part("addon.scene.double").find_doubles(empty_scene)] == [
        "Ada",
        "Ben",
        "Cas",
    ]
    assert empty_scene.camera == first.camera


def test_mode_selection_active_object_and_frame_come_back(empty_scene):
    mesh = bpy.data.meshes.new("Own")
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    own = bpy.data.objects.new("Own", mesh)
    empty_scene.collection.objects.link(own)
    bpy.context.view_layer.objects.active = own
    own.select_set(True)
    empty_scene.frame_set(7, subframe=0.5)
    bpy.ops.object.mode_set(mode="EDIT")
    build(avatar(), performance())
    assert bpy.context.mode == "EDIT_MESH"
    assert bpy.context.view_layer.objects.active == own
    assert [obj.name for obj in bpy.context.selected_objects] == ["Own"]
    assert (empty_scene.frame_current, empty_scene.frame_subframe) == (7, 0.5)
    bpy.ops.object.mode_set(mode="OBJECT")


def test_a_hidden_double_is_updated_and_stays_hidden(empty_scene, model):
    person = avatar()
    double = build(person)
    double.armature.hide_set(True)
    bpy.context.view_layer.layer_collection.children[double.collection.name].exclude = True
    person.identity["height"] = 1.0
    again = build(person)
    tallest = max(bone.tail_local.z for bone in again.armature.data.bones)
    rest = rest_of(model, person)
    assert tallest == pytest.approx(max(rest.joint_tails[:, 1].max(), rest.joint_heads[:, 1].max()), abs=1e-4)
    assert bpy.context.view_layer.layer_collection.children[double.collection.name].exclude
    assert again.armature.name not in empty_scene.collection.objects


def test_an_avatar_of_another_model_is_refused_before_anything_is_touched(empty_scene):
    person = avatar(vertices=np.zeros((5, 3), np.float32))
    with pytest.raises(Exception, match="has 5 vertices") as caught:
        build(person)
    assert type(caught.value).__name__ == "AvatarError"
    assert not bpy.data.objects and not bpy.data.collections


def test_the_camera_focuses_between_the_eyes_and_follows_the_root(empty_scene):
    double = build(avatar(), performance())
    bpy.context.view_layer.update()
    camera, focus = double.camera, double.focus
    assert camera.data.dof.use_dof and camera.data.dof.focus_object == focus
    eyes = [double.armature.pose.bones[name].head for name in ("eye.L", "eye.R")]
    middle = double.armature.matrix_world @ ((eyes[0] + eyes[1]) / 2)
    assert (focus.matrix_world.translation - middle).length < 1e-3
    distance = (camera.matrix_world.translation - focus.matrix_world.translation).length
    double.root.location.x += 5.0
    bpy.context.view_layer.update()
    assert (camera.matrix_world.translation - focus.matrix_world.translation).length == pytest.approx(
        distance
    )


@pytest.mark.parametrize("size", [(1920, 1080), (1080, 1920), (800, 800), (2048, 858)])
def test_head_and_shoulders_fill_the_picture_in_any_format(empty_scene, size):
    from bpy_extras.object_utils import world_to_camera_view
    from mathutils import Vector

    empty_scene.render.resolution_x, empty_scene.render.resolution_y = size
    double = build(avatar())
    bpy.context.view_layer.update()
    points = evaluated(double)
    head = points[points[:, 2] > double.focus.matrix_world.translation.z - 0.12]
    seen = np.array(
        [world_to_camera_view(empty_scene, double.camera, Vector(p.tolist())) for p in head[::50]]
    )
    assert seen[:, :2].min() > 0.02 and seen[:, :2].max() < 0.98
    assert np.ptp(seen[:, 1]) > 0.2 or np.ptp(seen[:, 0]) > 0.2
    shoulders = [
        double.armature.matrix_world @ double.armature.pose.bones[f"upperarm01.{s}"].head for s in "LR"
    ]
    across = [world_to_camera_view(empty_scene, double.camera, point) for point in shoulders]
    assert all(0.0 < p.x < 1.0 and 0.0 < p.y < 1.0 for p in across)


def test_media_make_a_sound_strip_and_a_reference(empty_scene, tmp_path: Path):
    import wave

    path = tmp_path / "voice.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(2 * 8000))
    person = avatar(folder=tmp_path, media={"movie": "voice.wav"})
    for _ in range(2):
        double = build(person, performance(rate=29.97), first_frame=10)
    strips = list(empty_scene.sequence_editor.strips)
    assert [strip.type for strip in strips] == ["SOUND"]
    assert part("addon.scene.bpy_compat").strip_start(strips[0]) == 10
    assert double.name in strips[0].name


def test_a_medium_without_sound_leaves_no_strip(empty_scene, tmp_path: Path):
    (tmp_path / "mute.mp4").write_bytes(b"no movie at all")
    build(avatar(folder=tmp_path, media={"movie": "mute.mp4"}), performance())
    editor = empty_scene.sequence_editor
    assert editor is None or not len(editor.strips)
    assert not bpy.data.sounds
