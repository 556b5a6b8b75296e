# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the vertices and polygons of a built mesh stand in the head model."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

Array = np.ndarray

ROW_ATTRIBUTE = "likeness_row"
"""Optional INT point attribute: the model row of each vertex. Without it vertex i is row i."""


def model_rows(mesh: bpy.types.Mesh) -> Array:
    """(n,) int: the head model's row of each vertex of `mesh`."""
    rows = np.arange(len(mesh.vertices), dtype=np.int32)
    attribute = mesh.attributes.get(ROW_ATTRIBUTE)
    if attribute is not None and attribute.domain == "POINT" and attribute.data_type == "INT":
        attribute.data.foreach_get("value", rows)
    return rows


def row_parts(model: Any) -> Array:
    """(V,) int: the part each model row belongs to, as an index into `model.part_names`; -1 for marker
    rows.
    """
    count = int(model.faces.max()) + 1
    parts = np.full(max(count, model.mesh_vertex_count), -1, np.int32)
    for corner in range(model.faces.shape[1]):
        used = model.faces[:, corner] >= 0
        parts[model.faces[used, corner]] = model.face_part[used]
    return parts


def polygon_parts(mesh: bpy.types.Mesh, model: Any) -> Array:
    """(polygons,) int: part of each polygon of `mesh`, by its first corner (parts share no vertices)."""
    starts = np.empty(len(mesh.polygons), np.int32)
    mesh.polygons.foreach_get("loop_start", starts)
    corners = np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("vertex_index", corners)
    return row_parts(model)[model_rows(mesh)[corners[starts]]]


def part_rows(model: Any, *prefixes: str) -> Array:
    """(n,) rows of all parts whose name starts with one of `prefixes`; empty when the model has none."""
    found = [model.part_vertices(name) for name in model.part_names if name.startswith(prefixes)]
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def write_attribute(mesh: Any, name: str, kind: str, values: Array) -> None:
    """Set a point attribute ("FLOAT", "FLOAT_VECTOR", "FLOAT_COLOR"), replacing one of another type."""
    attribute = mesh.attributes.get(name)
    if attribute is not None and (attribute.data_type != kind or attribute.domain != "POINT"):
        mesh.attributes.remove(attribute)
        attribute = None
    if attribute is None:
        attribute = mesh.attributes.new(name, kind, "POINT")
    field = {"FLOAT": "value", "FLOAT_VECTOR": "vector", "FLOAT_COLOR": "color", "INT": "value"}[kind]
    attribute.data.foreach_set(field, np.ascontiguousarray(values, np.float32).ravel())
