# SPDX-License-Identifier: GPL-3.0-or-later
"""What the fit knows of a head at its landmarks is what the whole head is there."""

from __future__ import annotations

import numpy as np
import pytest
from fit_support import face_of, head, identity_rows, made_up_embedding, random_person, slope
from flame_like import flame_like

from core.arkit import ARKIT_NAMES
from core.errors import ModelError
from core.fit.slices import FACE, FaceRows, IdentityRows, iris_rows
from core.head.basis import DenseBasis, MirrorBasis, SparseBasis, StackedBasis
from core.head.embedding import LandmarkEmbedding
from core.head.phenotype import ANCHORS

EXACT = 2e-6
"""Metres: whole heads are float32."""


@pytest.fixture(scope="module")
def flame():
    model, _, _ = flame_like()
    return model, made_up_embedding(model)


def all_bases() -> dict[str, object]:
    rng = np.random.default_rng(1)
    shapes = rng.normal(size=(5, 12, 3)).astype(np.float32)
    shapes[:, [2, 5, 11]] = 0.0
    sparse, partners = SparseBasis.from_dense(shapes), np.array([1, 0, 3, 2, 4, 6, 5, 8, 7, 10, 9, 11])
    half = np.flatnonzero(np.arange(12) <= partners)
    return {
        "sparse": sparse,
        "dense": DenseBasis(np.array([0, 3, 4, 9]), shapes[:, [0, 3, 4, 9]]),
        "stacked": StackedBasis((sparse, DenseBasis(np.arange(12), shapes[:2]))),
        "mirror": MirrorBasis(DenseBasis(half, shapes[:, half]), partners[half], sparse),
    }


@pytest.mark.parametrize("kind", ["sparse", "dense", "stacked", "mirror"])
def test_a_basis_at_some_rows_is_the_whole_basis_there(kind):
    basis = all_bases()[kind]
    whole = np.zeros((basis.count, 12, 3), np.float32)
    for index, shape in enumerate(np.eye(basis.count, dtype=np.float32)):
        basis.add_to(whole[index], shape)
    for rows in (np.array([11, 0, 4, 4, 2]), np.arange(12), np.zeros(0, int)):
        np.testing.assert_allclose(basis.at(rows), whole[:, rows], atol=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_landmarks_of_a_person_are_where_the_whole_head_has_them(seed):
    model, embedding = head()
    values = random_person(np.random.default_rng(seed), share=1.5)
    rest = model.rest(model.identity_coefficients(values))
    expected = embedding.points(rest.vertices)[:FACE]
    assert np.abs(identity_rows().points(values) - expected).max() < EXACT


def test_landmarks_move_with_identity_as_their_slopes_say():
    rng = np.random.default_rng(3)
    model, _ = head()
    values = away_from_kinks(random_person(rng))
    names = (*ANCHORS, "african", "caucasian", *rng.choice(model.parameters.local_names, 8, replace=False))
    values = {name: values.get(name, 0.3) for name in {**dict.fromkeys(names), **values}}
    found = identity_rows().jacobian(values, names)

    def points(at: np.ndarray) -> np.ndarray:
        return identity_rows().points({**values, **dict(zip(names, at.tolist(), strict=True))})

    expected = np.moveaxis(slope(points, np.array([values[name] for name in names]), 1e-3), -1, 0)
    assert np.abs(expected).max() > 0.01
    assert np.abs(found - expected).max() < 2e-5


def away_from_kinks(values: dict[str, float]) -> dict[str, float]:
    """Phenotypes between the anchors where their interpolation bends, local changes off 0."""
    moved = {}
    for name, value in values.items():
        bends = list(ANCHORS[name].values()) if name in ANCHORS else [0.0]
        near = min(bends, key=lambda bend: abs(bend - value))
        inward = -1.0 if near == 1.0 else 1.0
        moved[name] = near + 0.05 * inward if abs(value - near) < 0.05 else value
    return moved


def test_only_what_landmarks_show_is_estimated():
    names = set(identity_rows().visible_names())
    assert {"gender", "age", "height"} <= names
    assert not names & {"cupsize", "firmness"}
    assert len(names) > 60


@pytest.mark.parametrize("seed", range(3))
def test_an_expression_moves_landmarks_as_it_moves_the_whole_mesh(seed):
    model, embedding = head()
    rng = np.random.default_rng(seed)
    rest = model.rest(model.identity_coefficients(random_person(rng)))
    face, weights = FaceRows.of(model, rest, embedding), rng.random(52)
    full = np.zeros(len(model.expression_names))
    for name, weight in zip(ARKIT_NAMES, weights, strict=True):
        full[model.expression_index[name]] = weight
    expected = embedding.points(model.expressed(rest, full))[:FACE]
    found = face.points + np.tensordot(weights, face.expression, 1)
    assert face.names == ARKIT_NAMES
    assert np.abs(found - expected).max() < 2 * EXACT


def test_irises_are_on_their_eyeballs_and_left_is_left():
    face = face_of()
    assert face.eyes[0, 0] > 0.02 and face.eyes[1, 0] < -0.02
    assert np.all(face.irises[:, 2] > 0.008)
    assert np.allclose(np.abs(face.eyes[0]), np.abs(face.eyes[1]), atol=1e-4)


def test_irises_are_told_apart_whichever_comes_first():
    points = np.zeros((478, 3))
    points[FACE : FACE + 5, 0] = 0.03
    assert iris_rows(points)[0].start == FACE
    assert iris_rows(-points)[0].start == FACE + 5


def test_a_model_of_another_kind_is_cut_the_same_way(flame):
    model, embedding = flame
    rng = np.random.default_rng(5)
    values = dict(zip(model.identity_names, rng.normal(size=300).tolist(), strict=True))
    rest = model.rest(model.identity_coefficients(values))
    rows, face = IdentityRows.of(model, embedding), FaceRows.of(model, rest, embedding)
    assert np.abs(rows.points(values) - embedding.points(rest.vertices)[:FACE]).max() < EXACT
    names = model.identity_names[:4]
    by_difference = [rows.points({name: 1.0}) - rows.template for name in names]
    assert np.allclose(rows.jacobian(values, names), by_difference, atol=1e-9)
    weights = rng.normal(size=100)
    expected = embedding.points(model.expressed(rest, weights))[:FACE]
    assert face.names == model.expression_names
    assert np.abs(face.points + np.tensordot(weights, face.expression, 1) - expected).max() < EXACT


def test_a_landmark_off_the_skin_is_named():
    model, embedding = head()
    rows = embedding.rows.copy()
    rows[7, 0] = model.visible_count
    with pytest.raises(ModelError, match="skin"):
        IdentityRows.of(model, LandmarkEmbedding(rows, embedding.weights, embedding.scatter))
