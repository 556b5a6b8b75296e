# SPDX-License-Identifier: GPL-3.0-or-later
"""In-betweens and combinations: against the definition, the published tables and a published animation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from skin_models import BETWEEN, COMBINED, compskin

from core.skin.checks import read_members
from core.skin.rig_logic import compute_rig_logic


def plainly(row: np.ndarray, between: dict[Any, Any], combined: dict[Any, Any]) -> list[float]:
    """The definition for one frame, value by value, on one list that is written as it goes."""
    out = [float(c) for c in row] + [0.0] * (between["num_indices"] + combined["num_indices"])
    for key, value in between.items():
        if key == "num_indices":
            continue
        x1, x2, x3 = map(float, key.split(","))
        for target, source in zip(*value, strict=True):
            x = float(row[source])
            out[target] = (
                (x - x1) / (x2 - x1) if x1 <= x < x2 else (x3 - x) / (x3 - x2) if x2 <= x < x3 else 0.0
            )
    for key, value in combined.items():
        if key == "num_indices":
            continue
        made = [float(np.prod([out[c] for c in factors])) for factors in zip(*value[:-1], strict=True)]
        for target, product in zip(value[-1], made, strict=True):
            out[target] = product
    return out


def rig287() -> tuple[dict[Any, Any], dict[Any, Any]]:
    """The tables of a published rig with 72 controls and 287 shapes."""
    members = read_members(compskin("rig287.npz"), "rig")
    return members["inbetween_info"], members["combination_info"]


def test_small_tables_are_evaluated_as_defined():
    control = np.random.default_rng(0).uniform(-0.3, 1.3, (200, 5))
    out = compute_rig_logic(control, BETWEEN, COMBINED)
    assert out.shape == (200, 8) and out.dtype == np.float64
    for row, expected in zip(out, control, strict=True):
        assert np.allclose(row, plainly(expected, BETWEEN, COMBINED), rtol=0, atol=1e-15)


def test_later_groups_see_what_earlier_ones_made():
    row = compute_rig_logic(np.array([[0.5, 0.5, 0.25, 0.5, 0.0]]), BETWEEN, COMBINED)[0]
    assert row[5] == 1.0 and row[6] == 0.5 and row[7] == 0.5 * 0.25 * 0.5
    swapped = {"num_indices": 2, 3: COMBINED[3], 2: COMBINED[2]}
    row = compute_rig_logic(np.array([[0.5, 0.5, 0.25, 0.5, 0.0]]), BETWEEN, swapped)[0]
    assert row[6] == 0.5 and row[7] == 0.0


@pytest.mark.parametrize(
    ("value", "expected"),
    [(-0.1, 0), (0.25, 0), (0.375, 0.5), (0.5, 1), (0.75, 0.5), (1.0, 0), (1.1, 0)],
)
def test_a_hat_is_closed_below_and_open_above(value, expected):
    table = {"num_indices": 1, "0.25,0.5,1.0": [[1], [0]]}
    assert compute_rig_logic(np.array([[value]]), table, {"num_indices": 0})[0, 1] == expected


def test_a_hat_without_a_side_divides_by_nothing():
    for key, at_half in (("0.5,0.5,1.0", 1.0), ("0.0,0.5,0.5", 0.0), ("0.5,0.5,0.5", 0.0)):
        table = {"num_indices": 1, key: [[1], [0]]}
        out = compute_rig_logic(np.array([[0.5]]), table, {})
        assert out[0, 1] == at_half


def test_what_nothing_fills_is_zero_and_nothing_is_clamped():
    out = compute_rig_logic(np.array([[2.5, -1.0]]), {"num_indices": 2}, {"num_indices": 3})
    assert out.tolist() == [[2.5, -1.0, 0, 0, 0, 0, 0]]
    assert compute_rig_logic(np.zeros((0, 2)), {}, {}).shape == (0, 2)
    control = np.array([[2.0, -3.0]])
    assert compute_rig_logic(control, {}, {"num_indices": 1, 2: [[0], [1], [2]]})[0, 2] == -6.0
    assert compute_rig_logic(control.astype(np.float16), {}, {}).dtype == np.float32


def test_controls_are_not_written_to():
    control = np.ones((1, 2))
    compute_rig_logic(control, {}, {"num_indices": 0, 1: [[0], [1]]})[0, 0] = 7
    assert control.tolist() == [[1, 1]]


def test_the_published_tables_are_evaluated_as_defined():
    between, combined = rig287()
    control = np.random.default_rng(1).random((60, 72))
    out = compute_rig_logic(control, between, combined)
    assert out.shape == (60, 287)
    assert np.allclose(out, [plainly(row, between, combined) for row in control], rtol=0, atol=1e-14)


def test_a_published_animation_was_evaluated_in_this_way():
    """Its columns after the controls are another rig's shapes; most are those that the tables make too."""
    weights = read_members(compskin("test_anim.npz"), "animation")["weights"].astype(np.float32)
    made = compute_rig_logic(weights[::4, :72], *rig287())[:, 72:]
    held = weights[::4, 72:]
    moving = held[:, np.abs(held).max(axis=0) > 0.02]
    off = [np.abs(made - column[:, None]).max(axis=0).min() for column in moving.T]
    assert moving.shape[1] > 100
    assert np.mean(np.array(off) < 2e-3) > 0.85
