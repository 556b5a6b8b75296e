# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME's expressions turned back into the 52 weights."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from core.arkit import ARKIT_NAMES, INDEX
from core.errors import ModelError, SettingsError
from core.fit.fit_npz import FlameFit, write_fit
from core.fit.flame_exchange import eye_rotation_of
from core.fit.flame_weights import performance_of_fit, weights_of
from core.fit.mapping import Mapping
from core.fit.mapping.mapping import Layer

Array = np.ndarray


def mapping_of(seed: int = 0, count: int = 65) -> Mapping:
    """Every weight has a direction of its own, as far as there is room."""
    rng = np.random.default_rng(seed)
    matrix = np.zeros((52, count + 9))
    matrix[:, :count] = rng.normal(size=(52, count))
    return Mapping.linear(ARKIT_NAMES, matrix, np.r_[rng.normal(size=count), np.zeros(9)], variant="")


def few(frames: int = 30, seed: int = 1) -> Array:
    """(T, 52) weights, most of them at rest."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0.1, 1, (frames, 52)) * (rng.random((frames, 52)) < 0.2)


def fit_of(expression: Array, gaze: Array) -> FlameFit:
    zero, away = np.zeros((len(expression), 3)), np.tile([0.0, 0.0, -1.2], (len(expression), 1))
    return FlameFit(
        expression, zero, away, eye_rotation_of(gaze), np.array([900.0]), np.array([900.0]),
        np.array([256.0]), np.array([256.0]), np.eye(4)[None], np.array([[512, 512]]), fps=25.0,
    )  # fmt: skip


def test_what_a_mapping_made_of_weights_gives_them_back():
    mapping, weights = mapping_of(), few()
    found = weights_of(mapping.convert(weights).expression, mapping)
    assert np.abs(found - weights).max() < 0.06  # the toll on every weight takes a little
    assert np.abs(found - weights).mean() < 0.01


def test_weights_stay_between_none_and_all():
    mapping = mapping_of()
    wild = 5 * np.random.default_rng(2).normal(size=(20, 65))
    found = weights_of(wild, mapping)
    assert found.min() >= 0.0
    assert found.max() <= 1.0


def test_no_change_of_one_weight_makes_it_better():
    mapping, rng = mapping_of(), np.random.default_rng(3)
    root = rng.normal(size=(65, 65))
    gram, wanted = root @ root.T, rng.normal(0, 2, (4, 65))
    found = weights_of(wanted, mapping, gram=gram).astype(np.float64)
    matrix, bias = mapping.layers[0].weight[:, :65], mapping.layers[0].bias[:65]
    curvature = matrix @ gram @ matrix.T
    toll = 0.01 * np.trace(curvature) / 52

    def cost(weights: Array) -> Array:
        off = weights @ matrix + bias - wanted
        return np.einsum("te,ef,tf->t", off, gram, off) + toll * np.sum(weights**2, axis=1)

    least = cost(found)
    for k in range(52):
        for step in (-0.02, 0.02):
            moved = found.copy()
            moved[:, k] = np.clip(moved[:, k] + step, 0, 1)
            assert np.all(cost(moved) >= least * (1 - 1e-6))


def test_known_weights_are_left_and_taken_into_account():
    mapping, weights = mapping_of(), few()
    columns = [INDEX["eyeLookUpLeft"], INDEX["jawOpen"]]
    found = weights_of(mapping.convert(weights).expression, mapping, (columns, weights[:, columns]))
    np.testing.assert_allclose(found[:, columns], weights[:, columns], atol=1e-6)
    assert np.abs(found - weights).max() < 0.06


def test_a_fit_drives_with_a_mapping_alone(tmp_path: Path):
    mapping, weights, gaze = mapping_of(), few(), np.full((30, 2), [0.2, -0.1])
    for side, yaw in (("Left", "Out"), ("Right", "In")):
        for name in ("In", "Out", "Up", "Down"):
            weights[:, INDEX[f"eyeLook{name}{side}"]] = 0.0
        weights[:, INDEX[f"eyeLook{yaw}{side}"]] = 0.2 / np.radians(30)
        weights[:, INDEX[f"eyeLookDown{side}"]] = 0.1 / np.radians(30)
    write_fit(tmp_path / "fit.npz", fit_of(mapping.convert(weights).expression, gaze))
    mapping.save(tmp_path / "mapping.npz")
    performance = performance_of_fit(tmp_path / "fit.npz", mapping=tmp_path / "mapping.npz")
    assert np.abs(performance.weights - weights).max() < 0.06
    assert performance.gaze is not None
    np.testing.assert_allclose(performance.gaze[:, 0], gaze, atol=1e-6)
    assert performance.time[1] == pytest.approx(1 / 25)


def test_a_fit_without_flame_or_mapping_is_refused(tmp_path: Path, monkeypatch):
    monkeypatch.delenv("LIKENESS_MODELS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    write_fit(tmp_path / "fit.npz", fit_of(np.zeros((2, 65)), np.zeros((2, 2))))
    with pytest.raises(ModelError, match="neither that model nor a mapping") as caught:
        performance_of_fit(tmp_path / "fit.npz")
    assert "--mapping" in caught.value.hint


def test_with_the_model_the_vertices_decide(tmp_path: Path, monkeypatch):
    """A coefficient that moves nothing must not be heard."""
    mapping, weights, rng = mapping_of(), few(), np.random.default_rng(5)
    shapes = rng.normal(size=(65, 30, 3))
    shapes[60:] = 0.0

    class Basis:
        def at(self, rows: Array) -> Array:
            return shapes[:, rows]

    flame = SimpleNamespace(
        expression_count=65,
        head=SimpleNamespace(expression=Basis(), row_count=30),
        mapping=lambda given: mapping if given is None else None,
    )
    monkeypatch.setattr("core.fit.flame_head.open_flame", lambda *_, **__: flame)
    expression = mapping.convert(weights).expression
    expression[:, 60:] += rng.normal(0, 50, (30, 5))
    for name in (name for name in ARKIT_NAMES if name.startswith("eyeLook")):
        expression[:, :60] -= weights[:, INDEX[name], None] * mapping.layers[0].weight[INDEX[name], :60]
        weights[:, INDEX[name]] = 0.0
    write_fit(tmp_path / "fit.npz", fit_of(expression, np.zeros((30, 2))))
    found = performance_of_fit(tmp_path / "fit.npz").weights
    assert np.abs(found - weights).mean() < 0.05


def test_mappings_without_an_inverse_are_refused(tmp_path: Path):
    wide = Mapping(
        ARKIT_NAMES,
        (Layer(np.ones((52, 4)), np.zeros(4)), Layer(np.ones((4, 74)), np.zeros(74))),
    )
    with pytest.raises(SettingsError, match="network"):
        weights_of(np.zeros((1, 65)), wide)
    write_fit(tmp_path / "fit.npz", fit_of(np.zeros((2, 65)), np.zeros((2, 2))))
    mapping_of(count=100).save(tmp_path / "other.npz")
    with pytest.raises(SettingsError, match="100 expressions"):
        performance_of_fit(tmp_path / "fit.npz", mapping=tmp_path / "other.npz")
