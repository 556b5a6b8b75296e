# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb `export-fit`: FLAME's own parameters come back, weights are mapped, the rest is a sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.__main__ import main
from core.arkit import ARKIT_NAMES
from core.avatar import Avatar
from core.camera import Camera
from core.fit.fit_npz import FlameFit, read_fit
from core.fit.flame_exchange import performance_of
from core.fit.mapping import Mapping
from core.performance import Performance
from core.rotation import from_rotation_vector, to_rotation_vector

FRAMES = 5


def made_fit() -> FlameFit:
    """A fit before one camera that stands at the origin."""
    rng = np.random.default_rng(1)
    return FlameFit(
        expr=rng.normal(size=(FRAMES, 65)),
        rot=rng.normal(size=(FRAMES, 3)) * 0.3,
        tra=rng.normal(size=(FRAMES, 3)) * 0.05 + [0, 0, -1.2],
        eye_rot=np.c_[rng.normal(size=(FRAMES, 2)) * 0.2, np.zeros(FRAMES)],
        fx=np.array([2000.0]),
        fy=np.array([2000.0]),
        cx=np.array([380.0]),
        cy=np.array([500.0]),
        extr=np.eye(4)[None],
        resolutions=np.array([[1008, 756]]),
        shape=rng.normal(size=150),
        fps=25.0,
    )


def tracked() -> Performance:
    """What tracking and fitting our own body give: weights, pose, camera, and no FLAME."""
    rng = np.random.default_rng(2)
    size = np.array([[640, 480]], np.int64)
    return Performance(
        "take",
        np.arange(FRAMES) / 25.0,
        rng.uniform(0, 1, (FRAMES, 52)),
        head_rotation=from_rotation_vector(rng.normal(size=(FRAMES, 3)) * 0.2),
        head_translation=rng.normal(size=(FRAMES, 3)) * 0.01,
        gaze=rng.uniform(-0.2, 0.2, (FRAMES, 2, 2)),
        camera=Camera(np.array([900.0]), np.array([[320.0, 240.0]]), size, np.array([0.0, 0.0, -0.6])),
    )


def export(tmp_path: Path, performance: Performance, *options: object) -> int:
    """Exit status of the verb for an avatar with this performance."""
    folder = tmp_path / "Ada.avatar"
    Avatar.create(folder, "Ada").add_performance(performance)
    return main(["export-fit", str(folder), "-o", str(tmp_path / "fit.npz"), *map(str, options)])


def mapping(tmp_path: Path, variant: str = "2023_no_jaw/cap4d", count: int = 65) -> tuple[Path, Mapping]:
    """A made-up mapping in a file."""
    matrix = np.random.default_rng(3).normal(size=(52, count + 9))
    made = Mapping.linear(ARKIT_NAMES, matrix, variant=variant)
    made.save(tmp_path / "mapping.npz")
    return tmp_path / "mapping.npz", made


def test_a_fit_comes_back_as_it_was(tmp_path):
    fit = made_fit()
    assert export(tmp_path, performance_of(fit, "take"), "--performance", "take") == 0
    back = read_fit(tmp_path / "fit.npz")
    for name in ("shape", "expr", "rot", "tra", "eye_rot", "fx", "fy", "cx", "cy", "resolutions"):
        assert np.allclose(getattr(back, name), getattr(fit, name), rtol=0, atol=2e-6), name


def test_weights_are_mapped_and_the_pose_is_that_of_the_take(tmp_path):
    path, made = mapping(tmp_path)
    take = tracked()
    assert export(tmp_path, take, "--mapping", path) == 0
    back = read_fit(tmp_path / "fit.npz")
    assert np.allclose(back.expr, made.convert(take.weights).expression, atol=1e-5)
    assert np.allclose(back.rot, to_rotation_vector(take.head_rotation), atol=1e-6)
    assert np.allclose(back.tra, take.head_translation + np.array([0, 0, -0.6]), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variant": "2020"}, "gives 65 expressions of 2020; a fit.npz holds 65 of FLAME 2023_no_jaw"),
        ({"count": 50}, "gives 50 expressions of"),
    ],
)
def test_a_mapping_to_another_model_is_refused(tmp_path, capsys, change, message):
    path, _made = mapping(tmp_path, **change)
    assert export(tmp_path, tracked(), "--mapping", path) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "fit.npz").exists()


def test_without_any_flame_it_says_what_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("LIKENESS_MODELS", raising=False)
    assert export(tmp_path, tracked()) == 1
    assert "'flame_2023_no_jaw' is in none of the model folders" in capsys.readouterr().err
    assert not (tmp_path / "fit.npz").exists()


def test_recorded_weights_have_no_camera(tmp_path, capsys):
    path, _made = mapping(tmp_path)
    take = replace(tracked(), camera=None)
    assert export(tmp_path, take, "--mapping", path) == 1
    assert "has no camera" in capsys.readouterr().err
