# SPDX-License-Identifier: GPL-3.0-or-later
"""The predicted texture as nodes: a change of the face's colour as the sum of a few pictures.

The pictures are tiles of one image, for a material may hold few images; how much there is of each are value
nodes. (As properties of the object they would make Blender evaluate its whole mesh again at each change.)
"""

from __future__ import annotations

from math import ceil, sqrt
from typing import Any

import bpy

from .graph import Graph, new_group

ROLE = "face_components"
TILES = "Tiles"
"""The image node."""
MOST = 16
"""Components that are shown; a track has no more."""
ACROSS = ceil(sqrt(MOST))
"""Tiles in a row of the image, and rows."""
ZERO = 128
"""The level of a tile's texel where the component changes nothing."""
AMOUNTS = tuple(f"Amount {n}" for n in range(MOST))
"""The value nodes."""


def components_group(name: str, id: str) -> bpy.types.NodeTree:
    """The group of one person, made on first use."""
    found = find_components_group(id)
    return found if found is not None else _new(name, id)


def find_components_group(id: str) -> Any:
    """The group of a person, None where there is none."""
    for tree in bpy.data.node_groups:
        if tree.get("likeness_role") == ROLE and tree.get("likeness_id") == id and tree.library is None:
            return tree
    return None


def _new(name: str, id: str) -> bpy.types.NodeTree:
    inputs = (("Place", "Vector", (0.0, 0.0, 0.0), "Place in the picture, 0..1"),)
    outputs = (("Change", "Vector"),)
    tree, g, control, end = new_group(f"Likeness Face Components {name}", inputs, outputs)
    tree["likeness_role"], tree["likeness_id"] = ROLE, id
    scaled = g.vector("SCALE", control["Place"], scale=1.0 / ACROSS)
    values = [g.node("ShaderNodeValue", label=label).outputs[0] for label in AMOUNTS]
    for value in values:
        value.default_value = 0.0
    parts = [_component(g, scaled, number, value) for number, value in enumerate(values)]
    total = parts[0]
    for part in parts[1:]:
        total = g.vector("ADD", total, part)
    g.put(end.inputs["Change"], total)
    g.arrange()
    return tree


def _component(g: Graph, scaled: Any, number: int, amount: Any) -> Any:
    corner = tile_corner(number)
    node = g.node("ShaderNodeTexImage", label=f"{TILES} {number}", interpolation="Linear")
    g.put(node.inputs["Vector"], g.vector("ADD", scaled, (*corner, 0.0)))
    level = g.vector("SUBTRACT", node.outputs["Color"], (ZERO / 255.0,) * 3)
    return g.vector("SCALE", level, scale=amount)


def tile_corner(number: int) -> tuple[float, float]:
    """(u, v) of the lower left corner of a tile; the first lies at the image's own lower left."""
    row, column = divmod(number, ACROSS)
    return column / ACROSS, row / ACROSS


def tile_nodes(tree: Any) -> list[Any]:
    """The image nodes, all of the same image."""
    return [node for node in tree.nodes if node.type == "TEX_IMAGE" and node.name.startswith(TILES)]


def amount_path(number: int) -> str:
    """Data path of an amount in the group."""
    return f'nodes["{AMOUNTS[number]}"].outputs[0].default_value'
