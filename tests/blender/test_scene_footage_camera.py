# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fitted camera saw is what its Blender twin sees: rotation, position and projection of the head."""

from __future__ import annotations

from dataclasses import replace

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector
from scene_support import avatar, bare_head, build, part, performance, settings

HEAD = np.array([0.03, -0.05, -0.62])


def camera(sizes=((1280, 720),), focal=(1100.0,), centre=((655.5, 341.25),)):
    """A fitted camera in front of the head."""
    return part("core.camera").Camera(
        np.array(focal), np.array(centre, float), np.array(sizes, np.int64), HEAD
    )


def fitted(count: int = 20, seen=None, seed: int = 5, **values):
    """A take of somebody who turns and moves before a camera."""
    rng = np.random.default_rng(seed)
    take = performance(count, gaze=False)
    moved = np.cumsum(rng.normal(0.0, 0.01, (count, 3)), axis=0)
    values = {"weights": 0.0 * take.weights, "confidence": rng.uniform(0.3, 1.0, count)} | values
    return replace(take, head_translation=moved, camera=seen or camera(), **values)


def head_matrix(double) -> np.ndarray:
    """(4, 4) head frame at rest to where Blender has it now, in the armature's coordinates."""
    graph = bpy.context.evaluated_depsgraph_get()
    rig = double.armature.evaluated_get(graph)
    bone = rig.pose.bones["head"]
    return np.array(bone.matrix) @ np.linalg.inv(np.array(bone.bone.matrix_local))


def curves(double, path: str):
    data = double.armature
    bag = part("addon.scene.bpy_compat").channelbag(data.animation_data.action, data)[1]
    return [c for c in bag.fcurves if c.data_path == path]


LOCATION = 'pose.bones["root"].location'


@pytest.mark.parametrize("amount", [1.0, 0.5])
def test_rotation_and_position_of_the_head_are_those_of_the_fit(empty_scene, amount):
    take = fitted()
    double = build(avatar(), take, head_position=amount)
    axes = part("core.head").TO_BLENDER
    rotations = part("core.rotation").to_matrix(take.head_rotation)
    for frame in (0, 7, 19):
        empty_scene.frame_set(frame)
        found = head_matrix(double)
        assert np.abs(found[:3, :3] - axes @ rotations[frame] @ axes.T).max() < 1e-5
        if amount == 1.0:
            assert np.abs(found[:3, 3] - axes @ take.head_translation[frame]).max() < 2e-6


def test_half_of_the_way_is_half_of_the_way(empty_scene):
    person, take = avatar(), fitted()
    places = []
    for amount in (0.0, 0.5, 1.0):
        double = build(person, take, head_position=amount)
        empty_scene.frame_set(11)
        places.append(head_matrix(double)[:3, 3])
    assert np.abs(places[1] - 0.5 * (places[0] + places[2])).max() < 2e-6
    assert np.abs(places[2] - places[0]).max() > 0.005


def test_the_position_goes_with_the_performance(empty_scene):
    person, take = avatar(), fitted()
    double = build(person, take)
    assert len(curves(double, LOCATION)) == 3
    empty_scene.frame_set(12)
    double = build(person, replace(take, head_translation=None, camera=None))
    assert not curves(double, LOCATION)
    assert double.part("footage") is None
    assert tuple(double.armature.pose.bones["root"].location) == (0.0, 0.0, 0.0)


def test_filters_and_decimation_reach_the_position(empty_scene):
    filters = part("core.filters")
    take = fitted(200)
    chosen = filters.FilterSettings(smoothing="SAVITZKY_GOLAY", window=9)
    smooth = filters.apply(take, chosen)
    double = build(avatar(), take, filters=chosen, decimate_error=0.005)
    keys = len(curves(double, LOCATION)[0].keyframe_points)
    assert keys < 200
    axes = part("core.head").TO_BLENDER
    worst = 0.0
    for frame in range(0, 200, 13):
        empty_scene.frame_set(frame)
        error = head_matrix(double)[:3, 3] - axes @ smooth.head_translation[frame]
        worst = max(worst, float(np.abs(error).max()))
    assert worst < 0.0015
    part("addon.scene.action").use_filtered(double, False)
    empty_scene.frame_set(26)
    error = head_matrix(double)[:3, 3] - axes @ take.head_translation[26]
    assert np.abs(error).max() < 2e-6


def test_a_head_without_body_is_carried_too(empty_scene):
    model, person = bare_head(), avatar(gender="")
    double = build(person, fitted(), model)
    bones = part("addon.scene.head_motion")
    assert bones.carrier(model) == "neck"
    empty_scene.frame_set(9)
    axes, take = part("core.head").TO_BLENDER, fitted()
    found = head_matrix(double)
    assert np.abs(found[:3, 3] - axes @ take.head_translation[9]).max() < 2e-6


def test_everything_moves_with_the_head(empty_scene):
    """Hair, clothes and eyes hang on bones, none on the armature itself."""
    double = build(avatar(), fitted(), hair=True, clothes=True)
    graph = bpy.context.evaluated_depsgraph_get()

    def centres() -> dict[str, np.ndarray]:
        found = {}
        for obj in double.visible_objects:
            shown = obj.evaluated_get(graph).data
            points = shown.vertices if obj.type == "MESH" else shown.points
            if not len(points):
                continue  # brows become tubes, which are not on the object itself
            values = np.empty(3 * len(points), np.float32)
            points.foreach_get("co" if obj.type == "MESH" else "position", values)
            found[obj.name] = values.reshape(-1, 3).mean(axis=0)
        return found

    pose = double.armature.pose.bones["root"]
    double.armature.animation_data.action = None
    for bone in double.armature.pose.bones:
        bone.location = (0.0, 0.0, 0.0)
    graph.update()
    before = centres()
    pose.location = (0.1, 0.0, 0.0)
    graph.update()
    assert len(before) >= 4
    for name, centre in centres().items():
        assert np.linalg.norm(centre - before[name]) == pytest.approx(0.1, abs=0.002), name


def projected(scene, obj, points: np.ndarray, size) -> np.ndarray:
    """World points as Blender's camera sees them, px from the upper left corner of the frame."""
    seen = np.array([world_to_camera_view(scene, obj, Vector(p)) for p in points.tolist()])
    return np.stack([seen[:, 0] * size[0], (1.0 - seen[:, 1]) * size[1]], axis=1)


def head_points(take, frame: int) -> np.ndarray:
    """Some points of the head in the view frame, metres."""
    rng = np.random.default_rng(1)
    points = rng.uniform([-0.08, -0.12, -0.05], [0.08, 0.12, 0.12], (30, 3))
    turn = part("core.rotation").to_matrix(take.head_rotation)[frame]
    return points @ turn.T + take.head_translation[frame] + HEAD


@pytest.mark.parametrize("sizes", [(1280, 720), (720, 1280), (512, 512), (1081, 607)])
def test_the_camera_projects_as_the_fitted_one(empty_scene, sizes):
    centre = ((0.5 * sizes[0] + 14.2, 0.5 * sizes[1] - 9.7),)
    take = fitted(seen=camera((sizes,), (1.1 * max(sizes),), centre))
    double = build(avatar(), take, location=(1.0, 2.0, 0.5), rotation=(0.0, 0.0, 0.7))
    obj = double.part("footage")
    assert obj.parent == double.root
    render = empty_scene.render
    render.resolution_x, render.resolution_y = part("addon.scene.footage_camera").frame_of(obj)
    for frame in (3, 15):
        empty_scene.frame_set(frame)
        points = head_points(take, frame)
        world = part("addon.scene.mesh").to_blender(points - HEAD)
        world = world @ np.array(double.armature.matrix_world)[:3, :3].T
        world += np.array(double.armature.matrix_world)[:3, 3]
        found = projected(empty_scene, obj, world, sizes)
        assert np.abs(found - take.camera.project(points)).max() < 0.05


def test_a_vertex_of_the_body_is_where_the_fit_has_it(empty_scene):
    model = part("core.head").load_model("anny")
    person, take = avatar(), fitted()
    double = build(person, take)
    rest = part("core.person").rest_of(model, person)
    rows = part("addon.scene.mesh").body_rows(model)
    joint = model.joint_names.index("head")
    stiff = np.flatnonzero((model.skin_joints[rows, 0] == joint) & (model.skin_weights[rows, 0] > 0.999))
    stiff = stiff[:: len(stiff) // 40]
    frame = 13
    empty_scene.frame_set(frame)
    obj, graph = double.part("footage"), bpy.context.evaluated_depsgraph_get()
    mesh = double.body.evaluated_get(graph).data
    world = np.array([double.body.matrix_world @ mesh.vertices[int(i)].co for i in stiff])
    turn = part("core.rotation").to_matrix(take.head_rotation)[frame]
    view = rest.vertices[rows[stiff]] @ turn.T + take.head_translation[frame] + HEAD
    render = empty_scene.render
    render.resolution_x, render.resolution_y = 1280, 720
    found = projected(empty_scene, obj, world, (1280, 720))
    assert np.abs(found - take.camera.project(view)).max() < 0.05


def test_photos_have_a_lens_each(empty_scene):
    sizes = ((900, 1200), (1200, 900), (600, 800))
    seen = camera(sizes, (1000.0, 1500.0, 700.0), ((440.0, 610.0), (606.0, 455.0), (300.0, 400.0)))
    take = fitted(3, seen, time=np.arange(3.0))
    double = build(avatar(), take)
    module, obj = part("addon.scene.footage_camera"), double.part("footage")
    assert module.frame_of(obj) == (1200, 1200)
    assert empty_scene.render.fps == 1
    empty_scene.render.resolution_x = empty_scene.render.resolution_y = 1200
    scale = module.fill_scale(seen)
    for frame in range(3):
        empty_scene.frame_set(frame)
        points = head_points(take, frame)
        world = part("addon.scene.mesh").to_blender(points - HEAD)
        world = world + np.array(double.armature.matrix_world)[:3, 3]
        found = projected(empty_scene, obj, world, (1200, 1200))
        own = (found - 600.0) / scale[frame] + 0.5 * seen.size[frame]
        assert np.abs(own - seen.project(points, frame)).max() < 0.05
    one = replace(take, camera=camera())
    person = avatar()
    person.id = double.id
    part("addon.scene.build").apply_performance(empty_scene, double, person, one, settings())
    assert not [a for a in bpy.data.actions if a.get("likeness_role") == "footage"]


def test_removing_the_double_takes_camera_and_keys(empty_scene, module):
    seen = camera(((900, 1200), (1200, 900)), (1000.0, 1500.0), ((440.0, 610.0), (606.0, 455.0)))
    double = build(avatar(), fitted(2, seen))
    assert double.part("footage") is not None
    module("addon.doubles").remove(bpy.context, double.root)
    assert not len(bpy.data.cameras)
    assert not len(bpy.data.actions)


def test_confidence_is_a_curve_of_the_root(empty_scene):
    person, take = avatar(), fitted(confidence=np.linspace(0.0, 1.0, 20))
    double = build(person, take)
    root = double.root
    for frame in (0, 5, 19):
        empty_scene.frame_set(frame)
        assert root["confidence"] == pytest.approx(frame / 19, abs=1e-6)
    action = double.armature.animation_data.action
    assert root.animation_data.action == action
    assert root.animation_data.action_slot != double.armature.animation_data.action_slot
    double = build(person, performance())
    assert "confidence" not in double.root
    assert sorted(slot.target_id_type for slot in action.slots) == ["KEY", "OBJECT"]


def test_keys_of_the_user_on_the_root_stay(empty_scene):
    person = avatar()
    double = build(person, performance())
    double.root.keyframe_insert("location", frame=1)
    own = double.root.animation_data.action
    double = build(person, fitted())
    assert double.root.animation_data.action == own
    empty_scene.frame_set(4)
    assert double.root["confidence"] == pytest.approx(fitted().confidence[4], abs=1e-6)
    double = build(person, performance())
    paths = {c.data_path for c in part("addon.scene.bpy_compat").channelbag(own, double.root)[1].fcurves}
    assert paths == {"location"}
