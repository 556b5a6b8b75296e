# SPDX-License-Identifier: GPL-3.0-or-later
"""Hair has the colour that was measured, whatever lamps stand around it, and brows are not grown twice."""

from __future__ import annotations

from dataclasses import replace
from math import radians
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import numpy as np
import pytest
from scene_support import avatar, part

BLACK = [0.0075, 0.0062, 0.0058]
STEPS = (0.1, 0.45, 0.7, 0.88, 1.0)
"""Melanin from blond to black."""


@pytest.fixture
def lock(empty_scene: bpy.types.Scene) -> Any:
    """Some 0.1 m of straight, dense hair, a lamp before it and a strong one behind and above."""
    rng = np.random.default_rng(3)
    roots = np.stack([rng.uniform(-0.05, 0.05, 2500), rng.uniform(0.0, 0.015, 2500), np.zeros(2500)], axis=1)
    along = np.linspace(-0.06, 0.06, 3)[None, :, None] * np.array([0.0, 0.0, 1.0])
    data: Any = bpy.data.hair_curves.new("lock")
    data.add_curves([3] * len(roots))
    data.position_data.foreach_set("vector", (roots[:, None] + along).astype(np.float32).ravel())
    radius = data.attributes.get("radius") or data.attributes.new("radius", "FLOAT", "POINT")
    radius.data.foreach_set("value", np.full(3 * len(roots), 0.00015, np.float32))
    lock = bpy.data.objects.new("lock", data)
    empty_scene.collection.objects.link(lock)
    add_lamp(empty_scene, 40.0, (0.6, -1.2, 0.5))
    add_lamp(empty_scene, 40.0, (-0.3, 1.0, 1.0))
    camera: Any = bpy.data.cameras.new("camera")
    camera.type, camera.ortho_scale = "ORTHO", 0.08
    empty_scene.camera = bpy.data.objects.new("camera", camera)
    empty_scene.camera.location, empty_scene.camera.rotation_euler = (0.0, -1.0, 0.0), (radians(90), 0, 0)
    empty_scene.collection.objects.link(empty_scene.camera)
    return lock


def add_lamp(scene: bpy.types.Scene, power: float, place: tuple[float, float, float]) -> None:
    light: Any = bpy.data.lights.new("lamp", "POINT")
    light.energy, light.shadow_soft_size = power, 0.2
    lamp = bpy.data.objects.new("lamp", light)
    lamp.location = place
    scene.collection.objects.link(lamp)


def brightness(lock: Any, material: bpy.types.Material, mode: str, folder: Path) -> float:
    """Mean linear green of the lock in one set, ray traced."""
    part("addon.scene.materials.pair").activate(material, mode)
    lock.data.materials.clear()
    lock.data.materials.append(material)
    scene: Any = bpy.context.scene
    scene.render.engine, scene.render.filepath = "CYCLES", str(folder / "lock.exr")
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.device = 24, False, "CPU"
    scene.render.resolution_x = scene.render.resolution_y = 12
    scene.render.resolution_percentage = 100
    scene.render.image_settings.file_format = "OPEN_EXR"
    bpy.ops.render.render(write_still=True)
    image: Any = bpy.data.images.load(scene.render.filepath)
    values = np.empty(4 * 144, np.float32)
    image.pixels.foreach_get(values)
    bpy.data.images.remove(image)
    return float(values.reshape(-1, 4)[:, 1].mean())


def hair_of(look: Any, name: str) -> bpy.types.Material:
    person = SimpleNamespace(name=name, id=name)
    return part("addon.scene.materials.assign").material_for("Hair", person, look)


@pytest.mark.parametrize("mode", ["CYCLES", "EEVEE"])
def test_darker_hair_never_renders_lighter(lock: Any, tmp_path: Path, mode: str) -> None:
    """Each step in pigment is a step down, and black is far below brown though a lamp shines from behind."""
    look = part("addon.scene.materials").Look
    seen = [
        brightness(lock, hair_of(look(hair_melanin=step), f"hair {step}"), mode, tmp_path) for step in STEPS
    ]
    assert seen == sorted(seen, reverse=True), seen
    assert seen[-1] < 0.5 * seen[2] < 0.25 * seen[1], seen


def test_measured_black_hair_stays_black_in_both_sets(lock: Any, tmp_path: Path) -> None:
    """Its sheen and what shines through it may not outweigh its colour by much, nor be missing."""
    look = part("addon.scene.materials").Look.of(avatar(colours={"hair": BLACK}))
    flat = brightness(lock, flat_material(BLACK[1]), "EEVEE", tmp_path)
    for mode in ("CYCLES", "EEVEE"):
        share = brightness(lock, hair_of(look, "black"), mode, tmp_path) / flat
        assert 0.3 < share < 3.0, (mode, share)


def flat_material(level: float) -> bpy.types.Material:
    """Diffuse strands of one level of grey."""
    material: Any = bpy.data.materials.new("flat")
    if material.node_tree is None:
        material.use_nodes = True
    tree: Any = material.node_tree
    tree.nodes.clear()
    shader = tree.nodes.new("ShaderNodeBsdfDiffuse")
    shader.inputs["Color"].default_value = (level, level, level, 1.0)
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(shader.outputs[0], output.inputs["Surface"])
    return material


def test_hairs_grow_on_the_brows_of_a_painted_face_alone(empty_scene: bpy.types.Scene) -> None:
    """Brows that were measured are in the texture; without it the face needs the hairs."""
    look = part("addon.scene.materials").Look
    brow = {"brow": BLACK}
    assert look.of(avatar(colours=brow)).brow_hairs
    assert look.of(avatar(textures={"albedo": "albedo.png"})).brow_hairs
    assert not look.of(avatar(colours=brow, textures={"albedo": "albedo.png"})).brow_hairs


def test_a_painted_face_has_brow_hairs_whatever_the_switch(empty_scene: bpy.types.Scene) -> None:
    look = replace(part("addon.scene.materials").Look(), brow_hairs=False, hair_style="NONE")
    settings = part("addon.scene.settings").BuildSettings(hair=True, clothes=False, look=look)
    double = part("addon.scene.build").build(bpy.context, avatar(), None, settings)
    assert not double.part("brows").hide_render
