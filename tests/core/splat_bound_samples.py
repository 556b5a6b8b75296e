# SPDX-License-Identifier: GPL-3.0-or-later
"""A small surface, posed, with Gaussians on it."""

from __future__ import annotations

import numpy as np

from core.splat.bound import BoundGaussians, ExpressionBasis
from core.splat.splat_avatar import SplatAvatar
from core.splat.surface import HeadSurface

Array = np.ndarray

EYE = np.array([0.1, 0.05, 0.6], np.float32)


def surface_of(side: int = 6, seed: int = 1) -> HeadSurface:
    """A bumpy patch of 2 side^2 triangles, 16 cm wide."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: side + 1, : side + 1] / side - 0.5
    rest = np.stack([0.16 * x, 0.16 * y, 0.05 * np.cos(3 * x + 2 * y)], -1).reshape(-1, 3)
    rest += rng.normal(0, 0.002, rest.shape)
    cell = (np.arange(side)[:, None] * (side + 1) + np.arange(side)).ravel()
    a, b, c, d = cell, cell + 1, cell + side + 2, cell + side + 1
    triangles = np.stack([np.stack([a, b, c], 1), np.stack([a, c, d], 1)], 1).reshape(-1, 3)
    rows = 3 * np.arange(len(rest))
    return HeadSurface(rows, triangles, np.ones(len(triangles), np.uint8), rest)


def avatar_of(count: int = 67, degree: int = 1, latents: int = 3, seed: int = 0) -> SplatAvatar:
    """Random Gaussians on the patch."""
    rng = np.random.default_rng(seed)
    surface = surface_of()
    directions = rng.normal(size=(latents, 52))
    basis = ExpressionBasis(rng.uniform(0, 0.2, 52), directions, -np.ones(latents), np.full(latents, 1.5))
    gaussians = BoundGaussians(
        np.sort(rng.integers(0, len(surface), count)),
        rng.normal(0, 0.4, (count, 3)),
        rng.normal(-1, 0.5, (count, 3)),
        rng.normal(size=(count, 4)),
        rng.normal(0, 1.5, count),
        rng.normal(0, 0.3, (count, (degree + 1) ** 2, 3)),
        basis,
        rng.normal(0, 0.2, (count, latents, 14)),
    )
    return SplatAvatar(surface, gaussians, "patch", "ab", "12", "Sample", {"psnr": 30.0})


def posed_vertices(surface: HeadSurface, seed: int = 5) -> Array:
    """(n, 3): turned half about, stretched and shaken."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    moved = (surface.rest * [1.2, 0.9, 1.0]) @ turn.T + [0.01, 0.02, 0.03]
    return (moved + rng.normal(0, 0.002, moved.shape)).astype(np.float32)
