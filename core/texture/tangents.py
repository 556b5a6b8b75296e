# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames in which Blender reads a tangent-space normal map, so that relief lies the way it was meant.

Blender takes MikkTSpace (M. Mikkelsen, "Simulation of wrinkled surfaces revisited", 2008): at each corner the
tangent is the direction in which u grows, made square to the smooth normal and averaged by angle over the
polygons that share point and UV; the bitangent is normal x tangent, turned over where the layout is mirrored.
So the bitangent is not the direction in which v grows where the layout is sheared: slopes have to be
converted, not only scaled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..head.atlas import HeadAtlas
from .texels import TexelTable

Array = np.ndarray


@dataclass(frozen=True)
class TangentFrames:
    """The frame of each corner of the layout's triangles."""

    tangent: Array
    """(n, 3, 3) float32 unit vectors, head frame."""
    bitangent: Array
    """(n, 3, 3) float32."""
    slopes: Array
    """(n, 3, 2, 2) float32 per metre: times (change of height by u, by v) gives slopes along tangent and
    bitangent."""

    @staticmethod
    def of(atlas: HeadAtlas, vertices: Array) -> TangentFrames:
        """`vertices`: (V, 3) metres, a person at rest."""
        points = vertices[atlas.triangles].astype(np.float64)
        by_u, by_v, sign = _derivatives(points, atlas.uv.astype(np.float64))
        angle = _angles(points)
        normal = _smooth_normals(points, atlas.triangles, angle, len(vertices))[atlas.triangles]
        own = _corner_groups(atlas, sign)
        across = by_u[:, None] - normal * np.sum(by_u[:, None] * normal, axis=2, keepdims=True)
        tangent = _unit(_averaged(_unit(across) * angle[..., None], own))
        bitangent = np.cross(normal, tangent) * sign[:, None, None]
        weight = angle[..., None] / _averaged(angle[..., None], own)
        mean_u = _averaged(by_u[:, None] * weight, own)
        mean_v = _averaged(by_v[:, None] * weight, own)
        jacobian = np.stack(
            [
                np.stack([np.sum(mean_u * tangent, 2), np.sum(mean_u * bitangent, 2)], axis=2),
                np.stack([np.sum(mean_v * tangent, 2), np.sum(mean_v * bitangent, 2)], axis=2),
            ],
            axis=2,
        )
        frames = (tangent, bitangent, _inverse(jacobian))
        return TangentFrames(*(part.astype(np.float32) for part in frames))

    def slopes_at(self, table: TexelTable) -> Array:
        """(S, S, 2, 2) float32, `slopes` at each texel; 0 outside the charts."""
        inside = table.inside
        corners = self.slopes.reshape(-1, 3, 4)[table.triangle[inside]]
        result = np.zeros((*inside.shape, 4), np.float32)
        result[inside] = np.einsum("nk,nkc->nc", table.barycentric[inside], corners)
        return result.reshape(*inside.shape, 2, 2)


def _derivatives(points: Array, uv: Array) -> tuple[Array, Array, Array]:
    """How triangles ((n, 3, 3) metres) change by u and by v ((n, 3) each), and 1, or -1 where mirrored."""
    e, f = points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]
    a, b = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    area = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    safe = np.where(area == 0, 1.0, area)[:, None]
    by_u = (b[:, 1:] * e - a[:, 1:] * f) / safe
    by_v = (a[:, :1] * f - b[:, :1] * e) / safe
    return by_u, by_v, np.where(area < 0, -1.0, 1.0)


def _angles(points: Array) -> Array:
    """(n, 3) radians at the corners of triangles."""
    ahead = _unit(np.roll(points, -1, axis=1) - points)
    back = _unit(np.roll(points, 1, axis=1) - points)
    return np.arccos(np.clip(np.sum(ahead * back, axis=2), -1, 1))


def _smooth_normals(points: Array, triangles: Array, angle: Array, count: int) -> Array:
    face = _unit(np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]))
    total = np.zeros((count, 3))
    for k in range(3):
        np.add.at(total, triangles[:, k], face * angle[:, k, None])
    return _unit(total)


def _corner_groups(atlas: HeadAtlas, sign: Array) -> Array:
    """(n, 3) int: equal for corners that share row, place and handedness."""
    key = np.empty((*atlas.triangles.shape, 4))
    key[..., 0], key[..., 3] = atlas.triangles, sign[:, None]
    key[..., 1:3] = np.rint(atlas.uv.astype(np.float64) * (1 << 20))
    return np.unique(key.reshape(-1, 4), axis=0, return_inverse=True)[1].reshape(-1, 3)


def _averaged(values: Array, own: Array) -> Array:
    """Sums over equal groups, back at each corner: (n, 3, c)."""
    count = int(own.max()) + 1
    flat = values.reshape(-1, values.shape[-1])
    sums = np.stack([np.bincount(own.ravel(), column, count) for column in flat.T], axis=1)
    return sums[own]


def _inverse(matrix: Array) -> Array:
    """Of (..., 2, 2); 0 where there is none."""
    a, b, c, d = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 0], matrix[..., 1, 1]
    area = a * d - b * c
    safe = np.where(np.abs(area) < 1e-12, np.inf, area)
    return np.stack([np.stack([d, -b], axis=-1), np.stack([-c, a], axis=-1)], axis=-2) / safe[..., None, None]


def _unit(vectors: Array) -> Array:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.maximum(length, 1e-20)
