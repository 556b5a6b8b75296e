# SPDX-License-Identifier: GPL-3.0-or-later
"""What a compressed skin misses: neighbours, Laplacian, and errors against plain loops in float64."""

from __future__ import annotations

import numpy as np
import pytest
from skin_faces import patch_model, patch_problem
from skin_models import compskin

from core.skin import measure
from core.skin.compressed import CompressedSkin
from core.skin.compressor import problem_of
from core.skin.model_data import BlendshapeModelData


def random_skin(model: BlendshapeModelData, bones: int = 6) -> CompressedSkin:
    rng = np.random.default_rng(2)
    weights = rng.random((model.n_vertices, bones)) * (rng.random((model.n_vertices, bones)) < 0.5)
    weights[:, 0] += 0.1
    weights /= weights.sum(axis=1, keepdims=True)
    transforms = rng.normal(size=(model.n_blendshapes, bones, 6)) * 0.05
    problem = problem_of(model)
    return CompressedSkin(
        problem.rest.astype(np.float32),
        model.rest_verts.mean(axis=0),
        model.rest_faces,
        weights.astype(np.float32),
        transforms.astype(np.float32),
    )


def moved(skin: CompressedSkin, coefficients: np.ndarray) -> np.ndarray:
    """(N, 3) float64: how far the vertices move."""
    bones = np.tensordot(coefficients, skin.transforms.astype(np.float64), axes=1)
    total = np.zeros(skin.rest.shape)
    for j, six in enumerate(bones):
        total += skin.weights[:, j : j + 1] * (np.cross(six[:3], skin.rest.astype(np.float64)) + six[3:])
    return total


def test_corners_of_triangles_and_quads_are_neighbours_but_only_edges_of_larger_polygons() -> None:
    faces = np.array([[0, 1, 2, 3, -1], [3, 2, 4, -1, -1], [5, 6, 7, 8, 9]])
    pairs = {tuple(pair) for pair in measure.laplacian_pairs(faces).tolist()}
    quad = {(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)}
    assert pairs == quad | {(2, 4), (3, 4)} | {(5, 6), (6, 7), (7, 8), (8, 9), (5, 9)}


def test_a_vertex_is_no_neighbour_of_itself() -> None:
    assert measure.laplacian_pairs(np.array([[4, 4, 5]])).tolist() == [[4, 5]]


def test_no_faces_have_no_pairs() -> None:
    assert measure.laplacian_pairs(np.zeros((0, 4), np.int32)).shape == (0, 2)


def test_the_laplacian_is_the_mean_of_the_neighbours_minus_the_vertex() -> None:
    smooth = measure.laplacian(np.array([[0, 1], [0, 2]]), 4).toarray()
    expected = np.array([[-1, 0.5, 0.5, 0], [1, -1, 0, 0], [1, 0, -1, 0], [0, 0, 0, 0]])
    np.testing.assert_array_equal(smooth, expected)


@pytest.mark.parametrize("block", [1, 4000, 10**9])
def test_errors_equal_loops_in_double_whatever_the_blocks(
    monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(measure, "_BLOCK", block)
    model = patch_model(side=9, shapes=5)
    skin = random_skin(model)
    error = np.stack([moved(skin, one) for one in np.eye(5)]) - model.deltas
    bent = np.stack(
        [measure.laplacian(measure.laplacian_pairs(model.rest_faces), 81) @ part for part in error]
    )
    lengths = np.linalg.norm(error, axis=2)
    expected = {
        "mae": np.abs(error).mean(),
        "mxe": np.abs(error).max(),
        "rmse": np.sqrt((error**2).mean()),
        "lap_rms": np.sqrt((bent**2).mean()),
        "mean": lengths.mean(),
        "p999": np.quantile(lengths, 0.999),
        "max": lengths.max(),
    }
    assert measure.errors_of(model, skin) == pytest.approx(expected, rel=1e-4)


def test_plain_arrays_have_the_same_errors() -> None:
    model = patch_model(side=8, shapes=4)
    skin = random_skin(model)
    plain = measure.errors(problem_of(model), skin.weights, skin.transforms)
    assert plain == pytest.approx(measure.errors_of(model, skin), rel=1e-6)


@pytest.mark.parametrize("block", [1, 10**9])
def test_frame_errors_equal_loops_in_double(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(measure, "_BLOCK", block)
    model = patch_model(side=8, shapes=4)
    skin = random_skin(model)
    coefficients = np.random.default_rng(1).random((7, 4))
    poses = np.stack([moved(skin, row) for row in coefficients])
    lengths = np.linalg.norm(poses - np.tensordot(coefficients, model.deltas, axes=1), axis=2)
    found = measure.frame_errors(model, skin, coefficients)
    np.testing.assert_allclose(found.mean, lengths.mean(axis=1), rtol=1e-4)
    np.testing.assert_allclose(found.worst, lengths.max(axis=1), rtol=1e-4)
    np.testing.assert_allclose(found.per_vertex, lengths.max(axis=0), rtol=1e-4)


def test_no_motion_misses_all_of_the_shapes() -> None:
    problem = patch_problem(side=8, shapes=3)
    nothing = measure.errors(problem, np.ones((64, 1), np.float32), np.zeros((3, 1, 6), np.float32))
    assert nothing["mxe"] == np.abs(problem.deltas).max()


@pytest.mark.parametrize(
    ("model", "result", "expected"),
    [
        ("aura_avg.npz", "aura_avg_fastref_result.npz", (0.00195, 0.1457, 0.00480, 0.00083)),
        ("synthface.npz", "synthface_ref_result.npz", (0.00119, 0.404, 0.00717, None)),
    ],
)
def test_stored_results_have_their_published_errors(
    model: str, result: str, expected: tuple[float | None, ...]
) -> None:
    found = measure.errors_of(
        BlendshapeModelData.from_npz(compskin(model)), CompressedSkin.load(compskin(result))
    )
    for name, value in zip(("mae", "mxe", "rmse", "lap_rms"), expected, strict=True):
        assert value is None or found[name] == pytest.approx(value, rel=4e-3)
