# SPDX-License-Identifier: GPL-3.0-or-later
"""Which triangles of the head atlas are face, and which part of it: for masks that follow the person.

Regions are drawn once on the model's default person, in directions seen from within the head, by outlines
that its calibrated landmarks give. So they hold for every identity and expression of the model.
"""

from __future__ import annotations

import numpy as np

from ..head.atlas import EYE_LEFT, EYE_RIGHT, MOUTH, TEETH, HeadAtlas
from ..head.embedding import LandmarkEmbedding, load_embedding
from ..head.model import HeadModel

Array = np.ndarray

NONE, BODY, FACE, EYES, LIPS, CHEEKS, FOREHEAD, BROWS = range(8)
"""Nothing; head and neck outside the face; the rest of the face (nose, chin, jaw, temples); parts of it."""
NAMES = {EYES: "eyes", LIPS: "mouth", CHEEKS: "cheeks", FOREHEAD: "forehead", BROWS: "brows"}
LID_REACH = 1.35, 2.0
"""How much wider and higher than the opening of an eye its region is: lids, lashes and tear line belong to
it."""
BROW_REACH = 1.1, 2.0
"""The same for brows; the landmarks lie along their middle."""
_BEHIND = 0.06
"""Metres from the middle of the face back to the point from which directions are counted."""
_OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
_LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
_EYES = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
    (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249),
)
_BROWS = (
    (46, 53, 52, 65, 55, 107, 66, 105, 63, 70),
    (276, 283, 282, 295, 285, 336, 296, 334, 293, 300),
)
_WINGS = (129, 358)


def is_face(region: Array) -> Array:
    """Where a map of regions shows the face: skin before the ears and below the hairline, eyes, mouth."""
    return region >= FACE


def triangle_regions(model: HeadModel, atlas: HeadAtlas) -> Array:
    """(n,) uint8 region of each of `atlas.triangles`. ModelError for a model without landmarks."""
    rest = model.rest(model.identity_coefficients()).vertices.astype(np.float64)
    directions = _Directions(rest, load_embedding(model))
    region = directions.regions(rest[atlas.triangles].mean(axis=1))
    region[np.isin(atlas.triangle_chart, (EYE_LEFT, EYE_RIGHT))] = EYES
    region[np.isin(atlas.triangle_chart, (TEETH, MOUTH))] = LIPS
    return region


class _Directions:
    """The landmarks of a person at rest as (azimuth, elevation) radians seen from within the head."""

    def __init__(self, vertices: Array, embedding: LandmarkEmbedding) -> None:
        points = embedding.points(vertices)
        middle = points[list(_OVAL)].mean(axis=0)
        self.origin = np.array([0.0, middle[1], middle[2] - _BEHIND])
        self.marks = self.of(points)

    def of(self, points: Array) -> Array:
        """(n, 2) radians to the subject's left and up of points (n, 3)."""
        x, y, z = (points - self.origin).T
        return np.stack([np.arctan2(x, z), np.arctan2(y, np.hypot(x, z))], axis=1)

    def regions(self, points: Array) -> Array:
        """(n,) uint8 by the direction of points (n, 3)."""
        place = self.of(points)
        region = np.full(len(points), BODY, np.uint8)
        face = within(place, self.marks[list(_OVAL)])
        region[face] = FACE
        brows, lids = (self.marks[[n for part in parts for n in part]] for parts in (_BROWS, _EYES))
        region[face & (place[:, 1] > brows[:, 1].mean())] = FOREHEAD
        beside = np.abs(place[:, 0]) > np.abs(self.marks[list(_WINGS), 0]).mean()
        low = self.marks[list(_LIPS), 1].min()
        region[face & beside & (place[:, 1] < lids[:, 1].min()) & (place[:, 1] > low)] = CHEEKS
        for outlines, reach, number in ((_BROWS, BROW_REACH, BROWS), (_EYES, LID_REACH, EYES)):
            for outline in outlines:
                region[face & within(place, _widened(self.marks[list(outline)], reach))] = number
        region[face & within(place, self.marks[list(_LIPS)])] = LIPS
        return region


def _widened(outline: Array, reach: tuple[float, float]) -> Array:
    """An outline (m, 2) drawn wider and higher about its middle."""
    middle = outline.mean(axis=0)
    return middle + np.array(reach) * (outline - middle)


def within(points: Array, outline: Array) -> Array:
    """(n,) bool: points (n, 2) inside a closed outline (m, 2), by the parity of crossings."""
    x, y = points[:, :1], points[:, 1:]
    a, b = outline, np.roll(outline, -1, axis=0)
    crosses = (a[:, 1] > y) != (b[:, 1] > y)
    rise = np.where(a[:, 1] == b[:, 1], 1.0, b[:, 1] - a[:, 1])
    at = a[:, 0] + (y - a[:, 1]) * (b[:, 0] - a[:, 0]) / rise
    return np.count_nonzero(crosses & (x < at), axis=1) % 2 == 1
