# SPDX-License-Identifier: GPL-3.0-or-later
"""Shape keys read as arrays: what Blender shows is the neutral plus values times shapes, at every frame."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
import pytest
from scene_support import part

CORNERS = [
    (0.0, 0.0, 0.0),
    (1.0, 0.0, 0.0),
    (1.0, 1.0, 0.0),
    (0.0, 1.0, 0.0),
    (2.0, 0.5, 0.0),
    (3.0, 3.0, 3.0),
]


@pytest.fixture
def mesh(empty_scene) -> Any:
    """A quad, a triangle, a loose vertex; shapes that move all of them."""
    data = bpy.data.meshes.new("Thing")
    data.from_pydata(CORNERS, [], [(0, 1, 2, 3), (1, 4, 2)])
    obj = bpy.data.objects.new("Thing", data)
    bpy.context.scene.collection.objects.link(obj)
    bpy.context.view_layer.objects.active = obj
    rng = np.random.default_rng(4)
    for name in ("Basis", "one", "two", "three"):
        block = obj.shape_key_add(name=name, from_mix=False)
        if name != "Basis":
            moved = np.array(CORNERS) + rng.normal(size=(len(CORNERS), 3))
            block.data.foreach_set("co", moved.astype(np.float32).ravel())
    return obj


def keys(mesh: Any) -> Any:
    return mesh.data.shape_keys


def key(mesh: Any, name: str, values: dict[int, float], property: str = "value") -> None:
    block = keys(mesh).key_blocks[name]
    for frame, value in values.items():
        setattr(block, property, value)
        block.keyframe_insert(property, frame=frame)


def shown(mesh: Any) -> np.ndarray:
    """(N, 3) as Blender evaluates the mesh now."""
    data = mesh.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    points = np.empty(3 * len(data.vertices), np.float32)
    data.vertices.foreach_get("co", points)
    return points.reshape(-1, 3)


def assert_plays(mesh: Any) -> tuple[np.ndarray, np.ndarray]:
    """At every sampled frame Blender shows what the arrays say."""
    scene, source = bpy.context.scene, part("addon.scene.shape_source")
    shapes = source.read_shapes(mesh)
    scene.frame_set(3, subframe=0.25)
    frames, values = source.sample_values(scene, mesh, shapes.names)
    assert (scene.frame_current, scene.frame_subframe) == (3, 0.25)
    for frame, row in zip(frames, values, strict=True):
        scene.frame_set(int(frame))
        expected = shapes.rest + np.einsum("s,snc->nc", row, shapes.deltas)
        assert shown(mesh) == pytest.approx(expected, abs=2e-6), frame
    return frames, values


def test_shapes_and_polygons_are_the_meshs(mesh):
    shapes = part("addon.scene.shape_source").read_shapes(mesh)
    assert shapes.names == ("one", "two", "three")
    assert shapes.rest == pytest.approx(np.array(CORNERS, float))
    assert shapes.faces.tolist() == [[0, 1, 2, 3], [1, 4, 2, -1]]
    keys(mesh).key_blocks["two"].value = 0.7
    frames, values = assert_plays(mesh)
    assert frames.tolist() == list(range(1, 251))
    assert values[:, 1] == pytest.approx(0.7)


def test_keys_relative_to_others_groups_and_mutes_count_as_in_blender(mesh):
    blocks = keys(mesh).key_blocks
    blocks["two"].relative_key = blocks["one"]
    group = mesh.vertex_groups.new(name="some")
    group.add([0, 2], 0.25, "REPLACE")
    group.add([5], 1.0, "REPLACE")
    blocks["three"].vertex_group = "some"
    blocks["one"].mute = True
    for name in ("one", "two", "three"):
        key(mesh, name, {1: 0.0, 4: 1.0})
    _frames, values = assert_plays(mesh)
    assert values[-1].tolist() == [0.0, 1.0, 1.0]


def test_keyed_values_are_those_of_every_frame_clipped_to_the_slider(mesh):
    key(mesh, "one", {-3: 0.0, 2: 0.9, 9: 0.1})
    key(mesh, "three", {1: 0.2})
    slot = keys(mesh).animation_data
    bag = slot.action.layers[0].strips[0].channelbag(slot.action_slot)
    bag.fcurves.find('key_blocks["one"].value').keyframe_points[1].co.y = 1.7
    bag.fcurves.find('key_blocks["three"].value').modifiers.new("NOISE").strength = 0.3
    frames, values = assert_plays(mesh)
    assert frames.tolist() == list(range(-3, 10))
    assert values[:, 0].max() == 1.0
    bag.fcurves.find('key_blocks["one"].value').mute = True
    assert_plays(mesh)


def test_drivers_strips_and_animated_mutes_are_played(mesh):
    bpy.context.scene.frame_end = 12
    driver = keys(mesh).key_blocks["one"].driver_add("value").driver
    driver.type, driver.expression = "SCRIPTED", "frame / 20"
    key(mesh, "two", {1: 0.0, 12: 1.0})
    key(mesh, "three", {1: 1.0})
    key(mesh, "three", {1: False, 6: True}, "mute")
    frames, values = assert_plays(mesh)
    assert values[:, 0] == pytest.approx(frames / 20)
    assert set(values[:, 2].tolist()) == {0.0, 1.0}
    keys(mesh).key_blocks["one"].driver_remove("value")
    data = keys(mesh).animation_data
    track = data.nla_tracks.new()
    track.strips.new("strip", 4, data.action)
    data.action = None
    _frames, values = assert_plays(mesh)
    assert values[:, 1].max() > 0.5


def test_a_strip_beside_an_action_is_not_lost(mesh):
    key(mesh, "two", {1: 0.0, 8: 1.0})
    data = keys(mesh).animation_data
    data.nla_tracks.new().strips.new("strip", 1, data.action)
    data.action = None
    key(mesh, "one", {1: 0.5, 8: 0.0})
    _frames, values = assert_plays(mesh)
    assert values.max(axis=0)[:2].min() > 0.4


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda mesh: mesh.shape_key_clear(), "Thing has no shape keys"),
        (lambda mesh: setattr(keys(mesh), "use_relative", False), "absolute"),
        (lambda _mesh: bpy.ops.object.mode_set(mode="EDIT"), "being edited"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(mesh, spoil, sentence):
    errors = part("core.errors")
    spoil(mesh)
    with pytest.raises(errors.LikenessError, match=sentence):
        part("addon.scene.shape_source").read_shapes(mesh)


def test_a_removed_key_is_a_sentence(mesh):
    errors, source = part("core.errors"), part("addon.scene.shape_source")
    with pytest.raises(errors.LikenessError, match="no shape key gone any more"):
        source.sample_values(bpy.context.scene, mesh, ["one", "gone"])


def test_points_without_faces_are_read(empty_scene):
    data = bpy.data.meshes.new("Points")
    data.from_pydata(CORNERS, [], [])
    obj = bpy.data.objects.new("Points", data)
    obj.shape_key_add(name="Basis")
    obj.shape_key_add(name="one").data[0].co.x += 1.0
    shapes = part("addon.scene.shape_source").read_shapes(obj)
    assert shapes.faces.shape == (0, 3)
    assert shapes.deltas[0, 0] == pytest.approx([1.0, 0.0, 0.0])
