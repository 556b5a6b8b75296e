# SPDX-License-Identifier: GPL-3.0-or-later
"""Face meshes as a scanner would make them: points between the model's vertices, joined anew."""

from __future__ import annotations

import numpy as np
import pytest

from core.arkit import INDEX
from core.capture import FaceMesh
from core.fit.projection import exponential
from core.fit.surface import farthest_points
from core.head import HeadModel
from tests.sample.face_mesh import face_faces

SPREAD = 0.22
"""Of the local changes of a random person."""
LONGEST_EDGE = 0.012
USUAL = {
    "muscle": 0.12,
    "weight": 0.12,
    "height": 0.12,
    "proportions": 0.12,
    "cupsize": 0.12,
    "firmness": 0.12,
}
SMILE = {
    "jawOpen": 0.25,
    "mouthSmileLeft": 0.4,
    "mouthSmileRight": 0.3,
    "browInnerUp": 0.4,
    "eyeBlinkLeft": 0.2,
    "eyeBlinkRight": 0.25,
}


def random_person(model: HeadModel, rng: np.random.Generator) -> dict[str, float]:
    """Every identity parameter at random, as far as people differ."""
    values = {}
    for name, usual in model.identity_default.items():
        if name in ("gender", "african", "asian", "caucasian"):
            values[name] = float(rng.uniform(0.02, 1.0))
        elif name == "age":
            values[name] = float(np.clip(rng.normal(0.68, 0.08), 0.5, 1.0))
        elif name in USUAL:
            values[name] = float(np.clip(rng.normal(usual, USUAL[name]), 0.0, 1.0))
        else:
            values[name] = float(np.clip(rng.normal(usual, SPREAD), -1.0, 1.0))
    return values


def random_smile(rng: np.random.Generator) -> np.ndarray:
    """(52,) float32: a face that is not at rest."""
    weights = np.zeros(52, np.float32)
    for name, value in SMILE.items():
        weights[INDEX[name]] = value * rng.uniform(0.0, 1.5)
    return weights


def scan(
    model: HeadModel,
    values: dict[str, float],
    weights: np.ndarray,
    rng: np.random.Generator,
    *,
    count: int = 1220,
    noise: float = 3e-4,
) -> FaceMesh:
    """A mesh of `count` even points anywhere on the face's triangles, off by `noise` metres, turned by up to
    30 degrees and moved.
    """
    delaunay = pytest.importorskip("scipy.spatial").Delaunay
    rest = model.rest(model.identity_coefficients(values))
    vertices = model.expressed(rest, weights).astype(np.float64)
    quads = face_faces(model, rest.vertices)
    corners = vertices[np.concatenate([quads[:, :3], quads[:, [0, 2, 3]]])]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    chosen = rng.choice(len(corners), 5 * count, p=area / area.sum())
    points = np.einsum("nk,nkd->nd", rng.dirichlet(np.ones(3), 5 * count), corners[chosen])
    points = points[farthest_points(points, count)]
    arm = points - [0.0, points[:, 1].mean(), points[:, 2].mean() - 0.09]
    chart = np.stack(
        [np.arctan2(arm[:, 0], arm[:, 2]), np.arctan2(arm[:, 1], np.hypot(arm[:, 0], arm[:, 2]))], 1
    )
    triangles = delaunay(chart).simplices
    edges = [np.linalg.norm(points[triangles[:, k]] - points[triangles[:, k - 1]], axis=1) for k in range(3)]
    triangles = triangles[np.max(edges, axis=0) < LONGEST_EDGE]
    first, second = (chart[triangles[:, k]] - chart[triangles[:, 0]] for k in (1, 2))
    flipped = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] < 0
    triangles[flipped] = triangles[flipped][:, [0, 2, 1]]
    turn = rng.normal(size=3)
    turn *= rng.uniform(0.2, np.radians(30)) / np.linalg.norm(turn)
    points = (points + rng.normal(0.0, noise, points.shape)) @ exponential(turn).T + rng.uniform(-0.3, 0.3, 3)
    return mesh_of(points, triangles)


def mesh_of(points: np.ndarray, faces: np.ndarray) -> FaceMesh:
    """A mesh of triangles ((F, 3)) or quads ((F, 4))."""
    padded = np.full((len(faces), 4), -1, np.int32)
    padded[:, : faces.shape[1]] = faces
    return FaceMesh(points.astype(np.float32), padded, None)


def grid_mesh(place, count: int = 30) -> FaceMesh:
    """The image of a square: `place` takes u and v ((n, n), -1..1) to x, y, z in metres."""
    u, v = np.meshgrid(np.linspace(-1, 1, count), np.linspace(-1, 1, count))
    points = np.stack(np.broadcast_arrays(*place(u, v)), axis=-1).reshape(-1, 3)
    i = np.arange(count * count).reshape(count, count)
    quads = np.stack([i[:-1, :-1], i[:-1, 1:], i[1:, 1:], i[1:, :-1]], axis=-1).reshape(-1, 4)
    return mesh_of(points, quads)


def cube_mesh(side: float = 0.2, count: int = 12) -> FaceMesh:
    """A closed cube of small quads that look outwards."""
    front = grid_mesh(lambda u, v: (side / 2 * u, side / 2 * v, side / 2), count)
    sides = [
        exponential(np.array(turn) * np.pi / 2)
        for turn in [(k, 0, 0) for k in range(4)] + [(0, 1, 0), (0, -1, 0)]
    ]
    points = np.concatenate([front.vertices @ turn.T for turn in sides])
    faces = np.concatenate([front.faces + k * len(front.vertices) for k in range(6)])
    return mesh_of(points, faces)
