# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads to derive mappings for: ICT-FaceKit as it is shared, and one with FLAME's structure and our body's
face.

Landmarks of such a head are found from those of our body: a smooth warp that meets at known points, then the
nearest vertex.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from core.head import HeadModel, load_model
from core.head.basis import DenseBasis, SparseBasis
from core.head.embedding import LandmarkEmbedding, load_embedding
from core.head.ict import is_ict, read_ict
from core.head.phenotype import LinearParameters

Array = np.ndarray

ICT = Path(__file__).resolve().parents[3] / "shared" / "data" / "ict"
# Points of the 68 of iBUG, and the landmark of the tracker at the same place: brows, nose, eyes, lips, chin.
IBUG = {
    8: 152, 17: 70, 18: 63, 19: 105, 20: 66, 21: 107, 22: 336, 23: 296, 24: 334, 25: 293, 26: 300, 27: 168,
    28: 197, 29: 5, 30: 4, 33: 2, 36: 33, 37: 160, 38: 158, 39: 133, 40: 153, 41: 144, 42: 362, 43: 385,
    44: 387, 45: 263, 46: 373, 47: 380, 48: 61, 49: 39, 50: 37, 51: 0, 52: 267, 53: 269, 54: 291, 55: 405,
    56: 314, 57: 17, 58: 84, 59: 181, 60: 78, 61: 82, 62: 13, 63: 312, 64: 308, 65: 317, 66: 14, 67: 87,
}  # fmt: skip


def plain_model(name: str, template: Array, expressions: dict[str, Array], faces: Array, **more) -> HeadModel:
    """A head with one joint and these expressions ((V, 3) metres each)."""
    joint = np.zeros((1, 1), np.int32)
    values = {
        "joint_names": ("root",),
        "joint_parents": np.array([-1]),
        "head_rows": joint,
        "head_weights": np.ones((1, 1)),
        "tail_rows": joint + 1,
        "tail_weights": np.ones((1, 1)),
        "rolls": np.zeros(1),
        "skin_joints": np.zeros((len(template), 1), np.uint8),
        "skin_weights": np.ones((len(template), 1), np.float32),
        "roles": {"root": "root", "head": "root", "neck": ()},
    }
    values.update(more)
    return HeadModel(
        name=name,
        template=template.astype(np.float32),
        visible_count=len(template),
        identity=SparseBasis(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros((0, 3), np.float32)),
        parameters=LinearParameters(()),
        expression_names=tuple(expressions),
        expression=DenseBasis(
            np.arange(len(template)), np.stack(list(expressions.values())).astype(np.float32)
        ),
        faces=faces,
        uv=np.zeros((*faces.shape, 2), np.float32),
        face_part=np.zeros(len(faces), np.uint8),
        part_names=("body",),
        **values,
    )


def ict_head() -> tuple[HeadModel, LandmarkEmbedding]:
    """ICT-FaceKit as the head model that Likeness makes of it; a skip where it is not at hand."""
    if not is_ict(ICT):
        pytest.skip("ICT-FaceKit of the shared test data is not here")
    model = read_ict(ICT)[0]
    vertices = json.loads((ICT / "vertex_indices.json").read_text(encoding="utf-8"))["idx_to_landmark_verts"]
    anchors = {landmark: vertices[point] for point, landmark in IBUG.items()}
    irises = np.concatenate([model.part_vertices(name) for name in ("eye_left", "eye_right")])
    return model, warped_embedding(model.template.astype(float), model.part_vertices("body"), irises, anchors)


def warped_embedding(points: Array, skin: Array, irises: Array, anchors: dict[int, int]) -> LandmarkEmbedding:
    """Landmarks at the vertices among `skin` (and `irises`) that our body's landmarks come nearest to, once
    warped. `anchors`: landmark to vertex, where both are known.
    """
    from scipy.interpolate import RBFInterpolator
    from scipy.spatial import KDTree

    model = load_model("anny")
    ours = load_embedding(model).points(model.rest(model.identity_coefficients()).vertices).astype(np.float64)
    known = list(anchors)
    warp = RBFInterpolator(ours[known], points[[anchors[k] for k in known]], smoothing=1e-6)
    wanted = warp(ours)
    found = [p[KDTree(points[p]).query(w)[1]] for p, w in ((skin, wanted[:468]), (irises, wanted[468:]))]
    rows = np.concatenate(found)
    rows[known] = [anchors[k] for k in known]
    weights = np.tile(np.array([1.0, 0.0, 0.0], np.float32), (len(rows), 1))
    return LandmarkEmbedding(np.stack([rows] * 3, axis=1), weights, np.full(len(rows), 0.001, np.float32))


def head_with_jaw(components: int = 40) -> tuple[HeadModel, LandmarkEmbedding]:
    """FLAME's structure with our body's face: principal components of all shapes but jawOpen, and a jaw joint
    that has to do that one. Larger than ours, and of other proportions.
    """
    body, ours = load_model("anny"), load_embedding(load_model("anny"))
    rows, back = np.unique(ours.rows, return_inverse=True)
    points = body.rest(body.identity_coefficients()).vertices[rows].astype(np.float64)
    shapes = body.expression.at(rows).astype(np.float64)
    opened = shapes[body.expression_index["jawOpen"]]
    joint = np.array([0.0, points[:, 1].min() + 0.09, points[:, 2].max() - 0.11])
    arm = np.maximum(np.linalg.norm((points - joint)[:, 1:], axis=1), 1e-3)
    turned = np.linalg.norm(opened, axis=1) / arm
    weight = np.clip(turned / np.quantile(turned, 0.98), 0.0, 1.0)
    others = np.delete(shapes, body.expression_index["jawOpen"], axis=0).reshape(len(shapes) - 1, -1)
    _, values, axes = np.linalg.svd(others, full_matrices=False)
    basis = (values[:components, None] * axes[:components] / np.sqrt(len(others))).reshape(components, -1, 3)
    stretch = np.array([1.15, 1.25, 1.2])
    template = np.concatenate([points, joint[None], joint[None] - [0, 0.05, 0]]) * stretch
    still = np.zeros((components, 2, 3))
    basis = np.concatenate([basis, still], axis=1) * stretch
    at = len(points)
    model = plain_model(
        "jawed",
        template,
        {f"expression_{k:03d}": shape for k, shape in enumerate(basis)},
        np.array([[0, 1, 2, -1]], np.int32),
        joint_names=("root", "jaw"),
        joint_parents=np.array([-1, 0]),
        head_rows=np.full((2, 1), at, np.int32),
        head_weights=np.ones((2, 1)),
        tail_rows=np.full((2, 1), at + 1, np.int32),
        tail_weights=np.ones((2, 1)),
        rolls=np.zeros(2),
        skin_joints=np.tile(np.array([0, 1], np.uint8), (at + 2, 1)),
        skin_weights=np.stack([1 - np.r_[weight, 0, 0], np.r_[weight, 0, 0]], axis=1).astype(np.float32),
    )
    return model, LandmarkEmbedding(back.reshape(ours.rows.shape), ours.weights, ours.scatter)


def known_source(
    target: HeadModel, embedding: LandmarkEmbedding, motions: dict[str, tuple[Array, Array]]
) -> tuple[HeadModel, LandmarkEmbedding]:
    """A head of another size and orientation whose shapes are poses (expression, jaw matrix) of the
    target.
    """
    rest = target.rest(target.identity_coefficients())
    axes = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    turn = 0.7 * axes * np.sign(np.linalg.det(axes))
    moved = {
        name: (target.pose(rest, expression, {"jaw": jaw}) - rest.vertices) @ turn.T
        for name, (expression, jaw) in motions.items()
    }
    model = plain_model("known", rest.vertices @ turn.T + 0.2, moved, target.faces)
    return model, embedding


def any_embedding(model: HeadModel, seed: int = 0) -> LandmarkEmbedding:
    """478 points spread over the triangles of a model."""
    rng = np.random.default_rng(seed)
    rows = model.faces[rng.choice(len(model.faces), 478, replace=False), :3]
    return LandmarkEmbedding(rows, rng.dirichlet(np.ones(3), 478), np.full(478, 0.001))


def on_surface(points: Array, vertices: Array, triangles: Array, near: int = 8) -> tuple[Array, Array]:
    """Rows (n, 3) and weights (n, 3) of the points of a mesh ((V, D), any D) nearest to `points` (n, D),
    looked for in the triangles at the `near` nearest vertices.
    """
    from scipy.spatial import KDTree

    used = np.unique(triangles)
    close = used[KDTree(vertices[used]).query(points, near)[1]]
    order = np.argsort(triangles.ravel(), kind="stable")
    ends = np.searchsorted(triangles.ravel()[order], np.arange(len(vertices) + 1))
    rows, weights = np.empty((len(points), 3), int), np.empty((len(points), 3))
    for i, point in enumerate(points):
        corners = np.concatenate([order[ends[v] : ends[v + 1]] for v in close[i]])
        around = triangles[np.unique(corners // 3)]
        a, b, c = (vertices[around[:, k]] for k in range(3))
        sides = np.stack([b - a, c - a], axis=2)
        gram = sides.transpose(0, 2, 1) @ sides + 1e-12 * np.eye(2)
        along = np.linalg.solve(gram, (sides.transpose(0, 2, 1) @ (point - a)[..., None]))[..., 0]
        share = np.clip(np.c_[1 - along.sum(axis=1), along], 0.0, None)
        share /= share.sum(axis=1, keepdims=True)
        found = np.einsum("tk,tkd->td", share, vertices[around])
        best = int(np.argmin(np.sum((found - point) ** 2, axis=1)))
        rows[i], weights[i] = around[best], share[best]
    return rows, weights
