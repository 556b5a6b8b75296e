# SPDX-License-Identifier: GPL-3.0-or-later
"""The body mesh: surface, UV, shape keys and vertex groups, numpy to bpy.

Mesh coordinates are those of the head frame in Blender's axes, so that a row of the model is a vertex as it
is. Helper parts (tights, skirt, hair cap) are what clothes and hair are cut from; they are no part of the
body.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ...core.arkit import ARKIT_NAMES
from ...core.head import TO_BLENDER, HeadModel, Rest
from ...core.head.atlas import load_atlas

HELPER_PARTS = ("tights", "skirt", "hair")
ROW_ATTRIBUTE = "likeness_row"
"""Point attribute (int): the model's row of each vertex."""
PART_ATTRIBUTE = "likeness_part"
"""Face attribute (int): index into the model's `part_names`."""
UV_NAME = "UVMap"
HEAD_UV_NAME = "HeadUV"
"""The layout in which the person's own face is stored (`core.head.atlas`)."""
BLEND_ATTRIBUTE = "likeness_blend"
"""Point attribute (float): 1 on the head, falling to 0 where the neck's picture ends."""
NOWHERE = -1.0
"""Both coordinates of corners that the head's layout leaves out: outside its square."""
MODEL_KEY = "likeness_model"
"""On the mesh: `topology_token` of what it was made with."""
_ATLAS_KEY = "likeness_atlas"


def to_blender(points: np.ndarray) -> np.ndarray:
    """Points (n, 3) of the head frame in Blender's axes."""
    return points @ TO_BLENDER.T.astype(points.dtype)


def visible_faces(model: HeadModel) -> np.ndarray:
    """(n,) indices of the model's faces that the body shows."""
    helpers = [i for i, name in enumerate(model.part_names) if name in HELPER_PARTS]
    return np.flatnonzero(~np.isin(model.face_part, helpers))


def body_rows(model: HeadModel) -> np.ndarray:
    """(n,) sorted rows of the model that the body's faces use: mesh vertex i is row `body_rows(model)[i]`."""
    rows = np.unique(model.faces[visible_faces(model)])
    return rows[rows >= 0]


def topology_token(model: HeadModel) -> str:
    """Names the surface; a mesh with the same token has the same vertices, faces and groups."""
    return f"{model.name} {model.sha256} {len(model.faces)} {model.mesh_vertex_count}"


def update_body(obj: bpy.types.Object, model: HeadModel, rest: Rest) -> bool:
    """Make the object's mesh this person; True when the surface itself was made anew.

    A mesh of the same model keeps its faces, materials and groups, and only its points move: about 0.1 s for
    the whole body with 52 keys.
    """
    mesh: Any = obj.data
    rebuilt = mesh.get(MODEL_KEY) != topology_token(model)
    if rebuilt:
        obj.shape_key_clear()
        obj.vertex_groups.clear()
        mesh.clear_geometry()
        _write_surface(mesh, model)
    rows = body_rows(model)
    _write_atlas(mesh, model, rows)
    points = np.ascontiguousarray(to_blender(rest.vertices[rows]), np.float32)
    mesh.vertices.foreach_set("co", points.ravel())
    _write_keys(obj, model, rows, points)
    if rebuilt:
        _write_groups(obj, model, rows)
        mesh[MODEL_KEY] = topology_token(model)
    mesh.update()
    return rebuilt


def _write_surface(mesh: Any, model: HeadModel) -> None:
    rows, kept = body_rows(model), visible_faces(model)
    faces = model.faces[kept]
    used = faces >= 0
    sizes = used.sum(axis=1)
    corners = np.searchsorted(rows, faces[used])
    mesh.vertices.add(len(rows))
    mesh.loops.add(len(corners))
    mesh.polygons.add(len(faces))
    mesh.loops.foreach_set("vertex_index", corners.astype(np.int32))
    mesh.polygons.foreach_set("loop_start", (np.cumsum(sizes) - sizes).astype(np.int32))
    mesh.update(calc_edges=True)
    layer = mesh.uv_layers.new(name=UV_NAME, do_init=False)
    layer.uv.foreach_set("vector", np.ascontiguousarray(model.uv[kept][used], np.float32).ravel())
    _write_ints(mesh, ROW_ATTRIBUTE, "POINT", rows)
    _write_ints(mesh, PART_ATTRIBUTE, "FACE", model.face_part[kept])
    mesh.shade_smooth()


def _write_atlas(mesh: Any, model: HeadModel, rows: np.ndarray) -> None:
    """The head's own layout beside the model's, which stays the active one; once per mesh and layout."""
    atlas = load_atlas(model)
    if mesh.get(_ATLAS_KEY) == atlas.sha256 and HEAD_UV_NAME in mesh.uv_layers:
        return
    kept = visible_faces(model)
    corners = atlas.corner_uv[kept][model.faces[kept] >= 0]
    layer = mesh.uv_layers.get(HEAD_UV_NAME) or mesh.uv_layers.new(name=HEAD_UV_NAME, do_init=False)
    layer.uv.foreach_set("vector", np.nan_to_num(corners, nan=NOWHERE).astype(np.float32).ravel())
    blend = mesh.attributes.get(BLEND_ATTRIBUTE) or mesh.attributes.new(BLEND_ATTRIBUTE, "FLOAT", "POINT")
    blend.data.foreach_set("value", np.ascontiguousarray(atlas.blend[rows], np.float32))
    own = mesh.uv_layers[UV_NAME]
    own.active = own.active_render = True
    mesh[_ATLAS_KEY] = atlas.sha256


def _write_ints(mesh: Any, name: str, domain: str, values: np.ndarray) -> None:
    attribute = mesh.attributes.get(name) or mesh.attributes.new(name, "INT", domain)
    attribute.data.foreach_set("value", values.astype(np.int32))


def _write_keys(obj: bpy.types.Object, model: HeadModel, rows: np.ndarray, points: np.ndarray) -> None:
    """Basis and the 52 ARKit keys; one that the model lacks has no effect, so that exporters find them
    all.
    """
    mesh: Any = obj.data
    vertex_of_row = np.full(model.row_count, -1, np.int32)
    vertex_of_row[rows] = np.arange(len(rows))
    if mesh.shape_keys is None:
        obj.shape_key_add(name="Basis", from_mix=False)
    keys: Any = mesh.shape_keys
    known = set(model.expression_names)
    for name in ("Basis", *ARKIT_NAMES):
        block: Any = keys.key_blocks.get(name)
        if block is None:
            block = obj.shape_key_add(name=name, from_mix=False)
            block.value = 0.0  # 5.0 gives new keys their full effect
        shape = points
        if name in known:
            moved, deltas = model.expression_delta(name)
            at = vertex_of_row[moved]
            shape = points.copy()
            shape[at[at >= 0]] += to_blender(deltas[at >= 0])
        block.points.foreach_set("co", shape.ravel())
    keys.use_relative = True


def _write_groups(obj: bpy.types.Object, model: HeadModel, rows: np.ndarray) -> None:
    """Vertex groups named as the joints, all influences, in calls that share a weight."""
    joints, weights = model.skin_joints[rows].astype(np.int64), model.skin_weights[rows]
    vertices = np.broadcast_to(np.arange(len(rows))[:, None], joints.shape)
    used = weights > 0.0
    joint, weight, vertex = joints[used], weights[used], vertices[used]
    order = np.lexsort((vertex, weight, joint))
    joint, weight, vertex = joint[order], weight[order], vertex[order]
    new_run = np.flatnonzero((np.diff(joint) != 0) | (np.diff(weight) != 0)) + 1
    starts = np.concatenate([[0], new_run])
    groups = {j: obj.vertex_groups.new(name=model.joint_names[j]) for j in np.unique(joint).tolist()}
    vertex_list = vertex.tolist()
    ends = np.concatenate([new_run, [len(vertex_list)]]).tolist()
    for start, end, j, w in zip(
        starts.tolist(), ends, joint[starts].tolist(), weight[starts].tolist(), strict=True
    ):
        groups[j].add(vertex_list[start:end], w, "REPLACE")
