# SPDX-License-Identifier: GPL-3.0-or-later
"""The small charts of the texture layout: eyes as discs, teeth and gums unrolled, the tongue from above."""

from __future__ import annotations

import numpy as np

from .atlas import EYE_LEFT, EYE_RIGHT, MOUTH, TEETH
from .components import components
from .model import HeadModel, Rest

Array = np.ndarray
Box = tuple[float, float, float, float]

MARGIN = 0.004
"""Kept free along the inside of each chart's box: four texels of a picture of 1024."""
EYE_ANGLE = np.radians(76.0)
"""How far from the pupil's axis the eye's chart reaches."""
CHARTS_OF_PARTS: dict[str, tuple[int, Box]] = {
    "eye_right": (EYE_RIGHT, (0.0, 0.0, 0.2, 0.2)),
    "eye_left": (EYE_LEFT, (0.8, 0.0, 1.0, 0.2)),
    "teeth_upper": (TEETH, (0.205, 0.07, 0.63, 0.14)),
    "teeth_lower": (TEETH, (0.205, 0.0, 0.63, 0.07)),
    "gums_upper": (MOUTH, (0.63, 0.07, 0.795, 0.14)),
    "gums_lower": (MOUTH, (0.63, 0.0, 0.795, 0.07)),
    "tongue": (MOUTH, (0.0, 0.915, 0.085, 1.0)),
}
_RINGS = np.array([0.0, 0.05, 0.16, 0.34, 0.56, 0.78, 1.0, 1.25]) / 1.25
"""Height of each ring of a tooth (`dentition`), as a share of the tooth's."""
_TIP = -0.15
"""Where the middle of the biting edge lies."""
_SEEN = 0.25
"""Turns from the front of a tooth to where it touches the next."""
_ROUND = np.array([0.0, 0.58, 0.98, 1.42])
"""Way around a tooth at even steps of that turn, in half widths."""
_GAP = 2e-3
"""Metres between two teeth in the layout."""
_SLIVER = 2e-7
"""Square metres: a smaller half of a gum's polygon may turn over when coordinates are rounded."""
LINING: Box = (0.915, 0.915, 1.0, 1.0)
"""Box of the mouth's lining."""


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


def teeth_unrolled(model: HeadModel, rest: Rest, part: str) -> tuple[Array, Array]:
    """Which polygons of a row of teeth are in the layout ((n,) bool) and where: (n, 4, 2), each tooth but the
    last of each side unrolled about its own axis, so that the picture ends where nobody looks.

    A tooth's own UV (`patch.closed_rings`) is its turn, 1/4 at the front, and the ring.
    """
    faces = model.faces[model.part_faces(part)]
    corners = np.where(faces >= 0, faces, faces[:, :1])
    points = rest.vertices.astype(np.float64)
    uv = model.uv[model.part_faces(part)].astype(np.float64)
    away = (uv[..., 0] + 0.25) % 1.0 - 0.5
    away = np.where((np.ptp(away, axis=1)[:, None] > 0.5) & (away < 0), away + 1, away)
    ring = np.minimum((8 * uv[..., 1] + 1e-6).astype(int), 7)
    height = np.where(uv[..., 1] < 1e-6, _TIP, _RINGS[ring])
    turned = np.sign(away) * np.interp(np.abs(away), np.linspace(0, _SEEN, len(_ROUND)), _ROUND)
    used = np.all((np.abs(away) <= _SEEN + 1e-3) | (faces < 0), axis=1)
    piece = components(len(points), faces)[faces[:, 0]]
    teeth = _in_order(piece, points[corners].mean(axis=1))[1:-1]
    up, start = 1.0 if part.endswith("upper") else -1.0, 0.0
    flat = np.zeros((*faces.shape, 2))
    for own in (piece == tooth for tooth in teeth):
        tooth = points[corners[own]].reshape(-1, 3)
        size, side = np.ptp(tooth, axis=0), np.sign(tooth[:, 0].mean())
        half = 0.5 * _ROUND[-1] * min(size[1], float(np.hypot(size[0], size[2]))) * 0.75
        flat[own] = np.stack(
            [start + half * (1 - side * turned[own] / _ROUND[-1]), up * size[1] * height[own]], 2
        )
        start += 2 * half + _GAP
    return used & np.isin(piece, teeth), flat


def _in_order(piece: Array, middles: Array) -> Array:
    """Numbers of the teeth along the arch, from the right to the left."""
    numbers = np.unique(piece)
    places = np.array([middles[piece == number].mean(axis=0) for number in numbers])
    along = np.arctan2(places[:, 0], places[:, 2] - places[:, 2].min() + 1e-3)
    return numbers[np.argsort(along)]


def gum_front(model: HeadModel, rest: Rest, part: str) -> tuple[Array, Array]:
    """Which polygons of a gum are in the layout ((n,) bool) and where: (n, 4, 2), the front unrolled along
    the arch.
    """
    faces = model.faces[model.part_faces(part)]
    corners = np.where(faces >= 0, faces, faces[:, :1])
    points = rest.vertices.astype(np.float64)
    outward, along = _arch(points[np.unique(corners)], points)
    a, b, c, d = (points[corners[:, k]] for k in range(4))
    normal = np.cross(c - a, d - b)
    facing = np.sum(normal * outward[corners].mean(axis=1), axis=1) / np.linalg.norm(normal, axis=1)
    flat = np.stack([along, points[:, 1]], axis=1)[corners]
    return (facing > 0.55) & (_least_half(flat) > _SLIVER), flat


def _least_half(flat: Array) -> Array:
    """(n,) signed area of the smaller of the two triangles of each quad ((n, 4, 2))."""
    side = flat[:, 1:] - flat[:, :1]
    turned = side[:, :2, 0] * side[:, 1:, 1] - side[:, :2, 1] * side[:, 1:, 0]
    return 0.5 * turned.min(axis=1)


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
