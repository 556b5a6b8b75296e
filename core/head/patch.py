# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pieces of surface with uv: bodies of revolution, bands, closed rings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass
class Patch:
    """A piece of surface: points (n, 3), quads (m, 4) with -1 last for a triangle, and uv per corner (m, 4,
    2).
    """

    points: Array
    faces: Array
    uv: Array

    def joined(self, other: Patch) -> Patch:
        """Both pieces as one."""
        moved = np.where(other.faces >= 0, other.faces + len(self.points), -1)
        return Patch(
            np.concatenate([self.points, other.points]),
            np.concatenate([self.faces, moved]),
            np.concatenate([self.uv, other.uv]),
        )


def revolved(profile: Array, segments: int, angles: Array) -> Patch:
    """A surface of revolution about +Z that starts in a single pole.

    `profile`: (n, 2) radius and height, first on the axis; `angles`: (n,) angle from the axis of each ring,
    which the uv lays out as a disc (azimuthal, pi at the rim).
    """
    turn = 2 * np.pi * np.arange(segments) / segments
    rings = [np.array([[0.0, 0.0, profile[0, 1]]])]
    disc = [np.array([[0.5, 0.5]])]
    for (radius, height), angle in zip(profile[1:], angles[1:], strict=True):
        rings.append(np.c_[radius * np.cos(turn), radius * np.sin(turn), np.full(segments, height)])
        disc.append(0.5 + 0.5 * angle / np.pi * np.c_[np.cos(turn), np.sin(turn)])
    faces = [[0, 1 + i, 1 + (i + 1) % segments, -1] for i in range(segments)]
    for ring in range(len(profile) - 2):
        low, high = 1 + ring * segments, 1 + (ring + 1) * segments
        faces += [
            [low + i, high + i, high + (i + 1) % segments, low + (i + 1) % segments] for i in range(segments)
        ]
    quads = np.array(faces, np.int32)
    coordinates = np.concatenate(disc)
    return Patch(np.concatenate(rings), quads, np.where(quads[..., None] >= 0, coordinates[quads], 0.0))


def strip(count: int, flip: bool) -> Patch:
    """A band of `count` x 3 vertices, row after row; uv is (along, across). Its points are placed by their
    handles.
    """
    quads, uv = [], []
    for i in range(count - 1):
        for j in range(2):
            quads.append([3 * i + j, 3 * i + j + 1, 3 * i + j + 4, 3 * i + j + 3])
            u, v = i / (count - 1), j / 2
            uv.append([[u, v], [u, v + 0.5], [u + 1 / (count - 1), v + 0.5], [u + 1 / (count - 1), v]])
    patch = Patch(np.zeros((3 * count, 3)), np.array(quads, np.int32), np.array(uv))
    return flipped(patch.faces, patch.uv, patch.points) if flip else patch


def closed_rings(points: Array, rings: int, segments: int, flip: bool) -> Patch:
    """Faces for a pole followed by rings of equal size; uv is (turn, ring)."""
    quads, uv = [], []
    for i in range(segments):
        nxt = (i + 1) % segments
        quads.append([0, 1 + nxt, 1 + i, -1])
        uv.append([[(i + 0.5) / segments, 0], [(i + 1) / segments, 0.02], [i / segments, 0.02], [0, 0]])
        for ring in range(rings - 1):
            low, high = 1 + ring * segments, 1 + (ring + 1) * segments
            quads.append([low + i, low + nxt, high + nxt, high + i])
            v0, v1 = (ring + 0.1) / rings, (ring + 1) / rings
            uv.append(
                [[i / segments, v0], [(i + 1) / segments, v0], [(i + 1) / segments, v1], [i / segments, v1]]
            )
    faces, corners = np.array(quads, np.int32), np.array(uv)
    return flipped(faces, corners, points) if flip else Patch(points, faces, corners)


def flipped(faces: Array, uv: Array, points: Array) -> Patch:
    """The same surface seen from the other side."""
    order = np.where((faces[:, 3] < 0)[:, None], [[0, 2, 1, 3]], [[0, 3, 2, 1]])
    return Patch(points, np.take_along_axis(faces, order, 1), np.take_along_axis(uv, order[..., None], 1))
