# SPDX-License-Identifier: GPL-3.0-or-later
"""`Tie`: from the rows of a head surface to the vertices of a double's body, and where those are now.

Positions are world space in the axes of the head frame: Blender's world turned by the inverse of TO_BLENDER,
so x is the subject's left, y up, z out of the face when the person stands as built. Transform, pose,
expression and uniform scale are all in them, so that splats placed on them need no matrix of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.arkit import ARKIT_NAMES
from ...core.errors import ModelError
from ...core.head import TO_BLENDER
from .mesh import ROW_ATTRIBUTE
from .splat_skinning import Skinning, positions

Array = np.ndarray

_TURN = TO_BLENDER.astype(np.float64)


def to_head_axes(points: Array) -> Array:
    """Points (..., 3) of Blender's world in the axes of the head frame, float32."""
    return np.ascontiguousarray(np.asarray(points, np.float64) @ _TURN, np.float32)


def head_axes_matrix(matrix: Any) -> Array:
    """(4, 4) float64 of a world matrix, its result turned into the axes of the head frame."""
    turned = np.array(matrix, np.float64)
    turned[:3] = _TURN.T @ turned[:3]
    return turned


_MOST_HIDDEN = 0.3
"""Share of the rows that masks may hide; where more are missing, something remade the mesh."""


@dataclass
class Tie:
    """Rows of a surface as vertices of one mesh. Make it once per mesh; `vertices_now` each frame."""

    rows: Array
    """(n,) int32 rows of the head model, sorted."""
    vertices: Array
    """(n,) int64 vertices of the unmodified mesh."""
    _count: int = -1
    """Vertices of the mesh that was evaluated last."""
    _shown: Array | None = None
    """(n,) vertices of that mesh, -1 where it lacks the row; None where it was remade."""
    _hidden: Array | None = None
    """(m,) which of the rows have to be computed."""
    _skinning: Skinning | None = None
    """Of those."""

    @classmethod
    def of(cls, body: Any, rows: Array) -> Tie:
        """Find the rows in a body; ModelError where the mesh lacks some."""
        found = _where(_rows_of(body.data), rows)
        if found is None or np.any(found < 0):
            raise ModelError(
                f"{body.name} is not the mesh of this Gaussian head: vertices of its head are missing.",
                "Rebuild the double, or train the head for this one.",
            )
        return cls(np.ascontiguousarray(rows, np.int32), found)

    def vertices_now(self, graph: Any, body: Any) -> Array:
        """(n, 3) float32 where the rows are in this evaluation, world space in the head frame's axes.

        Every modifier counts, as long as the head's vertices stay what they are. Vertices that masks hide,
        as those under a collar, and all of them where a modifier subdivides or remakes the mesh, are where
        shape keys and armature alone have them.
        """
        placed = body.evaluated_get(graph)
        self._look(placed.data, remade=body.mode == "EDIT")
        if self._shown is None:
            points = self._computed(graph, body)
        else:
            points = positions(placed.data)[self._shown]
            if self._hidden is not None and len(self._hidden):
                points[self._hidden] = self._computed(graph, body)
        matrix = head_axes_matrix(placed.matrix_world)
        return np.ascontiguousarray(points @ matrix[:3, :3].T + matrix[:3, 3], np.float32)

    def _look(self, mesh: Any, remade: bool) -> None:
        """Find the rows in the evaluated mesh, unless they are where they were."""
        rows = np.zeros(0, np.int32) if remade else _rows_of(mesh)
        if len(rows) == self._count and (self._shown is None or self._still(rows)):
            return
        self._count, self._shown = len(rows), _where(rows, self.rows)
        if self._shown is not None and np.mean(self._shown < 0) > _MOST_HIDDEN:
            self._shown = None
        every = np.arange(len(self.rows))
        hidden = every if self._shown is None else np.flatnonzero(self._shown < 0)
        if self._hidden is None or not np.array_equal(hidden, self._hidden):
            self._hidden, self._skinning = hidden, None

    def _still(self, rows: Array) -> bool:
        assert self._shown is not None
        there = self._shown >= 0
        return np.array_equal(rows[self._shown[there]], self.rows[there])

    def _computed(self, graph: Any, body: Any) -> Array:
        """(m, 3) of the hidden rows."""
        if self._skinning is None or not self._skinning.fits(body):
            self._skinning = Skinning.of(body, self.vertices[self._hidden])
        return self._skinning.points(graph, body, key_values(graph, body, self._skinning.key_names))


def arkit_weights(graph: Any, body: Any) -> Array:
    """(52,) float32 in ARKIT_NAMES' order: how far each shape key is on in this evaluation, animated, driven
    or by hand. 0 for a key that is muted or not there.
    """
    return key_values(graph, body, ARKIT_NAMES)


def key_values(graph: Any, body: Any, names: tuple[str, ...]) -> Array:
    """(len(names),) float32 values of the shape keys in this evaluation."""
    keys = body.data.shape_keys
    if keys is None:
        return np.zeros(len(names), np.float32)
    blocks = keys.evaluated_get(graph).key_blocks
    values, muted = np.empty(len(blocks), np.float32), np.empty(len(blocks), bool)
    blocks.foreach_get("value", values)
    blocks.foreach_get("mute", muted)
    held = blocks.keys()
    if body.show_only_shape_key:  # pinned: the active key alone, fully
        pinned = min(body.active_shape_key_index, len(blocks) - 1)
        values[:], muted[:] = np.arange(len(blocks)) == pinned, False
    values[muted] = 0.0
    place = {name: index for index, name in enumerate(held)}
    padded = np.append(values, np.float32(0.0))
    return padded[[place.get(name, -1) for name in names]]


def _rows_of(mesh: Any) -> Array:
    attribute = mesh.attributes.get(ROW_ATTRIBUTE)
    if attribute is None or attribute.domain != "POINT" or attribute.data_type != "INT":
        return np.zeros(0, np.int32)
    rows = np.empty(len(attribute.data), np.int32)
    attribute.data.foreach_get("value", rows)
    return rows


def _where(rows: Array, wanted: Array) -> Array | None:
    """(n,) places of the wanted rows, -1 where there is none; None where one is there more than once."""
    valid = rows >= 0
    if not len(wanted) or not valid.any():
        return None
    count = int(max(rows.max(), wanted.max())) + 1
    if np.any(np.bincount(rows[valid], minlength=count)[wanted] > 1):
        return None
    place = np.full(count, -1, np.int64)
    place[rows[valid]] = np.flatnonzero(valid)
    return place[wanted]
