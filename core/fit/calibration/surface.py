# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a head model that a camera before the face sees: its triangles, and what each vertex is of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import ModelError
from ...head.eyeball import LIMBUS
from ...head.model import HeadModel, Rest

Array = np.ndarray

SKIN, EYE, TOOTH, GUM = 0, 1, 2, 3
"""Kinds of vertex, as a painter tells them apart."""
UNSEEN = ("lash", "cornea", "tear", "lacrimal", "occlusion", "blend", "hair", "tights", "skirt")
"""Parts whose names hold one of these words are clear, or are no part of a bare head."""
REACH = 4.5
"""How far from the point between the eyes the head is drawn, in distances between the eyes."""
IRIS_RADIUS = 0.0059
"""Metres: the radius of a human iris, which varies little between people."""


@dataclass(frozen=True)
class HeadSurface:
    """Triangles of the bare head and the kind of each vertex."""

    triangles: Array
    """(F, 3) int32 rows of the model, counter-clockwise seen from outside."""
    kind: Array
    """(V,) uint8: SKIN, EYE, TOOTH or GUM."""
    eye_side: Array
    """(V,) int8: 0 the left eye, 1 the right eye, -1 neither."""
    eye_direction: Array
    """(V, 3) float32: from the eye's centre to an eye's vertex at rest; +Z is the pupil. 0 elsewhere."""
    limbus: float
    """Radians between the pupil's axis and the edge of the iris."""
    iris_radius: float
    """Metres, of the default person."""
    centre: Array
    """(3,) metres between the eyes of the default person."""
    unit: float
    """Metres between the eyes of the default person."""


def head_surface(model: HeadModel, rest: Rest) -> HeadSurface:
    """The drawn head of a model whose default person is `rest`; eyes are the rows that ride on eye joints.

    ModelError for a model without eye joints: nothing tells where its face is.
    """
    eyes = [model.roles.get(f"eye_{side}") for side in ("left", "right")]
    if any(eye not in model.joint_names for eye in eyes):
        raise ModelError(f"The head model {model.name!r} has no eye joints; its face cannot be found.")
    joints = [model.joint_names.index(str(eye)) for eye in eyes]
    centres = rest.joint_heads[joints]
    centre, unit = centres.mean(axis=0), float(np.linalg.norm(centres[0] - centres[1]))
    triangles = _triangles(model)
    near = np.linalg.norm(rest.vertices - centre, axis=1) < REACH * unit
    triangles = triangles[np.all(near[triangles], axis=1)]
    kind, side = _kinds(model), np.full(model.row_count, -1, np.int8)
    direction = np.zeros((model.row_count, 3), np.float32)
    for index, joint in enumerate(joints):
        rows = _ridden(model, joint)
        side[rows], kind[rows] = index, EYE
        direction[rows] = rest.vertices[rows] - centres[index]
    radius = float(np.median(np.linalg.norm(direction[side >= 0], axis=1))) if np.any(side >= 0) else 0.012
    limbus = float(LIMBUS) if model.sockets else float(np.arcsin(min(IRIS_RADIUS / radius, 0.7)))
    iris = radius * np.sin(limbus)
    return HeadSurface(triangles, kind, side, direction, limbus, float(iris), centre, unit)


def _triangles(model: HeadModel) -> Array:
    """(F, 3) int32 triangles of all parts that are seen; a quad is cut along its diagonal."""
    shown = [i for i, name in enumerate(model.part_names) if not any(word in name.lower() for word in UNSEEN)]
    faces = model.faces[np.isin(model.face_part, shown)]
    quads = faces[faces[:, 3] >= 0]
    return np.concatenate([faces[:, :3], quads[:, [0, 2, 3]]]).astype(np.int32)


def _kinds(model: HeadModel) -> Array:
    kind = np.full(model.row_count, SKIN, np.uint8)
    for word, value in (("teeth", TOOTH), ("gum", GUM), ("tongue", GUM)):
        for name in model.part_names:
            if word in name.lower() and name.lower().startswith(word):
                kind[model.part_vertices(name)] = value
    return kind


def _ridden(model: HeadModel, joint: int) -> Array:
    """Rows of the surface that turn with a joint and nothing else."""
    share = np.where(model.skin_joints == joint, model.skin_weights, 0).sum(axis=1)
    rows = np.flatnonzero(share > 0.95)
    return rows[rows < model.mesh_vertex_count]
