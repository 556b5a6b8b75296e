# SPDX-License-Identifier: GPL-3.0-or-later
"""The small charts of the texture layout: eyes as discs, teeth and gums unrolled, the tongue from above."""

from __future__ import annotations

import numpy as np

from .atlas import EYE_LEFT, EYE_RIGHT, MOUTH, TEETH
from .model import HeadModel, Rest

Array = np.ndarray
Box = tuple[float, float, float, float]

MARGIN = 0.004
"""Kept free along the inside of each chart's box: four texels of a picture of 1024."""
EYE_ANGLE = np.radians(76.0)
"""How far from the pupil's axis the eye's chart reaches."""
CHARTS_OF_PARTS: dict[str, tuple[int, Box]] = {
    "eye_right": (EYE_RIGHT, (0.0, 0.0, 0.2, 0.2)),
    "eye_left": (EYE_LEFT, (0.2, 0.0, 0.4, 0.2)),
    "teeth_upper": (TEETH, (0.4, 0.1, 0.8, 0.2)),
    "teeth_lower": (TEETH, (0.4, 0.0, 0.8, 0.1)),
    "gums_upper": (MOUTH, (0.8, 0.15, 1.0, 0.2)),
    "gums_lower": (MOUTH, (0.8, 0.1, 1.0, 0.15)),
    "tongue": (MOUTH, (0.8, 0.0, 0.9, 0.1)),
}


def into_box(flat: Array, box: Box) -> Array:
    """Coordinates ((..., 2)) scaled alike in both directions into the middle of a box."""
    points = flat.reshape(-1, 2)
    low, high = points.min(axis=0), points.max(axis=0)
    start, stop = np.array(box[:2]) + MARGIN, np.array(box[2:]) - MARGIN
    scale = float(np.min((stop - start) / (high - low)))
    return (start + stop) / 2 + scale * (flat - (low + high) / 2)


def eye_disc(model: HeadModel, rest: Rest, part: str) -> tuple[Array, Array]:
    """Which polygons of an eyeball are in the layout ((n,) bool) and where: (n, 4, 2), the distance from the
    middle is the angle from the pupil's axis (radians).

    The eyeball is rigid, so its rest, looking along +Z, is every person's.
    """
    faces = model.faces[model.part_faces(part)]
    centre = rest.joint_heads[model.joint_names.index(str(model.roles[part]))]
    direction = rest.vertices - centre
    across = np.hypot(direction[:, 0], direction[:, 1])
    angle = np.arctan2(across, direction[:, 2])
    flat = direction[:, :2] * (angle / np.where(across > 0, across, 1.0))[:, None]
    used = np.all(np.where(faces >= 0, angle[faces] <= EYE_ANGLE, True), axis=1)
    return used, flat[faces]


def jaw_front(model: HeadModel, rest: Rest, part: str) -> tuple[Array, Array]:
    """Which polygons of a row of teeth or of a gum are in the layout ((n,) bool) and where: (n, 4, 2), the
    front unrolled along the arch.
    """
    faces = model.faces[model.part_faces(part)]
    corners = np.where(faces >= 0, faces, faces[:, :1])
    points = rest.vertices.astype(np.float64)
    outward, along = _arch(points[np.unique(corners)], points)
    a, b, c, d = (points[corners[:, k]] for k in range(4))
    normal = np.cross(c - a, d - b)
    normal = np.where((faces[:, 3] < 0)[:, None], np.cross(b - a, c - a), normal)
    facing = np.sum(normal * outward[corners].mean(axis=1), axis=1) / np.linalg.norm(normal, axis=1)
    return facing > 0.25, np.stack([along, points[:, 1]], axis=1)[corners]


def _arch(own: Array, points: Array) -> tuple[Array, Array]:
    """Outward direction of the dental arch at each point ((V, 3)) and length along it ((V,) metres)."""
    middle = np.array([0.0, own[:, 2].min() + 0.35 * np.ptp(own[:, 2])])
    offset = points[:, [0, 2]] - middle
    angle = np.arctan2(offset[:, 0], offset[:, 1])
    outward = np.stack([np.sin(angle), np.zeros(len(points)), np.cos(angle)], axis=1)
    return outward, angle * 0.5 * np.ptp(own[:, 0])


def top_view(model: HeadModel, rest: Rest, part: str) -> tuple[Array, Array]:
    """Which polygons of the tongue are in the layout ((n,) bool) and where: (n, 4, 2), seen from above, the
    tip down.
    """
    faces = model.faces[model.part_faces(part)]
    points = rest.vertices.astype(np.float64)
    a, b, c, d = (points[faces[:, k]] for k in range(4))
    normal = np.cross(c - a, d - b)
    used = normal[:, 1] > 0.15 * np.linalg.norm(normal, axis=1)
    return used, (points[:, [0, 2]] * np.array([1.0, -1.0]))[faces]
