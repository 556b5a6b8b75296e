# SPDX-License-Identifier: GPL-3.0-or-later
"""Materials, hair and clothes: every part has its material, edits survive, nothing pokes through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from mathutils import Matrix
from mathutils.bvhtree import BVHTree
from scene_support import avatar, part

PEOPLE = {
    "man": {"gender": 0.0, "age": 0.7, "caucasian": 1.0, "asian": 0.0, "african": 0.0},
    "woman": {"gender": 1.0, "age": 0.6, "asian": 1.0, "caucasian": 0.0, "african": 0.0},
    "heavy": {"gender": 0.0, "age": 0.75, "weight": 1.0, "african": 1.0, "asian": 0.0, "caucasian": 0.0},
    "thin old": {"gender": 1.0, "age": 1.0, "weight": 0.0},
}


def someone(name: str) -> Any:
    gender = "female" if PEOPLE[name]["gender"] > 0.5 else "male"
    return avatar(name, Path("nowhere.avatar"), gender=gender, identity=PEOPLE[name])


def dressed(name: str, look: Any = None, person: Any = None) -> Any:
    """A double with hair and clothes, arms hanging."""
    person = person or someone(name)
    settings = part("addon.scene.settings").BuildSettings(hair=True, clothes=True, look=look)
    return part("addon.scene.build").build(bpy.context, person, None, settings)


def evaluated(obj: Any) -> Any:
    return obj.evaluated_get(bpy.context.evaluated_depsgraph_get())


def world_points(obj: Any, mesh: Any) -> np.ndarray:
    points = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", points)
    matrix = np.array(obj.matrix_world)
    return points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]


def strand_points(obj: Any) -> np.ndarray:
    """(n, k, 3) world positions of a Curves object as shown."""
    data = evaluated(obj).data
    points = np.empty(3 * len(data.points), np.float32)
    data.points.foreach_get("position", points)
    matrix = np.array(obj.matrix_world)
    world = points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]
    return world.reshape(len(data.curves), -1, 3)


def tube_points(obj: Any) -> np.ndarray:
    """(n, 3) world vertices of a Curves object that its modifier turns into a mesh."""
    geometry = evaluated(obj).evaluated_geometry()
    mesh = geometry.mesh
    assert mesh.materials[0]["likeness_role"] == "Brows"
    return world_points(obj, mesh)


def surface_tree(obj: Any) -> BVHTree:
    shown = evaluated(obj)
    mesh = shown.to_mesh()
    points = world_points(obj, mesh)
    tree = BVHTree.FromPolygons(points.tolist(), [tuple(p.vertices) for p in mesh.polygons])
    shown.to_mesh_clear()
    return tree


def test_every_polygon_has_the_material_of_its_part(empty_scene: bpy.types.Scene) -> None:
    double = dressed("man")
    mesh: Any = double.body.data
    model = part("core.head").load_model("anny")
    surface, assign = part("addon.scene.materials.surface"), part("addon.scene.materials.assign")
    parts = surface.polygon_parts(mesh, model)
    slots = np.empty(len(mesh.polygons), np.int32)
    mesh.polygons.foreach_get("material_index", slots)
    for index, name in enumerate(model.part_names):
        used = {mesh.materials[i]["likeness_role"] for i in np.unique(slots[parts == index])}
        assert used in (set(), {assign.slot_of(name)}), name
    assert {m["likeness_role"] for m in mesh.materials} >= {
        "Skin",
        "Eye",
        "Cornea",
        "Teeth",
        "Gums",
        "Tongue",
    }


@pytest.mark.parametrize("mode", ["EEVEE", "CYCLES"])
def test_one_switch_turns_every_material(empty_scene: bpy.types.Scene, mode: str) -> None:
    double = dressed("man")
    materials = part("addon.scene.materials")
    count = materials.set_material_mode(double.visible_objects, mode)
    found = {s.material for o in double.visible_objects for s in o.material_slots}
    assert count == len(found) >= 12
    for material in found:
        assert materials.material_mode(material) == mode
        active = [n for n in material.node_tree.nodes if n.type == "OUTPUT_MATERIAL" and n.is_active_output]
        assert len(active) == 1
        assert active[0].inputs["Surface"].is_linked
    with pytest.raises(ValueError, match="EEVEE, CYCLES"):
        materials.set_material_mode(double.visible_objects, "CLAY")


def test_a_rebuild_keeps_what_an_artist_changed(empty_scene: bpy.types.Scene) -> None:
    person = someone("man")
    double = dressed("man", person=person)
    mesh: Any = double.body.data
    skin = next(m for m in mesh.materials if m["likeness_role"] == "Skin")
    skin.name = "My skin"
    skin.node_tree.nodes["Likeness Skin"].inputs["Melanin"].default_value = 0.9
    before = sorted(m.name for m in bpy.data.materials)
    again = dressed("man", person=person)
    assert next(m for m in again.body.data.materials if m["likeness_role"] == "Skin") == skin
    assert skin.node_tree.nodes["Likeness Skin"].inputs["Melanin"].default_value == pytest.approx(0.9)
    assert sorted(m.name for m in bpy.data.materials) == before
    roles = [o.get("likeness_role") for o in double.collection.objects]
    assert all(roles.count(role) == 1 for role in ("hair", "brows", "top", "bottom", "shoes"))


def test_darker_people_get_darker_skin_and_two_people_share_teeth(empty_scene: bpy.types.Scene) -> None:
    first, second = dressed("man"), dressed("heavy")
    by_role = [{m["likeness_role"]: m for m in d.body.data.materials} for d in (first, second)]
    tone = [m["Skin"].node_tree.nodes["Likeness Skin"].inputs["Melanin"].default_value for m in by_role]
    assert tone[0] < 0.35 < 0.7 < tone[1]
    assert by_role[0]["Teeth"] == by_role[1]["Teeth"]
    assert by_role[0]["Eye"] != by_role[1]["Eye"]


@pytest.mark.parametrize("name", list(PEOPLE))
def test_no_skin_pokes_through_the_clothes(empty_scene: bpy.types.Scene, name: str) -> None:
    """Skin that is shown within a garment's pattern lies under the cloth, also with head and neck turned."""
    double = dressed(name)
    turn_head(double)
    shown = evaluated(double.body)
    mesh = shown.to_mesh()
    skin = world_points(double.body, mesh)
    rows = np.empty(len(mesh.vertices), np.int32)
    mesh.attributes["likeness_row"].data.foreach_get("value", rows)
    shown.to_mesh_clear()
    assert len(skin) < 0.8 * len(double.body.data.vertices)
    pattern = part("addon.scene.clothes_pattern").Body(part("core.head").load_model("anny"))
    look = part("addon.scene.materials").Look.of(someone(name))
    for role, garment in (("top", look.top), ("bottom", look.bottom), ("shoes", "SHOES")):
        cloth = double.part(role)
        for modifier in cloth.modifiers:
            modifier.show_viewport = modifier.type == "ARMATURE"
        tree = surface_tree(cloth)
        under = skin[pattern.pattern(garment)[rows] > 0.006]
        assert len(under) > 20
        through = 0
        for point in under.tolist():
            near = tree.find_nearest_range(point, 0.04)
            height = [
                sum((p - h) * n for p, h, n in zip(point, hit, normal, strict=True))
                for hit, normal, *_ in near
            ]
            # An arm that rests on the flank is outside of the trunk's cloth, but within its own sleeve.
            through += bool(height) and min(height) > 0.0005
        assert through == 0, role


def turn_head(double: Any) -> None:
    for bone, angle in (("head", 0.6), ("neck02", 0.3)):
        pose = double.armature.pose.bones[bone]
        pose.rotation_mode = "QUATERNION"
        pose.rotation_quaternion = Matrix.Rotation(angle, 3, "Y").to_quaternion()
    bpy.context.view_layer.update()


def test_clothes_cover_the_trunk_and_the_legs(empty_scene: bpy.types.Scene) -> None:
    """Rays from outside towards the trunk and the thighs meet cloth before skin."""
    double = dressed("woman")
    trees = [surface_tree(double.part(role)) for role in ("top", "bottom", "shoes")]
    body = surface_tree(double.body)
    heads = {b.name: double.armature.matrix_world @ b.head_local for b in double.armature.data.bones}
    for name in ("spine02", "spine04", "spine05", "upperleg01.L", "upperleg02.R", "lowerleg01.L", "foot.R"):
        for angle in np.linspace(0.0, 2 * np.pi, 16, endpoint=False):
            aim = np.array([np.cos(angle), np.sin(angle), 0.0])
            start = np.array(heads[name]) + aim
            distances = [tree.ray_cast(start.tolist(), (-aim).tolist(), 1.0)[3] for tree in trees]
            cloth = min((d for d in distances if d is not None), default=None)
            bare = body.ray_cast(start.tolist(), (-aim).tolist(), 1.0)[3]
            if bare is not None and cloth is None:
                hand = abs(start[0] - bare * aim[0]) > 0.2
                assert hand, f"bare skin at {name}"


@pytest.mark.parametrize("style", ["SHORT", "BUZZ", "BOB", "TIED"])
def test_hair_covers_the_scalp_and_stays_off_the_face(empty_scene: bpy.types.Scene, style: str) -> None:
    model = part("core.head").load_model("anny")
    hair, masks = part("addon.scene.hair"), part("addon.scene.materials.masks")
    surface = part("addon.scene.hair_surface")
    rest = model.rest(model.identity_coefficients(PEOPLE["woman"]))
    skin = surface.Skin(model, rest)
    scalp = masks.skin_masks(model)["scalp"]
    strands = hair.haircut(skin, scalp, style)
    roots = strands.points[:, 0]
    bald = [np.min(np.linalg.norm(roots - v, axis=1)) for v in rest.vertices[scalp > 0.9]]
    assert max(bald) < 0.012
    place = skin.frame.local(strands.points.reshape(-1, 3))
    before_eyes = (
        (np.abs(place[:, 0]) < 0.8) & (place[:, 1] < 0.4) & (place[:, 1] > -1.6) & (place[:, 2] > 0.0)
    )
    assert before_eyes.mean() < 1e-4
    again = hair.haircut(surface.Skin(model, rest), scalp, style)
    np.testing.assert_array_equal(strands.points, again.points)


def test_hair_and_brows_follow_skin_and_head(empty_scene: bpy.types.Scene) -> None:
    double = dressed("man")
    hair, brows = double.part("hair"), double.part("brows")
    for name in ("head", "neck02"):
        double.armature.pose.bones[name].rotation_mode = "QUATERNION"
    before = strand_points(hair)
    double.shape_keys.key_blocks["browInnerUp"].value = 1.0
    raised = tube_points(brows)
    double.shape_keys.key_blocks["browInnerUp"].value = 0.0
    bpy.context.view_layer.update()
    rest = tube_points(brows)
    assert (raised[:, 2] - rest[:, 2]).max() > 0.003
    width = np.linalg.norm(
        rest.reshape(-1, 3, 3) - rest.reshape(-1, 3, 3).mean(axis=1, keepdims=True), axis=2
    )
    assert 0.00001 < np.median(width) < 0.0001
    double.armature.pose.bones["head"].rotation_quaternion = Matrix.Rotation(0.5, 3, "Y").to_quaternion()
    bpy.context.view_layer.update()
    turned = strand_points(hair)
    assert np.linalg.norm(turned - before, axis=2).mean() > 0.02
    tree = surface_tree(double.body)
    distance = [tree.find_nearest(point.tolist())[3] for point in turned[::200, 0]]
    assert max(distance) < 0.003


def test_no_hair_leaves_brows_only_and_bad_names_are_refused(empty_scene: bpy.types.Scene) -> None:
    from dataclasses import replace

    look = part("addon.scene.materials").Look()
    double = dressed("man", replace(look, hair_style="NONE"))
    assert double.part("hair") is None
    assert double.part("brows") is not None
    with pytest.raises(ValueError, match="SHORT"):
        dressed("man", replace(look, hair_style="MOHAWK"))
