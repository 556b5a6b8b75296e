# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters of one release as another's: through the vertices, with the error said."""

from __future__ import annotations

import numpy as np
import pytest
from flame_files import VERTICES, model

from core.errors import ModelError
from core.head.flame import FlameParameters, local_vertices, refit, vertices
from core.head.flame.model import CAP4D, STANDARD

FRAMES = 3


def performance(variant: str, mode: str = STANDARD, neck: float = 0.1) -> FlameParameters:
    """Moderate frames with an opening jaw."""
    rng = np.random.default_rng(7)
    return FlameParameters.of(
        variant,
        rng.normal(size=150) * 0.6,
        rng.normal(size=(FRAMES, 65 if mode == CAP4D else 100)) * 0.4,
        mode=mode,
        jaw=None
        if mode == CAP4D
        else np.c_[np.linspace(0, 0.3, FRAMES), rng.normal(size=(FRAMES, 2)) * 0.02],
        eyes=rng.normal(size=(FRAMES, 6)) * 0.2,
        neck=rng.normal(size=(FRAMES, 3)) * neck,
        rotation=rng.normal(size=(FRAMES, 3)) * 0.4,
        translation=rng.normal(size=(FRAMES, 3)),
    )


@pytest.mark.parametrize(("variant", "mode"), [("2020", STANDARD), ("2023_no_jaw", CAP4D)])
def test_a_refit_to_the_same_release_is_the_same_surface(variant, mode):
    flame, given = model(variant), performance(variant, mode)
    found = refit(flame, given, flame, ridge=1e-12)
    assert found.parameters.variant == variant and found.parameters.mode == mode
    assert found.error_mm.shape == (FRAMES,) and found.error_mm.max() < 0.005
    assert np.allclose(found.parameters.rotation, given.rotation) and np.allclose(
        found.parameters.eyes, given.eyes
    )
    if mode == STANDARD:
        assert np.allclose(found.parameters.jaw, given.jaw, atol=1e-4)
    assert np.allclose(found.parameters.translation, given.translation, atol=1e-5)


@pytest.mark.parametrize(
    ("source", "form", "target", "bound"),
    [
        ("2020", STANDARD, "2023_open", 0.6),
        ("2023", STANDARD, "2020", 0.6),
        ("2020", STANDARD, "2023_no_jaw", 1.5),
        ("2023_no_jaw", CAP4D, "2023_open", 1.5),
    ],
)
def test_releases_are_carried_over_and_the_error_is_what_it_says(source, form, target, bound):
    given = performance(source, form, neck=0.0)
    a, b = model(source), model(target)
    found = refit(a, given, b)
    assert found.error_mm.max() < bound and found.error_mm.max() < 0.6 * raw_error(source, form, target)
    share = b.weights[:, 1:].sum(axis=1)
    rows = b.at(np.arange(VERTICES), found.parameters.mode)
    away = np.linalg.norm(vertices(rows, found.parameters) - vertices(a.at(rows.rows, form), given), axis=2)
    said = 1000 * np.sqrt((away**2 * share).sum(axis=1) / share.sum())
    assert np.allclose(said, found.error_mm, rtol=1e-6)
    assert np.abs(found.parameters.expression).max() < 30


def raw_error(source: str, form: str, target: str) -> float:
    """Mean distance in mm when the numbers are taken as they are, which nobody may do."""
    given = performance(source, form, neck=0.0)
    other = FlameParameters.of(target, given.shape, given.expression[:, :64], jaw=given.jaw, eyes=given.eyes)
    a = local_vertices(model(source).at(np.arange(VERTICES), form), given)
    return 1000 * float(np.linalg.norm(a - local_vertices(model(target).whole, other), axis=2).mean())


def test_the_neck_becomes_part_of_the_pose_where_the_target_has_no_chain():
    given = performance("2020", neck=0.25)
    a, b = model("2020"), model("2023_no_jaw")
    found = refit(a, given, b)
    upper = a.weights[:, 0] < 1e-6
    away = vertices(b.cap4d, found.parameters) - vertices(a.whole, given)
    assert not np.any(found.parameters.neck)
    assert np.sqrt((away[:, upper] ** 2).sum(axis=2).mean()) < 0.0015


def test_the_jaw_is_found_though_expressions_could_imitate_it():
    given = performance("2020", neck=0.0)
    found = refit(model("2020"), given, model("2023"))
    assert np.abs(found.parameters.jaw - given.jaw).max() < 0.03


def test_frames_are_fitted_alike_in_whatever_block_they_fall(monkeypatch):
    given = performance("2020", neck=0.0)
    once = refit(model("2020"), given, model("2023"))
    monkeypatch.setattr("core.head.flame.refitting._BLOCK", 2)
    often = refit(model("2020"), given, model("2023"))
    assert np.allclose(often.parameters.expression, once.parameters.expression, atol=1e-6)


def test_weights_are_checked():
    for weights in (np.zeros(VERTICES), np.ones(3), -np.ones(VERTICES)):
        with pytest.raises(ModelError, match="weights"):
            refit(model("2020"), performance("2020"), model("2023"), weights=weights)
