# SPDX-License-Identifier: GPL-3.0-or-later
"""The rasteriser: equal to its slow twin, right in space, and nothing drawn that is not to be seen."""

from __future__ import annotations

import numpy as np

from core.raster import rasterise


def slow_raster(pixels, depth, triangles, size):
    """One pixel and one triangle after the other."""
    triangle, weights = np.full(size, -1), np.zeros((*size, 3))
    for y in range(size[0]):
        for x in range(size[1]):
            nearest, centre = np.inf, np.array([x + 0.5, y + 0.5])
            for index, corners in enumerate(triangles):
                system = np.vstack([pixels[corners].T, np.ones(3)])
                if abs(np.linalg.det(system)) < 1e-9:
                    continue
                flat = np.linalg.solve(system, [*centre, 1.0])
                if flat.min() < 0:
                    continue
                real = flat / depth[corners]
                if 1 / real.sum() < nearest:
                    nearest = 1 / real.sum()
                    triangle[y, x], weights[y, x] = index, real / real.sum()
    return triangle, weights


def test_raster_equals_its_slow_twin():
    rng = np.random.default_rng(3)
    pixels, depth = rng.uniform(-6, 30, (40, 2)), rng.uniform(0.5, 2.0, 40)
    triangles, size = rng.integers(0, 40, (30, 3)), (20, 26)
    fast = rasterise(pixels, depth, triangles, size, cull=False)
    triangle, weights = slow_raster(pixels, depth, triangles, size)
    np.testing.assert_array_equal(fast.triangle, triangle)
    np.testing.assert_allclose(fast.weights, weights, atol=1e-5)
    assert 0.3 < fast.covered.mean() < 1.0


def test_raster_weights_are_those_of_space():
    """The weights at a pixel give the point whose projection is the pixel's centre."""
    rng = np.random.default_rng(4)
    points = rng.uniform(-1, 1, (60, 3)) - [0, 0, 3]
    pixels = 30 * points[:, :2] * [1, -1] / -points[:, 2:] + 16
    triangles = rng.integers(0, 60, (40, 3))
    buffer = rasterise(pixels, -points[:, 2], triangles, (32, 32), cull=False)
    hit = buffer.sample(triangles, points)
    y, x = np.nonzero(buffer.covered)
    np.testing.assert_allclose(30 * hit[:, :2] * [1, -1] / -hit[:, 2:] + 16, np.c_[x, y] + 0.5, atol=1e-3)
    np.testing.assert_allclose(-hit[:, 2], buffer.depth[buffer.covered], rtol=1e-5)


def test_raster_leaves_out_backs_and_what_is_behind_the_camera():
    pixels, depth = np.array([[0.0, 0], [0, 8], [8, 0]]), np.ones(3)
    facing = np.array([[0, 1, 2]])
    assert rasterise(pixels, depth, facing, (8, 8)).covered.any()
    assert not rasterise(pixels, depth, facing[:, ::-1], (8, 8)).covered.any()
    assert not rasterise(pixels, np.array([1, 1, -1.0]), facing, (8, 8)).covered.any()
