# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the vertices of a body are by its shape keys and its armature alone, whatever other modifiers do.

Subdivision smooths the surface and masks take parts of it away; splats ride on the surface that they were
trained on. What Blender's Armature modifier does is done here for the rows that are asked for: linear
blending, weights of deforming bones made to add up to 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Skinning:
    """What moves chosen vertices of a body: read once per mesh, about 0.1 s."""

    vertices: Array
    """(n,) int64 of the mesh."""
    key_names: tuple[str, ...]
    """(S,) of the shape keys."""
    basis: Array
    """(n, 3) float32: the neutral, in the object's coordinates."""
    stamp: Array
    """(V, 3) float32 points of the mesh, which change with its shape; they are read much faster than keys."""
    deltas: Array
    """(S, n * 3) float32: what each key adds."""
    bones: tuple[str, ...]
    """(B,) of the vertex groups that bones of the armature stand for."""
    weights: Array
    """(n, B + 1) float32, each row adds up to 1; the last column is what no bone moves."""

    @classmethod
    def of(cls, body: Any, vertices: Array) -> Skinning:
        """Read shape keys and vertex groups of a mesh object."""
        blocks = list(body.data.shape_keys.key_blocks)
        reference = body.data.shape_keys.reference_key
        points = {block.name: key_points(block, vertices) for block in blocks}
        moved = [block for block in blocks if block != reference]
        deltas = [(points[b.name] - points[b.relative_key.name]).ravel() for b in moved]
        table = np.stack(deltas) if deltas else np.zeros((0, 3 * len(vertices)), np.float32)
        bones, weights = _group_weights(body, vertices)
        names = tuple(block.name for block in moved)
        return cls(vertices, names, points[reference.name], positions(body.data), table, bones, weights)

    def fits(self, body: Any) -> bool:
        """Whether the shape and the keys are still those that were read."""
        keys = body.data.shape_keys
        names = tuple(name for name, _ in keys.key_blocks.items() if name != keys.reference_key.name)
        return names == self.key_names and np.array_equal(positions(body.data), self.stamp)

    def points(self, graph: Any, body: Any, values: Array) -> Array:
        """(n, 3) float32 in the object's coordinates, for values (S,) of the keys."""
        used = np.flatnonzero(values)
        few = 2 * len(used) < len(values)  # a copy of many rows would cost more than it saves
        added = values[used] @ self.deltas[used] if few else values @ self.deltas
        moved = self.basis + added.reshape(-1, 3)
        modifier = armature_modifier(graph, body)
        return moved if modifier is None else self._posed(graph, body, modifier, moved)

    def _posed(self, graph: Any, body: Any, modifier: Any, points: Array) -> Array:
        armature = modifier.object.evaluated_get(graph)
        to_rig = armature.matrix_world.inverted() @ body.evaluated_get(graph).matrix_world
        there, back = np.array(to_rig), np.array(to_rig.inverted())
        turns = np.empty((len(self.bones) + 1, 4, 4))
        turns[-1] = np.eye(4)
        pose = armature.pose.bones
        for row, name in enumerate(self.bones):
            bone = pose.get(name)
            turns[row] = np.eye(4) if bone is None else back @ np.array(bone.matrix_channel) @ there
        mixed = (self.weights @ turns[:, :3].reshape(-1, 12).astype(np.float32)).reshape(-1, 3, 4)
        return np.einsum("nij,nj->ni", mixed[:, :, :3], points) + mixed[:, :, 3]


def positions(mesh: Any) -> Array:
    """(V, 3) float32 of a mesh."""
    points = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.attributes["position"].data.foreach_get("vector", points)
    return points.reshape(-1, 3)


def key_points(block: Any, vertices: Array) -> Array:
    """(n, 3) float32 of a shape key."""
    points = np.empty(3 * len(block.data), np.float32)
    block.data.foreach_get("co", points)
    return points.reshape(-1, 3)[vertices]


def armature_modifier(graph: Any, body: Any) -> Any | None:
    """The first Armature modifier that acts in this evaluation."""
    shown = "show_render" if graph.mode == "RENDER" else "show_viewport"
    found = (m for m in body.modifiers if m.type == "ARMATURE" and m.object is not None)
    return next((m for m in found if getattr(m, shown) and m.use_vertex_groups), None)


def _group_weights(body: Any, vertices: Array) -> tuple[tuple[str, ...], Array]:
    """Names of the deforming bones and (n, B + 1) weights of the vertices."""
    modifier = next((m for m in body.modifiers if m.type == "ARMATURE" and m.object is not None), None)
    if modifier is None:
        return (), np.ones((len(vertices), 1), np.float32)
    bones = modifier.object.data.bones
    deforming = {g.index: g.name for g in body.vertex_groups if g.name in bones and bones[g.name].use_deform}
    table = np.zeros((len(vertices), len(body.vertex_groups)), np.float32)
    everything: bpy.types.bpy_prop_collection[Any] = body.data.vertices
    for row, vertex in enumerate(vertices.tolist()):
        for member in everything[vertex].groups:
            table[row, member.group] = member.weight
    used = [index for index in deforming if table[:, index].any()]
    weights = table[:, used]
    total = weights.sum(axis=1, keepdims=True)
    held = total > 1e-4
    weights = np.where(held, weights / np.maximum(total, 1e-4), 0.0)
    return tuple(deforming[i] for i in used), np.hstack([weights, ~held]).astype(np.float32)
