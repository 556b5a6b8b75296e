# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussians for the tests of files: like a head's in size and number of everything that matters."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest

from core import rotation
from core.errors import LikenessError
from core.splat.files.animated_ply import AnimatedSplats
from core.splat.gaussians import Gaussians

FIELDS = ("means", "log_scales", "rotations", "opacity_logits", "sh")


def gaussians(count: int = 200, degree: int = 3, seed: int = 0, spread: float = 0.1) -> Gaussians:
    """Gaussians around the origin, `spread` metres wide."""
    rng = np.random.default_rng(seed)
    sh = rng.normal(size=(count, (degree + 1) ** 2, 3)) * 0.1
    sh[:, 0] = rng.uniform(-1.5, 1.5, (count, 3))
    return Gaussians(
        rng.normal(size=(count, 3)) * spread,
        rng.uniform(-8, -4, (count, 3)),
        rng.normal(size=(count, 4)),
        rng.normal(size=count) * 3,
        sh,
    )


def animated(count: int = 60, frames: int = 4, degree: int = 3) -> AnimatedSplats:
    """A wavy sheet of 6 x 5 vertices with Gaussians on it."""
    x, y = np.meshgrid(np.linspace(-0.1, 0.1, 6), np.linspace(-0.15, 0.15, 5))
    base = np.stack([x, y, 0.05 * np.cos(9 * x) - y * y], axis=-1).reshape(-1, 3)
    corner = (np.arange(4)[:, None] * 6 + np.arange(5)).reshape(-1)
    faces = np.concatenate(
        [np.stack([corner, corner + 1, corner + 7], 1), np.stack([corner, corner + 7, corner + 6], 1)]
    )
    phase = np.arange(frames)[:, None, None]
    offsets = 0.01 * np.sin(phase + 30 * base[None, :, ::-1])
    rng = np.random.default_rng(1)
    local = gaussians(count, degree, spread=0.4)
    return AnimatedSplats(faces, base, local, rng.integers(0, len(faces), count), offsets - offsets[0])


def same(read: Gaussians, given: Gaussians, tolerance: float = 1e-5) -> None:
    """Both sets are equal; rotations up to length and sign."""
    for name in ("means", "log_scales", "opacity_logits", "sh"):
        one, other = getattr(read, name), getattr(given, name)
        assert one.shape == other.shape and np.allclose(one, other, atol=tolerance), name
    a, b = (q.rotations / np.linalg.norm(q.rotations, axis=1, keepdims=True) for q in (read, given))
    assert np.abs((a * b).sum(axis=1)).min() > 1 - tolerance


def covariances(given: Gaussians) -> np.ndarray:
    """(n, 3, 3) in square metres."""
    axes = rotation.to_matrix(given.rotations) * np.exp(given.log_scales.astype(float))[:, None]
    return axes @ axes.transpose(0, 2, 1)


def table(columns: dict[str, np.ndarray]) -> np.ndarray:
    """Columns of one length as the rows of an element, little endian."""
    count = len(next(iter(columns.values())))
    rows = np.empty(count, [(name, "<" + values.dtype.str[1:]) for name, values in columns.items()])
    for name, values in columns.items():
        rows[name] = values
    return rows


def refused(call, path: Path, match: str = ".") -> str:
    """The one sentence that reading ends in, which names the file."""
    with pytest.raises(LikenessError, match=match) as caught:
        call(path)
    assert path.name in caught.value.message and "\n" not in caught.value.message
    return caught.value.message


def never_another_error(call, path: Path, data: bytes, places: range, seed: int = 0) -> None:
    """Every cut and every changed byte is read or ends in one sentence."""
    rng = np.random.default_rng(seed)
    for place in places:
        changed = bytearray(data)
        changed[place] = rng.integers(256)
        for content in (data[:place], bytes(changed)):
            path.write_bytes(content)
            with contextlib.suppress(LikenessError):
                call(path)
