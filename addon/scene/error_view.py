# SPDX-License-Identifier: GPL-3.0-or-later
"""Show on a compressed mesh where it is off: a material with the colours of its error, over its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import bpy

from . import bpy_compat
from .compressed_error import COLOUR_ATTRIBUTE, TOP_PROPERTY

_SHOWN = "likeness_skin_error_shown"
"""Of the object, JSON: what its slots had before."""
_MATERIAL = "Compression Error"


def shows_error(obj: Any) -> bool:
    """Whether a compressed mesh wears the colours of its error."""
    return _SHOWN in obj


def error_scale(obj: Any) -> float:
    """Millimetres that the last colour stands for."""
    return float(obj.get(TOP_PROPERTY, 0.0))


def show_error(obj: Any, shown: bool) -> None:
    """Put the colours on, or give the mesh back what it wore."""
    if shown == shows_error(obj):
        return
    if shown:
        _put_on(obj)
    else:
        take_off(obj)
    for shading in _solid_views():
        if {shading.color_type, "VERTEX" if shown else "MATERIAL"} == {"VERTEX", "MATERIAL"}:
            shading.color_type = "VERTEX" if shown else "MATERIAL"


def _put_on(obj: Any) -> None:
    mesh = obj.data
    added = not len(obj.material_slots)
    if added:
        mesh.materials.append(None)
    before = [[slot.link, slot.material.name if slot.material else ""] for slot in obj.material_slots]
    for slot in obj.material_slots:
        slot.link = "OBJECT"
        slot.material = _material()
    layer = mesh.color_attributes.get(COLOUR_ATTRIBUTE)
    if layer is not None:
        mesh.color_attributes.active_color = layer
    obj[_SHOWN] = json.dumps({"slots": before, "added": added})


def take_off(obj: Any) -> None:
    """Give a mesh that wears the colours back what it wore; views stay as they are."""
    kept = json.loads(str(obj[_SHOWN]))
    del obj[_SHOWN]
    for slot, (link, name) in zip(obj.material_slots, kept["slots"], strict=False):
        slot.material = bpy.data.materials.get(name) if link == "OBJECT" else None
        slot.link = link
    if kept["added"]:
        obj.data.materials.clear()


def _material() -> bpy.types.Material:
    """A matt material in the colours of the error."""
    found = bpy.data.materials.get(_MATERIAL)
    if found is not None:
        return found
    material = bpy.data.materials.new(_MATERIAL)
    bpy_compat.use_nodes(material)
    tree: Any = material.node_tree
    tree.nodes.clear()
    colour = tree.nodes.new("ShaderNodeVertexColor")
    colour.layer_name = COLOUR_ATTRIBUTE
    surface = tree.nodes.new("ShaderNodeBsdfPrincipled")
    surface.inputs["Roughness"].default_value = 0.9
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(colour.outputs["Color"], surface.inputs["Base Color"])
    tree.links.new(surface.outputs["BSDF"], output.inputs["Surface"])
    for node, place in ((colour, -500.0), (surface, -250.0)):
        node.location.x = place
    return material


def _solid_views() -> Iterator[Any]:
    """Shading of the 3D views that show no materials."""
    for screen in bpy.data.screens:
        for area in screen.areas:
            for space in area.spaces:
                if space.type == "VIEW_3D" and space.shading.type == "SOLID":
                    yield space.shading
