# SPDX-License-Identifier: GPL-3.0-or-later
"""Lighting sets: switching shows one, hides the others and loses nothing."""

from __future__ import annotations

import bpy
import pytest
from scene_support import avatar, bare_head, build, part


def lit(scene) -> set[str]:
    """Names of the lights that render."""
    return {
        obj.name
        for collection in scene.collection.children_recursive
        if not collection.hide_render
        for obj in collection.objects
        if obj.type == "LIGHT"
    }


@pytest.fixture
def double(empty_scene):
    return build(avatar("Flame", gender="", identity={}), None, bare_head())


def test_a_new_scene_is_lit_neutrally(empty_scene, double):
    lights = part("addon.scene.lights")
    assert lights.current_lights(empty_scene) == "NEUTRAL"
    assert len(lit(empty_scene)) == 3
    assert empty_scene.world["likeness_lights"] == "NEUTRAL"


def test_every_set_can_be_switched_to_and_keeps_its_changes(empty_scene, double):
    lights, sets = part("addon.scene.lights"), part("addon.scene.light_sets").SETS
    assert len(sets) >= 7
    for key, entry in sets.items():
        lights.apply_lights(empty_scene, key)
        assert lights.current_lights(empty_scene) == key
        assert len(lit(empty_scene)) == len(entry.lamps)
        for name in lit(empty_scene):
            empty_scene.objects[name].data.energy = 5.5
        empty_scene.world.color = (1.0, 0.0, 0.0)
    count = len(bpy.data.lights)
    for key in sets:
        lights.apply_lights(empty_scene, key)
        assert all(empty_scene.objects[name].data.energy == 5.5 for name in lit(empty_scene))
        assert tuple(empty_scene.world.color) == (1.0, 0.0, 0.0)
    assert len(bpy.data.lights) == count and len(bpy.data.worlds) == len(sets)


def test_lamps_look_at_the_eyes_and_follow_the_person(empty_scene, double):
    double.root.location = (3.0, 1.0, 0.0)
    bpy.context.view_layer.update()
    target = double.focus.matrix_world.translation
    for name in lit(empty_scene):
        matrix = empty_scene.objects[name].matrix_world
        to_target = (target - matrix.translation).normalized()
        assert to_target.dot(-matrix.col[2].xyz.normalized()) > 0.999


def test_the_users_own_world_stays_in_the_file(empty_scene):
    own = bpy.data.worlds.new("Own")
    empty_scene.world = own
    build(avatar("Flame", gender="", identity={}), None, bare_head())
    assert empty_scene.world != own
    assert own.users == 1  # the fake user


def test_an_unknown_set_is_refused(empty_scene, double):
    with pytest.raises(Exception, match="no lighting set 'DISCO'"):
        part("addon.scene.lights").apply_lights(empty_scene, "DISCO")
    assert part("addon.scene.lights").current_lights(empty_scene) == "NEUTRAL"


def test_no_lights_when_none_are_asked_for(empty_scene):
    build(avatar("Flame", gender="", identity={}), None, bare_head(), lights=None)
    assert not bpy.data.lights
