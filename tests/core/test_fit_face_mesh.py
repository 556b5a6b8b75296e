# SPDX-License-Identifier: GPL-3.0-or-later
"""A phone's face mesh gives the person, in metres and without the expression; what is no face is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from core.capture import FaceMesh, open_capture, read_face_mesh
from core.errors import CaptureError
from core.fit.face_icp import FaceProblem
from core.fit.face_mesh import fit_face_mesh
from core.fit.face_patch import FacePatch
from core.fit.scan import MOST_POINTS, MOST_VERTICES, scan_of
from core.fit.surface import Surface, closest_weights, farthest_points
from core.head import load_model
from core.head.embedding import load_embedding
from core.performance import Performance
from tests.core.face_scans import cube_mesh, grid_mesh, mesh_of, random_person, random_smile, scan
from tests.sample.face_mesh import face_faces


@pytest.fixture(scope="module")
def model():
    return load_model("anny")


@pytest.fixture(scope="module")
def embedding(model):
    return load_embedding(model)


@pytest.fixture(scope="module")
def patch(model, embedding):
    return FacePatch.of(model, embedding)


@pytest.fixture(scope="module")
def sample(root):
    """Mesh, identity and first weights of the capture that ships."""
    folder = root / "core" / "data" / "sample"
    mesh = read_face_mesh(open_capture(folder / "likeness_sample.zip").face_meshes[0])
    person = json.loads((folder / "likeness_sample_truth.json").read_text(encoding="utf-8"))
    return mesh, person["identity"], Performance.load(folder / "likeness_sample_truth.npz").weights[0]


@pytest.fixture(scope="module")
def fitted(sample, model, embedding):
    return fit_face_mesh(sample[0], model, embedding)


def identity_error_mm(model, fit, values) -> float:
    """Rms distance of the faces' vertices after a rigid alignment without scale."""
    truth = model.rest(model.identity_coefficients(values)).vertices
    rows = np.unique(face_faces(model, truth))
    found = model.rest(fit.coefficients, detail=fit.detail).vertices[rows].astype(np.float64)
    truth = truth[rows].astype(np.float64)
    a, b = found - found.mean(axis=0), truth - truth.mean(axis=0)
    left, _, right = np.linalg.svd(a.T @ b)
    turn = left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right
    return 1000.0 * float(np.sqrt(np.mean(np.sum((a @ turn - b) ** 2, axis=1))))


# ---- the person


def test_the_sample_gives_its_person(sample, fitted, model):
    mesh, identity, weights = sample
    usual = replace(fitted, coefficients=model.identity_coefficients(), detail=np.zeros_like(fitted.detail))
    assert identity_error_mm(model, usual, identity) > 2.0
    assert identity_error_mm(model, fitted, identity) < 0.3
    assert np.abs(fitted.weights - weights).mean() < 0.02
    assert fitted.error_mm[0] < 0.1 and fitted.paired > 0.75
    assert fitted.values["gender"] > 0.8
    assert np.allclose(fitted.size, mesh.size) and fitted.scale == 1.0 and not fitted.warnings
    assert fitted.weights.shape == (52,) and fitted.detail.dtype == np.float32


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 6))]
)
def test_a_random_person_who_smiles_and_looks_elsewhere(seed, model, embedding):
    rng = np.random.default_rng(seed)
    values, weights = random_person(model, rng), random_smile(rng)
    fit = fit_face_mesh(scan(model, values, weights, rng), model, embedding)
    assert identity_error_mm(model, fit, values) < 1.0
    assert np.abs(fit.weights - weights).mean() < 0.05
    assert fit.error_mm[0] < 0.4


def test_a_head_is_where_the_mesh_shows_it(sample, fitted, model):
    """The pose brings the fitted head back onto the mesh, which was written in the head's own frame."""
    assert np.degrees(np.arccos((np.trace(fitted.rotation) - 1) / 2)) < 0.5
    assert np.abs(fitted.translation).max() < 1e-3


def test_centimetres_and_repeated_vertices_change_nothing(sample, fitted, model, embedding):
    """Every face with vertices of its own, as files with normals have it, and another unit."""
    mesh = sample[0]
    corners = mesh.faces[:, :3]
    loose = mesh_of(100.0 * mesh.vertices[corners].reshape(-1, 3), np.arange(corners.size).reshape(-1, 3))
    assert len(scan_of(loose).points) == min(len(mesh.vertices), MOST_POINTS)
    fit = fit_face_mesh(loose, model, embedding)
    assert fit.scale == 0.01 and len(fit.warnings) == 1 and "centimetres" in fit.warnings[0]
    assert np.allclose(fit.size, fitted.size, rtol=1e-5)
    assert identity_error_mm(model, fit, fitted.values) < 0.3


def test_what_is_known_is_kept(sample, model, embedding):
    fit = fit_face_mesh(sample[0], model, embedding, {"gender": 0.3, "age": 0.9, "cupsize": 0.2})
    assert fit.values["gender"] == pytest.approx(0.3, abs=0.1)
    assert fit.values["age"] == pytest.approx(0.9, abs=0.1)
    assert fit.values["cupsize"] == 0.2


def test_what_the_basis_cannot_say_becomes_detail(sample, fitted, model, embedding):
    mesh = sample[0]
    at = mesh.vertices[np.argmin(np.linalg.norm(mesh.vertices - [0.035, -0.045, 0.1], axis=1))]
    near = np.exp(-0.5 * np.sum((mesh.vertices - at) ** 2, axis=1) / 0.012**2)
    mole = replace(mesh, vertices=mesh.vertices + np.float32(0.004) * near[:, None] * [0.6, 0.0, 0.8])
    fit = fit_face_mesh(replace(mole, vertices=mole.vertices.astype(np.float32)), model, embedding)
    assert fit.error_mm[0] < 0.7 * fit.identity_error_mm[0]
    assert fit.error_mm[1] < 0.7 * fit.identity_error_mm[1]
    plain = model.rest(fit.coefficients).vertices
    back = np.flatnonzero(plain[: model.visible_count, 2] < -0.03)
    assert fit.detail.shape == model.template.shape
    assert np.linalg.norm(fit.detail, axis=1).max() > 5e-4
    assert np.abs(fit.detail[back]).max() < 2e-4


# ---- what is no face


def test_useless_meshes_are_refused_in_one_sentence(sample, model, embedding):
    mesh = sample[0]
    other = {
        "look along": [cube_mesh(), replace(mesh, vertices=mesh.vertices * np.array([-1, 1, 1], np.float32))],
        "no face's shape": [
            replace(mesh, vertices=mesh.vertices * np.array([1, 1, -1], np.float32)),
            grid_mesh(lambda u, v: (0.08 * u, 0.1 * v, 0.0)),
            grid_mesh(lambda u, v: (0.07 * np.sin(1.2 * u), 0.1 * v, 0.07 * np.cos(1.2 * u))),
        ],
        "only 10 points": [
            mesh_of(mesh.vertices[:10], np.array([[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 0, 3]]))
        ],
        "no places": [replace(mesh, vertices=np.where(mesh.vertices > 0.06, np.nan, mesh.vertices))],
        "m large": [replace(mesh, vertices=mesh.vertices * np.float32(20))],
        "at most": [FaceMesh(np.zeros((MOST_VERTICES + 1, 3), np.float32), mesh.faces, None)],
        "without their points": [replace(mesh, vertices=mesh.vertices[:500])],
    }
    for words, meshes in other.items():
        for useless in meshes:
            with pytest.raises(CaptureError) as caught:
                fit_face_mesh(useless, model, embedding)
            assert words in caught.value.message, caught.value.message
            assert caught.value.message.count(". ") == 0 and caught.value.hint


def test_a_mesh_of_one_place_is_refused(model, embedding):
    with pytest.raises(CaptureError):
        fit_face_mesh(mesh_of(np.zeros((300, 3)), np.array([[0, 1, 2]])), model, embedding)


# ---- geometry against slow twins


def segment_distance(p, a, b) -> float:
    along = np.clip((p - a) @ (b - a) / max((b - a) @ (b - a), 1e-30), 0.0, 1.0)
    return float(np.linalg.norm(p - a - along * (b - a)))


def triangle_distance(p, a, b, c) -> float:
    """Distance of a point and a triangle, the plain way: inside its prism, or off one of its edges."""
    normal = np.cross(b - a, c - a)
    length = np.linalg.norm(normal)
    if length > 0 and all(np.cross(f - e, p - e) @ normal >= 0 for e, f in ((a, b), (b, c), (c, a))):
        return float(abs((p - a) @ normal) / length)
    return min(segment_distance(p, e, f) for e, f in ((a, b), (b, c), (c, a)))


def test_the_nearest_place_of_a_triangle_against_a_slow_twin():
    rng = np.random.default_rng(1)
    corners, points = rng.normal(size=(400, 3, 3)), 2.0 * rng.normal(size=(400, 3))
    corners[::5, 2] = corners[::5, 0] + 0.3 * (corners[::5, 1] - corners[::5, 0]) + 1e-3
    weights = closest_weights(corners, points)
    assert weights.min() >= 0.0 and np.allclose(weights.sum(axis=1), 1.0)
    found = np.linalg.norm(np.einsum("nk,nkd->nd", weights, corners) - points, axis=1)
    slow = np.array([triangle_distance(p, *triangle) for p, triangle in zip(points, corners, strict=True)])
    assert np.allclose(found, slow, atol=1e-9)


@pytest.mark.slow
def test_the_distance_to_the_face_against_a_slow_twin(patch):
    """Every triangle that could be nearer is tried; the quick search may miss a slightly nearer place where
    lids fold.
    """
    rng = np.random.default_rng(2)
    vertices = patch.vertices({}, np.zeros(52))
    points = vertices[rng.choice(len(vertices), 60)] + rng.normal(0.0, 2e-3, (60, 3))
    found = np.linalg.norm(patch.surface.nearest(vertices, points).points - points, axis=1)
    corners = vertices[patch.surface.triangles]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    missed = []
    for point, distance in zip(points, found, strict=True):
        bound = np.linalg.norm(corners - point, axis=2).min(axis=1) - longest
        slow = min(triangle_distance(point, *corner) for corner in corners[bound <= distance])
        assert slow - 1e-9 < distance < slow + 1e-3
        missed.append(distance - slow > 1e-9)
    assert np.mean(missed) < 0.15


def test_columns_are_the_change_of_the_places(model, patch, sample):
    """Against differences, the pairs held still."""
    problem = FaceProblem.of(scan_of(sample[0]), patch, {})
    state = problem.start()
    rng = np.random.default_rng(3)
    state = replace(state, identity=state.identity + rng.uniform(0.02, 0.1, len(state.identity)))
    state = replace(state, weights=rng.uniform(0.1, 0.3, 52))
    pairs = problem.pairs(state.pose, problem.face(state), 0.01)
    columns = problem._columns(state, pairs)

    def places(moved):
        points = pairs.nearest.sample(problem.face(moved).vertices)
        return points @ moved.pose.rotation.T + moved.pose.translation

    normals, step = pairs.normals @ state.pose.rotation.T, 1e-4
    names = patch.identity_names
    for k in (*range(6), *rng.choice(len(names), 8, replace=False) + 6, *rng.choice(52, 6) + 6 + len(names)):
        change = np.eye(columns.shape[1])[k] * step
        up, down = (
            replace(
                state,
                pose=state.pose.moved(sign * change[:6]),
                identity=state.identity + sign * change[6 : 6 + len(names)],
                weights=state.weights + sign * change[6 + len(names) :],
            )
            for sign in (1.0, -1.0)
        )
        slope = np.sum(normals * (places(up) - places(down)), axis=1) / (2 * step)
        assert np.abs(slope - columns[:, k]).max() < 2e-3 * max(np.abs(slope).max(), 1e-2), k


def test_normals_and_rims_of_an_open_sheet():
    mesh = grid_mesh(lambda u, v: (u, v, 0.2 * u), 6)
    triangles = np.concatenate([mesh.faces[:, :3], mesh.faces[:, [0, 2, 3]]])
    surface = Surface.of(triangles, len(mesh.vertices))
    vertices = mesh.vertices.astype(np.float64)
    assert np.allclose(surface.normals(vertices), np.array([-0.2, 0.0, 1.0]) / np.sqrt(1.04))
    assert np.array_equal(surface.rim, np.abs(vertices[:, :2]).max(axis=1) > 0.99)
    assert np.allclose(surface.middle(vertices), 0.0)
    beside = surface.nearest(vertices, np.array([[2.0, 0.1, 0.0], [0.1, 0.1, 0.3]]))
    assert surface.on_rim(beside).tolist() == [True, False]


def test_farthest_points_lie_evenly():
    points = np.random.default_rng(4).uniform(size=(500, 3))
    chosen = farthest_points(points, 40)
    apart = np.linalg.norm(points[chosen][:, None] - points[chosen], axis=2) + np.eye(40)
    cover = np.linalg.norm(points[:, None] - points[chosen], axis=2).min(axis=1)
    assert len(set(chosen)) == 40 and cover.max() <= apart.min()
    assert sorted(farthest_points(points[:7], 40)) == list(range(7))
