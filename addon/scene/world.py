# SPDX-License-Identifier: GPL-3.0-or-later
"""A world per lighting set: even light from all sides, and a backdrop that only the camera sees."""

from __future__ import annotations

from typing import Any

import bpy

from .bpy_compat import use_nodes
from .light_sets import Backdrop, Colour

SET_KEY = "likeness_lights"


def find_world(key: str) -> bpy.types.World | None:
    """The world of a lighting set, with whatever the user changed in it; None when it was not made yet."""
    return next((w for w in bpy.data.worlds if w.get(SET_KEY) == key and w.library is None), None)


def make_world(key: str, title: str, backdrop: Backdrop) -> bpy.types.World:
    """A new world for a lighting set; kept in the file when another set takes its place."""
    world = bpy.data.worlds.new(f"Likeness {title}")
    world[SET_KEY] = key
    world.use_fake_user = True
    use_nodes(world)
    tree: Any = world.node_tree
    tree.nodes.clear()
    output = _node(tree, "ShaderNodeOutputWorld", 600)
    mix = _node(tree, "ShaderNodeMixShader", 400)
    ambient = _background(tree, backdrop.ambient, backdrop.strength, 150)
    seen = _background(tree, backdrop.centre, 1.0, -50)
    rays = _node(tree, "ShaderNodeLightPath", 150, 500)
    tree.links.new(rays.outputs["Is Camera Ray"], mix.inputs[0])
    tree.links.new(ambient.outputs[0], mix.inputs[1])
    tree.links.new(seen.outputs[0], mix.inputs[2])
    tree.links.new(mix.outputs[0], output.inputs["Surface"])
    tree.links.new(_vignette(tree, backdrop), seen.inputs["Color"])
    return world


def _node(tree: Any, kind: str, x: float, y: float = 0.0) -> Any:
    node = tree.nodes.new(kind)
    node.location = (x, y)
    return node


def _background(tree: Any, colour: Colour, strength: float, y: float) -> Any:
    node = _node(tree, "ShaderNodeBackground", 150, y)
    node.inputs["Color"].default_value = (*colour, 1.0)
    node.inputs["Strength"].default_value = strength
    return node


def _vignette(tree: Any, backdrop: Backdrop) -> Any:
    """Colour by distance from a point behind the head, in picture coordinates."""
    place = _node(tree, "ShaderNodeTexCoord", -650)
    offset = _node(tree, "ShaderNodeVectorMath", -450)
    offset.operation = "DISTANCE"
    offset.inputs[1].default_value = (0.5, 0.56, 0.0)
    ramp = _node(tree, "ShaderNodeValToRGB", -200)
    ramp.color_ramp.interpolation = "EASE"
    first, last = ramp.color_ramp.elements
    first.color, last.color = (*backdrop.centre, 1.0), (*backdrop.edge, 1.0)
    last.position = 0.75
    tree.links.new(place.outputs["Window"], offset.inputs[0])
    tree.links.new(offset.outputs["Value"], ramp.inputs[0])
    return ramp.outputs[0]
