# SPDX-License-Identifier: GPL-3.0-or-later
"""The UV layout of models that come without one, and connected pieces."""

from __future__ import annotations

import numpy as np
import pytest
from flame_files import _ball

from core.head.components import components
from core.head.unwrap import EYES, cylinder_uv, disc_uv


def area(uv: np.ndarray) -> np.ndarray:
    a, b = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def test_a_ball_becomes_a_disc_in_its_square_and_its_pupil_the_middle():
    points, triangles = _ball()
    uv = disc_uv(points * 0.012 + [0.03, 0, 0.08], triangles, np.array([0.03, 0, 0.08]), EYES[0])
    low, high = np.array(EYES[0][:2]), np.array(EYES[0][2:])
    assert np.all(uv >= low) and np.all(uv <= high)
    middle, radius = (low + high) / 2, (high - low).min() / 2
    assert np.allclose(uv[triangles == 0], middle, atol=1e-6)
    assert np.linalg.norm(uv - middle, axis=2).max() <= radius
    size = area(uv)
    assert np.all(size > -1e-6)  # nothing is mirrored
    assert np.linalg.norm(np.ptp(uv, axis=1), axis=1).max() < 0.4 * radius  # nothing spans the disc


@pytest.mark.parametrize("turn", [0.0, 0.3])
def test_a_closed_cylinder_unwraps_without_folds_or_spans(turn):
    around, rings = 40, 12
    angle = np.linspace(0, 2 * np.pi, around, endpoint=False) + turn
    points = np.stack(
        [
            np.tile(np.sin(angle), rings),
            np.repeat(np.linspace(-1, 1, rings), around),
            np.tile(np.cos(angle), rings),
        ],
        1,
    )
    i, j = np.meshgrid(np.arange(rings - 1), np.arange(around), indexing="ij")
    a, b = i * around + j, i * around + (j + 1) % around
    triangles = np.concatenate(
        [
            np.stack([a, b, b + around], -1).reshape(-1, 3),
            np.stack([a, b + around, a + around], -1).reshape(-1, 3),
        ]
    )
    uv = cylinder_uv(points, triangles, np.zeros(3))
    assert uv.min() >= 0 and uv.max() <= 1
    assert np.all(area(uv) > 0) and np.ptp(uv[..., 0], axis=1).max() < 2 / around
    front = points[triangles][..., 2].min(axis=1) > 0.95
    assert np.allclose(uv[front][..., 0], 0.5, atol=0.06)  # the face is in the middle
    assert uv[..., 1].min() > 0.25  # and nothing is hidden


def test_what_lies_behind_the_face_gets_a_chart_of_its_own():
    outer = np.array([[-0.5, -0.5, 1], [0.5, -0.5, 1], [0, 0.5, 1], [0, 0.2, -1.0]])
    inner = outer[:3] * [0.5, 0.5, 0.6] + [0, 0, 0.2]
    triangles = np.array([[0, 1, 2], [4, 6, 5]])
    uv = cylinder_uv(np.concatenate([outer, inner]), triangles, np.zeros(3))
    assert uv[0, :, 1].min() > 0.25 and uv[1, :, 1].max() < 0.25


def test_pieces_are_numbered_by_their_first_vertex():
    faces = np.array([[5, 6, 7, -1], [0, 1, 2, 3], [3, 4, 0, -1]])
    assert components(9, faces).tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 2]


def test_a_long_chain_is_one_piece():
    order = np.random.default_rng(0).permutation(3000)
    faces = np.stack([order[:-2], order[1:-1], order[2:]], axis=1)
    assert not components(3000, faces).any()


def test_only_the_last_edge_of_a_polygon_can_join_it():
    """A triangle's closing edge, whose last corner is -1, and a quad's."""
    assert components(4, np.array([[0, 1, 2, -1], [3, 3, 2, -1]])).tolist() == [0, 0, 0, 0]
