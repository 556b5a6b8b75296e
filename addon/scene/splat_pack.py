# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussians and triangle frames as tables for `splat_shader`: numpy only.

A table of p parts of n entries is (p * rows, WIDTH, 4) float32 with rows = ceil(n / WIDTH): entry i of part p
is in row p * rows + i // WIDTH and column i % WIDTH.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...core.splat.bound import COLOUR, LOG_SCALE, MEAN, OPACITY, ROTATION, BoundGaussians
from ...core.splat.files.triangles import Frames

Array = np.ndarray

WIDTH = 1024
"""Columns of every table. 16384 rows, the least that a graphics card of Blender's allows, hold a million
Gaussians of degree 3 and 60,000 with the most latents."""


@dataclass(frozen=True)
class Tables:
    """What does not change while a head plays."""

    stored: Array
    """Three parts: mean and triangle; log scale and opacity logit; quaternion."""
    offsets: Array
    """Four parts per latent: d mean, d logit; d log scale; d quaternion; d colour."""
    harmonics: Array
    """The coefficients of a Gaussian one after the other, red green blue, four to an entry."""
    rest: Array
    """Three parts: the axes of each triangle's frame at rest."""


def rows_of(count: int) -> int:
    """Rows that a part of `count` entries takes."""
    return max(-(-count // WIDTH), 1)


def table(parts: Array) -> Array:
    """(p * rows, WIDTH, 4) float32 of (p, n, 4), the rest zeros."""
    count = parts.shape[1]
    rows = rows_of(count)
    found = np.zeros((len(parts), rows * WIDTH, 4), np.float32)
    found[:, :count] = parts
    return found.reshape(-1, WIDTH, 4)


def tables_of(gaussians: BoundGaussians, rest_axes: Array) -> Tables:
    """Pack Gaussians and the axes (F, 3, 3) of their triangles at rest, axes in the columns."""
    g, count, latents = gaussians, len(gaussians), len(gaussians.basis)
    stored = np.zeros((3, count, 4), np.float32)
    stored[0, :, :3], stored[0, :, 3] = g.means, g.binding
    stored[1, :, :3], stored[1, :, 3] = g.log_scales, g.opacity_logits
    stored[2] = g.rotations
    moved = np.zeros((latents, 4, count, 4), np.float32)
    offsets = g.offsets.transpose(1, 0, 2)
    moved[:, 0, :, :3], moved[:, 0, :, 3] = offsets[..., MEAN], offsets[..., OPACITY]
    moved[:, 1, :, :3] = offsets[..., LOG_SCALE]
    moved[:, 2] = offsets[..., ROTATION]
    moved[:, 3, :, :3] = offsets[..., COLOUR]
    numbers = 3 * g.sh.shape[1]
    padded = np.zeros((count, -(-numbers // 4) * 4), np.float32)
    padded[:, :numbers] = g.sh.reshape(count, numbers)
    axes = np.zeros((3, len(rest_axes), 4), np.float32)
    axes[:, :, :3] = rest_axes.transpose(2, 0, 1)
    return Tables(
        stored=table(stored),
        offsets=table(moved.reshape(4 * latents, count, 4) if latents else np.zeros((1, 1, 4), np.float32)),
        harmonics=table(padded.reshape(count, -1, 4).transpose(1, 0, 2)),
        rest=table(axes),
    )


def affine_of(frames: Frames) -> Array:
    """(3, F, 4) float32 rows of what takes a triangle's own coordinates to the surface's."""
    found = np.empty((3, len(frames.scales), 4), np.float32)
    scales = frames.scales.astype(np.float32)[:, None]
    for row in range(3):
        np.multiply(frames.axes[:, row], scales, out=found[row, :, :3], casting="same_kind")
        found[row, :, 3] = frames.middles[:, row]
    return found


def frames_table(affine: Array, latent: Array) -> Array:
    """The table of (3, F, 4) rows, and in one more row the latents, one in each entry."""
    rows = rows_of(affine.shape[1])
    found = np.zeros((3 * rows + 1, WIDTH, 4), np.float32)
    found[:-1].reshape(3, rows * WIDTH, 4)[:, : affine.shape[1]] = affine
    found[-1, : len(latent), 0] = latent
    return found


def order_table(order: Array) -> Array:
    """(rows, WIDTH) float32 of indices (n,); float32 tells integers apart up to 2^24."""
    found = np.zeros(rows_of(len(order)) * WIDTH, np.float32)
    found[: len(order)] = order
    return found.reshape(-1, WIDTH)
