# SPDX-License-Identifier: GPL-3.0-or-later
"""Strands to a Curves object that rides on the body: the skin's shape keys and bones carry the roots."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from .hair_strands import Strands
from .materials.surface import ROW_ATTRIBUTE

Array = np.ndarray

UV_NAME = "likeness_hair"
"""The body's UV without the parts whose UV lies over it (eyes, teeth): each point names one place on the
skin."""
GROUP = "Likeness Follow Skin"
MODIFIER = "Likeness Follow Skin"
_AWAY = -4.0


def prepare_surface(body: bpy.types.Object, model: Any) -> None:
    """Give the body what roots are found by: the hair UV and, for its own frames, the rest position
    attribute.
    """
    mesh: Any = body.data
    body.add_rest_position_attribute = True
    rows = _corner_rows(mesh)
    own = np.zeros(int(model.faces.max()) + 1, bool)
    own[model.part_vertices(model.part_names[0])] = True
    uv = np.empty(2 * len(mesh.loops), np.float32)
    source = next(layer for layer in mesh.uv_layers if layer.name != UV_NAME)
    source.uv.foreach_get("vector", uv)
    uv = uv.reshape(-1, 2)
    uv[~own[rows]] = _AWAY
    active, rendered = mesh.uv_layers.active_index, [layer.active_render for layer in mesh.uv_layers]
    layer = mesh.uv_layers.get(UV_NAME) or mesh.uv_layers.new(name=UV_NAME, do_init=False)
    mesh.uv_layers[UV_NAME].uv.foreach_set("vector", uv.ravel())
    mesh.uv_layers.active_index = active
    if True in rendered:
        mesh.uv_layers[rendered.index(True)].active_render = True
    del layer


def _corner_rows(mesh: Any) -> Array:
    corners = np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("vertex_index", corners)
    attribute = mesh.attributes.get(ROW_ATTRIBUTE)
    if attribute is None:
        return corners
    rows = np.empty(len(mesh.vertices), np.int32)
    attribute.data.foreach_get("value", rows)
    return rows[corners]


def curves_data(name: str, body: bpy.types.Object, strands: Strands, to_blender: Array) -> bpy.types.Curves:
    """A Curves data-block with positions (head frame turned by `to_blender`), radii and roots."""
    count, points = strands.points.shape[:2]
    data = bpy.data.hair_curves.new(name)
    data.add_curves([points] * count)
    data.position_data.foreach_set("vector", (strands.points @ to_blender.T).astype(np.float32).ravel())
    _set(data, "radius", "FLOAT", "POINT", "value", strands.radius)
    _set(data, "surface_uv_coordinate", "FLOAT2", "CURVE", "vector", strands.uv)
    data.surface = body
    data.surface_uv_map = UV_NAME
    return data


def _set(data: Any, name: str, kind: str, domain: str, field: str, values: Array) -> None:
    attribute = data.attributes.get(name) or data.attributes.new(name, kind, domain)
    attribute.data.foreach_set(field, np.ascontiguousarray(values, np.float32).ravel())


def follow_skin(obj: bpy.types.Object, *, as_mesh: bool = False) -> None:
    """Add the modifier that deforms the curves with their surface, where it is missing.

    `as_mesh` turns each hair into a thin tube: EEVEE draws strands at least a pixel wide, which makes bars of
    eyebrows when a whole head is in the picture.
    """
    if MODIFIER in obj.modifiers:
        return
    modifier: Any = obj.modifiers.new(MODIFIER, "NODES")
    modifier.node_group = _follow_group(as_mesh)


def _follow_group(as_mesh: bool) -> bpy.types.NodeTree:
    name = f"{GROUP} (Mesh)" if as_mesh else GROUP
    existing = bpy.data.node_groups.get(name)
    if existing is not None:
        return existing
    tree: Any = bpy.data.node_groups.new(name, "GeometryNodeTree")
    tree.is_modifier = True
    for direction in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=direction, socket_type="NodeSocketGeometry")
    start, deform, end = (
        tree.nodes.new(kind)
        for kind in ("NodeGroupInput", "GeometryNodeDeformCurvesOnSurface", "NodeGroupOutput")
    )
    tree.links.new(start.outputs[0], deform.inputs[0])
    tree.links.new(_tubes(tree, deform.outputs[0]) if as_mesh else deform.outputs[0], end.inputs[0])
    for i, node in enumerate((start, deform, end)):
        node.location = (260.0 * i, 0.0)
    end.location.x = 900.0 if as_mesh else end.location.x
    return tree


def _tubes(tree: Any, curves: bpy.types.NodeSocket) -> bpy.types.NodeSocket:
    """Three-sided tubes of the curves' own radius."""
    profile, radius, mesh = (
        tree.nodes.new(kind)
        for kind in ("GeometryNodeCurvePrimitiveCircle", "GeometryNodeInputRadius", "GeometryNodeCurveToMesh")
    )
    profile.inputs["Resolution"].default_value, profile.inputs["Radius"].default_value = 3, 1.0
    tree.links.new(curves, mesh.inputs["Curve"])
    tree.links.new(profile.outputs[0], mesh.inputs["Profile Curve"])
    tree.links.new(radius.outputs[0], mesh.inputs["Scale"])
    for node, place in ((profile, (400.0, -160.0)), (radius, (400.0, -320.0)), (mesh, (640.0, 0.0))):
        node.location = place
    return mesh.outputs[0]
