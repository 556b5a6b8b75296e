# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes a double's own head out of sight while Gaussians stand for it, without touching what anybody hid.

Modifiers do it, so every hide flag stays the user's. On the body one deletes the head's faces and leaves its
vertices, on which the splats ride; on hair and brows one gives nothing. `tidy` in `splat_object` takes them
off what no Gaussian head stands for any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy
import numpy as np

from .double import ID_KEY, ROLE_KEY
from .mesh import BLEND_ATTRIBUTE, PART_ATTRIBUTE

NAME = "Likeness Hide Head"
"""Of the modifier, and of the node group on the body."""
_WHOLE = "Likeness Hide Whole"
"""Of the node group on hair and brows."""
HIDDEN_ATTRIBUTE = "likeness_head"
"""Face attribute (bool) of the body: what goes when Gaussians come."""
CUT = 0.99
"""Of the body's blend, which falls from 1 to 0 down the neck: the skin above this is the head's. The neck
stays, because splats seldom reach down into a collar."""
_HEAD_ROLES = ("hair", "brows")


def hide_head(body: Any, in_viewport: bool, in_render: bool) -> None:
    """Let the body, and the hair on it, be without a head: in viewports and in renders, as is wanted."""
    write_head_faces(body.data)
    for obj in (body, *hair_of(body)):
        modifier = obj.modifiers.get(NAME)
        if modifier is None:
            modifier = obj.modifiers.new(NAME, "NODES")
        modifier.node_group = _group(whole=obj != body)
        modifier.show_viewport, modifier.show_render = in_viewport, in_render
        modifier.show_in_editmode = False


def hide_in_render(body: Any, hidden: bool) -> None:
    """Let renders be without a head, or with it, where `hide_head` took it."""
    for obj in (body, *hair_of(body)):
        modifier = obj.modifiers.get(NAME)
        if modifier is not None and modifier.show_render != hidden:
            modifier.show_render = hidden


def show_head(body: Any) -> None:
    """Give the body, and the hair on it, their head back."""
    for obj in (body, *hair_of(body)):
        release(obj)


def release(obj: Any) -> None:
    """Take the modifier off one object."""
    modifier = obj.modifiers.get(NAME)
    if modifier is not None:
        obj.modifiers.remove(modifier)
    drop_unused()


def drop_unused() -> None:
    """Take our node groups out of the file where nothing uses them any more."""
    for name in (NAME, _WHOLE):
        tree = bpy.data.node_groups.get(name)
        if tree is not None and not tree.users:
            bpy.data.node_groups.remove(tree)


def is_hidden(obj: Any) -> bool:
    """Whether the modifier is on."""
    return NAME in obj.modifiers


def hair_of(body: Any) -> Iterator[Any]:
    """Hair and brows that grow on a body."""
    for collection in body.users_collection:
        for obj in collection.objects:
            same = obj.get(ID_KEY) == body.get(ID_KEY) and obj.get(ROLE_KEY) in _HEAD_ROLES
            if same and obj.type == "CURVES" and obj.data.surface == body:
                yield obj


def write_head_faces(mesh: Any) -> None:
    """Note which faces are the head's: the skin above the cut, and every part that is not skin."""
    hidden = head_faces(mesh)
    attribute = mesh.attributes.get(HIDDEN_ATTRIBUTE)
    if attribute is None:
        attribute = mesh.attributes.new(HIDDEN_ATTRIBUTE, "BOOLEAN", "FACE")
    attribute.data.foreach_set("value", hidden)
    mesh.update()


def head_faces(mesh: Any) -> np.ndarray:
    """(F,) bool of a body's mesh; none where it was not made by us."""
    count = len(mesh.polygons)
    part, blend = mesh.attributes.get(PART_ATTRIBUTE), mesh.attributes.get(BLEND_ATTRIBUTE)
    if part is None or blend is None or not count:
        return np.zeros(count, bool)
    parts, starts = np.empty(count, np.int32), np.empty(count, np.int32)
    part.data.foreach_get("value", parts)
    mesh.polygons.foreach_get("loop_start", starts)
    amount, corners = np.empty(len(mesh.vertices), np.float32), np.empty(len(mesh.loops), np.int32)
    blend.data.foreach_get("value", amount)
    mesh.loops.foreach_get("vertex_index", corners)
    return (parts != 0) | (np.minimum.reduceat(amount[corners], starts) > CUT)


def _group(whole: bool) -> bpy.types.NodeTree:
    name = _WHOLE if whole else NAME
    existing = bpy.data.node_groups.get(name)
    if existing is not None:
        return existing
    tree: Any = bpy.data.node_groups.new(name, "GeometryNodeTree")
    tree.is_modifier = True
    for direction in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=direction, socket_type="NodeSocketGeometry")
    start, end = (tree.nodes.new(kind) for kind in ("NodeGroupInput", "NodeGroupOutput"))
    end.location = (600.0, 0.0)
    if not whole:
        tree.links.new(_without_head(tree, start.outputs[0]), end.inputs[0])
    return tree


def _without_head(tree: Any, geometry: Any) -> Any:
    faces = tree.nodes.new("GeometryNodeInputNamedAttribute")
    delete = tree.nodes.new("GeometryNodeDeleteGeometry")
    faces.data_type, faces.inputs["Name"].default_value = "BOOLEAN", HIDDEN_ATTRIBUTE
    delete.domain, delete.mode = "FACE", "EDGE_FACE"
    tree.links.new(geometry, delete.inputs["Geometry"])
    tree.links.new(faces.outputs["Attribute"], delete.inputs["Selection"])
    faces.location, delete.location = (0.0, -200.0), (300.0, 0.0)
    return delete.outputs[0]
