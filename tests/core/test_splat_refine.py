# SPDX-License-Identifier: GPL-3.0-or-later
"""Corrections of pose and weights per picture: their gradient, what is between pictures, that they help."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.splat.refine import EXPRESSION, LIGHT, MOTION, SIZE, Refinement, motion_gradient, moved_view

torch = pytest.importorskip("torch")
pytest.importorskip("numba")

from core.splat.posing import pose  # noqa: E402
from core.splat.raster import gradients, render  # noqa: E402
from core.splat.trainer import RATES  # noqa: E402
from core.splat.view import View  # noqa: E402
from tests.core import splat_twin as twin  # noqa: E402
from tests.core.splat_bound_samples import avatar_of  # noqa: E402
from tests.core.splat_train_samples import patch_shots, patch_trainer, view_from  # noqa: E402

Array = np.ndarray

EYE = np.array([0.05, -0.03, 0.6])


def test_the_gradient_of_a_motion_is_that_of_a_picture():
    """Against differences of the plain float64 rasteriser, away from where it cuts Gaussians off."""
    splats = avatar_of(40, 0, 0)
    view = view_from(EYE, 40)
    drawn = pose(splats.gaussians, splats.surface, splats.surface.rest, np.zeros(0), view.centre).activated
    fields = ("means", "scales", "rotations", "opacities", "colours")
    wide: list[Any] = [torch.tensor(getattr(drawn, name).astype(np.float64)) for name in fields]
    background = torch.full((3,), 0.5, dtype=torch.float64)

    def picture(motion: Array) -> dict:
        means, scales, rotations, opacities, colours = wide
        seen = moved_view(view, motion)
        return twin.render(means, scales, rotations, opacities, colours, seen, background)

    off = np.random.default_rng(0).normal(size=(40, 40, 3))
    off[picture(np.zeros(6))["margin"].numpy() < 1e-3] = 0.0
    found = motion_gradient(drawn, gradients(render(drawn, view, (0.5, 0.5, 0.5)), off))
    step = 1e-6
    expected = [
        float(np.sum(off * (picture(step * way)["image"] - picture(-step * way)["image"]).numpy()))
        / (2 * step)
        for way in np.eye(6)
    ]
    assert np.allclose(found, expected, rtol=2e-3, atol=1e-3 * np.abs(expected).max())


def test_a_moved_view_sees_the_head_moved():
    view, motion = view_from(EYE), np.array([0.1, -0.2, 0.05, 0.01, -0.02, 0.03])
    moved = moved_view(view, motion)
    angle = np.linalg.norm(motion[:3])
    axis = motion[:3] / angle
    x, y, z = axis
    across = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn = np.eye(3) + np.sin(angle) * across + (1 - np.cos(angle)) * across @ across
    points = np.random.default_rng(1).normal(size=(5, 3))
    to = view.T_view_world
    expected = (points @ turn.T + motion[3:]) @ to[:3, :3].T + to[:3, 3]
    assert np.allclose(points @ moved.T_view_world[:3, :3].T + moved.T_view_world[:3, 3], expected)
    assert (moved.width, moved.fx, moved.cx) == (view.width, view.fx, view.cx)
    assert np.allclose(moved_view(view, np.zeros(6)).T_view_world, to)


def test_samples_between_pictures_take_what_is_around_them():
    refinement = Refinement(np.array([4, 6, 10]))
    refinement.values[:] = np.array([1.0, 3.0, 7.0])[:, None]
    for sample, value in ((0, 1), (4, 1), (5, 2), (6, 3), (9, 6), (10, 7), (99, 7)):
        assert np.allclose(refinement.at(sample), value)
    alone = Refinement(np.array([3]))
    alone.values[:] = 2.0
    assert np.allclose(alone.at(0), 2.0) and np.allclose(alone.at(3), 2.0)


def test_a_step_goes_downhill_by_its_rates_for_its_picture_alone():
    refinement = Refinement(np.arange(3), turn=0.1, shift=0.01, weight=0.2, gain=0.3)
    gradient = np.random.default_rng(0).normal(size=SIZE)
    refinement.step(1, gradient)
    rates = np.zeros(SIZE)
    rates[EXPRESSION], rates[LIGHT] = 0.2, 0.3
    rates[MOTION] = [0.1, 0.1, 0.1, 0.01, 0.01, 0.01]
    assert np.allclose(refinement.values[1], -rates * np.sign(gradient), rtol=1e-6)
    assert not refinement.values[[0, 2]].any()


def test_a_state_goes_on_to_the_same_bits():
    rng = np.random.default_rng(5)
    steps = [(int(rng.integers(3)), rng.normal(size=SIZE)) for _ in range(20)]
    through, begun, later = (Refinement(np.arange(3)) for _ in range(3))
    for index, gradient in steps:
        through.step(index, gradient, 0.7)
    for index, gradient in steps[:9]:
        begun.step(index, gradient, 0.7)
    later.restore({name: array.copy() for name, array in begun.state().items()})
    for index, gradient in steps[9:]:
        later.step(index, gradient, 0.7)
    assert np.array_equal(later.values, through.values)


def test_a_pose_that_was_tracked_wrongly_is_found(monkeypatch):
    """One picture's camera is off by 1 mm; Gaussians that are right show it the way back."""
    monkeypatch.setattr("core.splat.trainer.RATES", dict.fromkeys(RATES, (1e-9, 1e-9)))
    shots, off = patch_shots(avatar_of(150, 1, 3), 4), np.array([0, 0, 0, 0.0008, -0.0006, 0.0])
    changed = list(shots.shots)
    changed[3] = replace(changed[3], view=moved_view(changed[3].view, off))
    shots, truth = replace(shots, shots=tuple(changed)), shots.shots[3].view
    trainer = patch_trainer(400, shots=shots, start=avatar_of(150, 1, 3), densify_until=0.0)
    while trainer.iteration < 400:
        trainer.step()
    found = moved_view(changed[3].view, trainer.refinement.values[3, MOTION])
    assert misplaced(truth, found) < 0.4 * misplaced(truth, changed[3].view)


def misplaced(truth: View, found: View) -> float:
    """Metres across the picture between where two views see the patch, root mean square."""
    points = avatar_of().surface.rest.astype(np.float64)
    apart = found.T_view_world - truth.T_view_world
    return float(np.sqrt(np.mean(np.sum((points @ apart[:2, :3].T + apart[:2, 3]) ** 2, axis=1))))
