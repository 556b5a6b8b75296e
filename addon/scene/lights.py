# SPDX-License-Identifier: GPL-3.0-or-later
"""Lighting sets in a scene, each in its own collection: switching hides one and shows another, changes
last.
"""

from __future__ import annotations

from math import cos, radians, sin
from typing import Any

import bpy
from mathutils import Vector

from ...core.errors import SettingsError
from .double import ROLE_KEY, find_doubles, person_roots, role_of
from .light_sets import SETS, Lamp
from .world import SET_KEY, find_world, make_world

TITLE = "Likeness Lights"


def apply_lights(scene: bpy.types.Scene, key: str, target: bpy.types.Object | None = None) -> None:
    """Light the scene with a set (a key of `SETS`), made on first use; an unknown one is a SettingsError.

    `target`: what the lights stand around when they are made, by default the first double's eyes.
    """
    if key not in SETS:
        raise SettingsError(f"There is no lighting set {key!r}.", f"Choose one of {', '.join(SETS)}.")
    parent = _parent_collection(scene)
    if _set_collection(scene, key) is None:
        _make_set(parent, key, _rig(scene, parent, target))
    for collection in _set_collections(scene):
        collection.hide_render = collection.hide_viewport = collection[SET_KEY] != key
    if scene.world is not None and SET_KEY not in scene.world:
        scene.world.use_fake_user = True  # the user's own world stays in the file
    scene.world = find_world(key) or make_world(key, SETS[key].title, SETS[key].backdrop)


def current_lights(scene: bpy.types.Scene) -> str | None:
    """The set that lights the scene, None when there is none."""
    return next((c[SET_KEY] for c in _set_collections(scene) if not c.hide_render), None)


def has_lights(scene: bpy.types.Scene) -> bool:
    """Whether a set of ours was ever put into the scene."""
    return bool(_set_collections(scene))


def _set_collections(scene: bpy.types.Scene) -> list[bpy.types.Collection]:
    return [c for c in scene.collection.children_recursive if role_of(c) == "light_set"]


def _set_collection(scene: bpy.types.Scene, key: str) -> bpy.types.Collection | None:
    return next((c for c in _set_collections(scene) if c[SET_KEY] == key), None)


def _parent_collection(scene: bpy.types.Scene) -> bpy.types.Collection:
    found = next((c for c in scene.collection.children_recursive if role_of(c) == "lights"), None)
    if found is None:
        found = bpy.data.collections.new(TITLE)
        found[ROLE_KEY] = "lights"
        scene.collection.children.link(found)
    return found


def _rig(
    scene: bpy.types.Scene, parent: bpy.types.Collection, target: bpy.types.Object | None
) -> bpy.types.Object:
    """The empty that all lights hang on: at the eyes of the first double and carried by its root."""
    found = next((o for o in parent.all_objects if role_of(o) == "light_rig"), None)
    if found is not None:
        return found
    rig = bpy.data.objects.new("Likeness Light Rig", None)
    rig[ROLE_KEY] = "light_rig"
    rig.empty_display_type, rig.empty_display_size = "SPHERE", 0.1
    parent.objects.link(rig)
    doubles = find_doubles(scene)
    if target is None and doubles:
        target = doubles[0].focus
    root = next((r for r in person_roots(scene) if target in r.children_recursive), None)
    rig.parent = root
    if root is not None and target is not None:
        rig.location = root.matrix_world.inverted() @ target.matrix_world.translation
    return rig


def _make_set(parent: bpy.types.Collection, key: str, rig: bpy.types.Object) -> None:
    collection = bpy.data.collections.new(f"{TITLE} {SETS[key].title}")
    collection[ROLE_KEY], collection[SET_KEY] = "light_set", key
    parent.children.link(collection)
    for lamp in SETS[key].lamps:
        collection.objects.link(_make_lamp(lamp, SETS[key].title, rig))


def _make_lamp(lamp: Lamp, title: str, rig: bpy.types.Object) -> bpy.types.Object:
    data: Any = bpy.data.lights.new(f"Likeness {title} {lamp.name}", "AREA")
    data.shape, data.size, data.size_y = "RECTANGLE", *lamp.size
    data.energy, data.color = lamp.power, lamp.colour
    obj = bpy.data.objects.new(data.name, data)
    obj[ROLE_KEY] = "light"
    azimuth, elevation = radians(lamp.azimuth), radians(lamp.elevation)
    ahead = Vector((sin(azimuth) * cos(elevation), -cos(azimuth) * cos(elevation), sin(elevation)))
    obj.parent = rig
    obj.location = lamp.distance * ahead
    obj.rotation_euler = (-ahead).to_track_quat("-Z", "Y").to_euler()
    obj.visible_camera = False
    return obj
