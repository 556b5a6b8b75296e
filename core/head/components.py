# SPDX-License-Identifier: GPL-3.0-or-later
"""Connected pieces of a mesh, in numpy."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def components(count: int, faces: Array) -> Array:
    """(count,) int: a number per vertex, equal for vertices that faces ((F, k), -1 is no vertex) connect.

    The numbers are 0.. in the order of each piece's first vertex. Every vertex takes the smallest label in
    reach, halving the distance each time (pointer jumping): some ten passes over the edges.
    """
    closed = np.concatenate([faces, faces[:, :1]], axis=1)
    edges = np.concatenate([closed[:, [k, k + 1]] for k in range(faces.shape[1])])
    edges = edges[np.all(edges >= 0, axis=1)]
    if faces.shape[1] == 4:  # the closing edge of a triangle, whose last corner is -1
        triangles = faces[faces[:, 3] < 0]
        edges = np.concatenate([edges, triangles[:, [2, 0]]])
    label = np.arange(count)
    while True:
        before = label.copy()
        low = np.minimum(label[edges[:, 0]], label[edges[:, 1]])
        np.minimum.at(label, label[edges[:, 0]], low)
        np.minimum.at(label, label[edges[:, 1]], low)
        label = label[label]
        if np.array_equal(label, before):
            return np.unique(label, return_inverse=True)[1]
