# SPDX-License-Identifier: GPL-3.0-or-later
"""The skin colour the sample is rendered with, baked into the head's layout. Runs in Blender's Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bmesh
import bpy
from likeness_tree.addon.scene.materials.skin import GROUP
from likeness_tree.addon.scene.mesh import HEAD_UV_NAME

SIZE = 512
MARGIN = 6
"""Texels by which the colour goes on beyond the skin's outline."""


def bake_albedo(scene: bpy.types.Scene, body: bpy.types.Object, path: Path) -> None:
    """Write the albedo of `body`'s skin as an sRGB picture of 512 x 512; nothing in the scene is changed."""
    patch = _skin_only(scene, body)
    image = bpy.data.images.new("likeness_albedo", SIZE, SIZE, alpha=False)
    material = _emitting(patch.data.materials[0], image)
    patch.data.materials[0] = material
    before = scene.render.engine, scene.cycles.samples
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    for one in list(bpy.context.selected_objects):
        one.select_set(False)
    patch.select_set(True)
    bpy.context.view_layer.objects.active = patch
    bpy.ops.object.bake(type="EMIT", margin=MARGIN, margin_type="EXTEND", use_clear=True)
    scene.render.engine, scene.cycles.samples = before
    image.filepath_raw, image.file_format = str(path), "PNG"
    scene.render.image_settings.compression = 100
    image.save()
    bpy.data.objects.remove(patch)
    bpy.data.images.remove(image)
    bpy.data.materials.remove(material)


def _skin_only(scene: bpy.types.Scene, body: bpy.types.Object) -> Any:
    """A copy of the body with its skin alone, at rest, whose head layout is the active one."""
    source: Any = body.data
    skin = next(i for i, m in enumerate(source.materials) if m.get("likeness_role") == "Skin")
    mesh = source.copy()
    patch: Any = bpy.data.objects.new("likeness_skin", mesh)
    scene.collection.objects.link(patch)
    patch.shape_key_clear()
    surface = bmesh.new()
    surface.from_mesh(mesh)
    layer: Any = surface.loops.layers.uv[HEAD_UV_NAME]
    unwanted = [
        face
        for face in surface.faces
        if face.material_index != skin or any(loop[layer].uv[0] < 0.0 for loop in face.loops)
    ]
    bmesh.ops.delete(surface, geom=unwanted, context="FACES")
    for face in surface.faces:
        face.material_index = 0
    surface.to_mesh(mesh)
    surface.free()
    material = source.materials[skin]
    mesh.materials.clear()
    mesh.materials.append(material)
    uv = mesh.uv_layers[HEAD_UV_NAME]
    uv.active = uv.active_render = True
    return patch


def _emitting(material: Any, image: bpy.types.Image) -> Any:
    """A copy of the skin that glows in its own colour, and bakes into `image`."""
    glowing = material.copy()
    nodes, links = glowing.node_tree.nodes, glowing.node_tree.links
    group = next(node for node in nodes if node.type == "GROUP" and node.node_tree.name == GROUP)
    emission, output, target = (
        nodes.new(kind) for kind in ("ShaderNodeEmission", "ShaderNodeOutputMaterial", "ShaderNodeTexImage")
    )
    links.new(group.outputs["Colour"], emission.inputs["Color"])
    links.new(emission.outputs[0], output.inputs["Surface"])
    for node in nodes:
        if node.type == "OUTPUT_MATERIAL":
            node.is_active_output = node == output
    target.image = image
    nodes.active = target
    return glowing
