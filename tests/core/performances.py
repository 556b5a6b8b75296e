# SPDX-License-Identifier: GPL-3.0-or-later
"""Performances for tests: random, uneven in time, with everything a performance can hold."""

from __future__ import annotations

import numpy as np

from core import rotation
from core.performance import Performance


def random_performance(
    seed: int = 0, frames: int = 200, *, uneven: bool = True, name: str = "take 1"
) -> Performance:
    rng = np.random.default_rng(seed)
    steps = rng.uniform(0.5, 2.0, frames) if uneven else np.ones(frames)
    walk = np.cumsum(rng.normal(size=(frames, 3)) * 0.03, axis=0)
    return Performance(
        name=name,
        time=0.25 + np.cumsum(steps) / 30.0,
        weights=rng.uniform(-0.1, 1.1, (frames, 52)).astype(np.float32),
        head_rotation=rotation.from_rotation_vector(walk),
        head_translation=rng.normal(size=(frames, 3)) * 0.1,
        gaze=rng.normal(size=(frames, 2, 2)) * 0.3,
        confidence=rng.uniform(0, 1, frames).astype(np.float32),
        flame={
            "shape": rng.normal(size=150),
            "expr": rng.normal(size=(frames, 65)).astype(np.float32),
            "rot": walk.astype(np.float64),
        },
        source="random numbers",
        timecode=86_399.0,
    )


ARRAYS = ("time", "weights", "head_rotation", "head_translation", "gaze", "confidence")


def same(a: Performance, b: Performance, tolerance: float = 0.0, skip: tuple[str, ...] = ()) -> None:
    """Assert that two performances hold the same arrays, within `tolerance`, and the same words."""
    assert (a.name, a.source) == (b.name, b.source)
    for name in ARRAYS:
        if name in skip:
            continue
        left, right = getattr(a, name), getattr(b, name)
        if left is None or right is None:
            assert left is right, name
            continue
        assert left.dtype == right.dtype, name
        if name == "head_rotation":
            right = right * np.sign(np.sum(left * right, axis=1, keepdims=True))
        np.testing.assert_allclose(left, right, rtol=0, atol=tolerance, err_msg=name)
