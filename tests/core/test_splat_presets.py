# SPDX-License-Identifier: GPL-3.0-or-later
"""What is decided before a training: preset, time, directions of expression, degree of the harmonics."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from core.errors import SettingsError
from core.splat.expression_basis import fit_basis
from core.splat.presets import PRESETS, estimate, preset_of

pytest.importorskip("numba")

from core.splat.train import duration, sh_degree, with_tests
from tests.core.splat_bound_samples import avatar_of
from tests.core.splat_train_samples import patch_shots, view_from


def test_a_finer_preset_takes_longer():
    assert list(PRESETS) == ["draft", "low", "medium", "default", "high"]
    presets = list(PRESETS.values())
    for one, next_ in pairwise(presets):
        assert one.iterations < next_.iterations and one.gaussians < next_.gaussians
        assert one.resolution <= next_.resolution and one.latents <= next_.latents
        for size in ((512, 512), (1920, 1080), (312, 416)):
            assert estimate(one.name, 180, 2, size) < estimate(next_.name, 180, 2, size)
    assert all(preset.seed_count <= preset.gaussians for preset in presets)


def test_an_estimate_follows_its_inputs():
    assert estimate("default", 400) > estimate("default", 100)
    assert estimate("default", 100, cores=1) > estimate("default", 100, cores=2) > estimate("default", 100, 8)
    assert estimate("default", 100, 2, (1024, 1024)) == estimate("default", 100, 2, (4096, 4096))
    assert estimate("high", 100, 2, (1024, 1024)) > estimate("high", 100, 2, (512, 512))
    assert 60 < estimate("default", 180, 2) < 300, "what the default preset promises"


def test_an_unknown_preset_names_the_known():
    with pytest.raises(SettingsError) as caught:
        preset_of("best")
    assert "draft, low, medium, default, high" in caught.value.hint


def test_times_as_people_say_them():
    assert [duration(s) for s in (0, 3, 47, 89, 91, 3600)] == [
        "1 s",
        "5 s",
        "45 s",
        "90 s",
        "2 min",
        "60 min",
    ]


def talking(frames: int, rank: int = 3, seed: int = 0) -> np.ndarray:
    """(T, 52) weights that move in a few directions, and a little noise."""
    rng = np.random.default_rng(seed)
    return (
        0.3
        + rng.normal(size=(frames, rank)) @ rng.normal(0, 0.1, (rank, 52))
        + rng.normal(0, 1e-4, (frames, 52))
    )


def test_a_basis_holds_what_moves_and_no_more():
    weights = talking(200)
    basis = fit_basis(weights, 8)
    assert len(basis) == 3, "the noise is no direction"
    latent = basis.latent(weights)
    assert np.allclose(latent.mean(axis=0), 0, atol=1e-4) and np.allclose(latent.std(axis=0), 1, atol=1e-3)
    assert np.allclose(np.corrcoef(latent.T), np.eye(3), atol=1e-3)
    assert len(fit_basis(weights, 2)) == 2


def test_a_basis_stays_near_what_was_seen():
    weights = talking(200)
    basis, seen = fit_basis(weights, 3), fit_basis(weights, 3).latent(weights)
    wild = basis.latent(talking(50, seed=3) * 10)
    room = 0.11 * np.ptp(seen, axis=0)
    assert np.all(wild >= seen.min(axis=0) - room) and np.all(wild <= seen.max(axis=0) + room)


def test_few_pictures_have_few_directions():
    assert len(fit_basis(talking(4), 8)) == 0
    assert len(fit_basis(np.repeat(talking(1), 300, axis=0), 8)) == 0
    assert len(fit_basis(talking(25, 8), 8)) <= 6


def seen_from(spread: float, count: int = 60):
    """Shots from directions up to so many degrees aside."""
    shots = patch_shots(avatar_of(20, 0, 0), 1, side=16)
    angles = np.radians(np.linspace(-spread, spread, count))
    views = [view_from(0.6 * np.array([np.sin(a), 0.0, np.cos(a)])) for a in angles]
    return replace(shots, shots=tuple(replace(shots.shots[0], view=view) for view in views))


def test_harmonics_need_views_that_hold_them_in_check():
    assert [sh_degree(seen_from(spread)) for spread in (2, 15, 60)] == [0, 1, 2]
    assert sh_degree(seen_from(60, count=12)) == 0


def test_a_long_take_spares_some_pictures_for_tests():
    shots = seen_from(10, 140)
    spared = with_tests(shots)
    assert 8 <= len(spared.held) <= 12 and len(spared.held) + len(spared.train) == 140
    assert with_tests(seen_from(10, 40)).held == ()
    assert with_tests(replace(shots, ordered=False)).held == ()
