# SPDX-License-Identifier: GPL-3.0-or-later
"""The performance that Gaussians were trained in, with the small corrections that training found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from .. import rotation
from ..avatar import Avatar
from ..performance import Performance
from .refine import EXPRESSION, MOTION
from .splat_avatar import SplatAvatar

Array = np.ndarray


def as_trained(performance: Performance, avatar: Avatar, splats: SplatAvatar) -> Performance:
    """The avatar's own `performance` as the Gaussians know it; as it is where they were trained in another.

    A sample between two pictures gets what lies between their corrections.
    """
    told = avatar.provenance.get("splats")
    name = told.get("performance") if isinstance(told, Mapping) else None
    samples, values = ((splats.refined or {}).get(key) for key in ("samples", "values"))
    if name != performance.name or samples is None or values is None or not _fits(samples, values):
        return performance
    if samples[-1] >= performance.frame_count or performance.camera is None:
        return performance  # it was solved again since
    found = _between(np.asarray(samples, float), np.asarray(values, float), performance.frame_count)
    motion, weights = found[:, MOTION], performance.weights + found[:, EXPRESSION]
    q, moved = performance.head_rotation, performance.head_translation
    q = np.tile([1.0, 0.0, 0.0, 0.0], (len(found), 1)) if q is None else q
    shift = np.einsum("tij,tj->ti", rotation.to_matrix(q), motion[:, 3:])
    return replace(
        performance,
        weights=weights,
        head_rotation=rotation.multiply(q, rotation.from_rotation_vector(motion[:, :3])),
        head_translation=shift if moved is None else moved + shift,
    )


def _fits(samples: Array, values: Array) -> bool:
    shaped = samples.ndim == 1 and len(samples) > 0 and values.ndim == 2 and len(values) == len(samples)
    return shaped and values.shape[1] >= EXPRESSION.stop and bool(np.all(np.diff(samples) > 0))


def _between(samples: Array, values: Array, count: int) -> Array:
    """(T, C) at every sample, in proportion between those that are known, beyond the last as it."""
    every = np.arange(count)
    return np.stack([np.interp(every, samples, column) for column in values.T], axis=1)
