# SPDX-License-Identifier: GPL-3.0-or-later
"""Leave out eyes, teeth and tongue while the body is drawn as wire: their fine meshes would cover what is to
be compared.
"""

from __future__ import annotations

from typing import Any

import bpy

from .mesh import PART_ATTRIBUTE

NAME = "Likeness Skin Only"


def show_skin_only(body: bpy.types.Object, only: bool) -> None:
    """Add the modifier that deletes all faces but the skin's, in the viewport, or take it away again."""
    modifier: Any = body.modifiers.get(NAME)
    if only and modifier is None:
        modifier = body.modifiers.new(NAME, "NODES")
        modifier.node_group = _group()
        modifier.show_render = False
    elif not only and modifier is not None:
        tree = modifier.node_group
        body.modifiers.remove(modifier)
        if tree is not None and not tree.users:
            bpy.data.node_groups.remove(tree)


def _group() -> bpy.types.NodeTree:
    """Deletes faces whose part is not the model's first, which is the skin."""
    existing = bpy.data.node_groups.get(NAME)
    if existing is not None:
        return existing
    tree: Any = bpy.data.node_groups.new(NAME, "GeometryNodeTree")
    tree.is_modifier = True
    for direction in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=direction, socket_type="NodeSocketGeometry")
    start, part, delete, end = (
        tree.nodes.new(kind)
        for kind in (
            "NodeGroupInput",
            "GeometryNodeInputNamedAttribute",
            "GeometryNodeDeleteGeometry",
            "NodeGroupOutput",
        )
    )
    part.data_type, part.inputs["Name"].default_value, delete.domain = "INT", PART_ATTRIBUTE, "FACE"
    tree.links.new(start.outputs[0], delete.inputs["Geometry"])
    # A part's number as a truth value: every part but number 0 is deleted.
    tree.links.new(part.outputs["Attribute"], delete.inputs["Selection"])
    tree.links.new(delete.outputs[0], end.inputs[0])
    for i, node in enumerate((start, part, delete, end)):
        node.location = (220.0 * i, 0.0)
    return tree
