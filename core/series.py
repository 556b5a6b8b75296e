# SPDX-License-Identifier: GPL-3.0-or-later
"""Arrays over time: checking them, and their values between samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import rotation
from .arkit import INDEX


def checked(name: str, value: Any, dtype: Any, shape: tuple[int | None, ...] | None) -> np.ndarray:
    """A read-only, finite array of this dtype and shape (None: any), or ValueError."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold numbers, not {array.dtype}")
    array = array.astype(dtype or array.dtype, copy=bool(array.flags.writeable))
    if shape is not None and (
        array.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=False))
    ):
        expected = ", ".join("T" if n is None else str(n) for n in shape)
        raise ValueError(f"{name} has shape {array.shape}, expected ({expected})")
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} has values that are not finite")
    array.flags.writeable = False
    return array


def brackets(time: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each time the index (N,) of the sample before it and the fraction (N,) 0..1 of the way to the
    next.
    """
    if len(time) == 1:
        return np.zeros(len(times), np.intp), np.zeros(len(times))
    low = np.clip(np.searchsorted(time, times, side="right") - 1, 0, len(time) - 2)
    return low, np.clip((times - time[low]) / (time[low + 1] - time[low]), 0.0, 1.0)


def linear(values: np.ndarray, low: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Values (T, ...) between samples; computed in float64, exact where u is 0 or 1."""
    high = np.minimum(low + 1, len(values) - 1)
    u = u.reshape(-1, *[1] * (values.ndim - 1))
    return ((1.0 - u) * values[low] + u * values[high]).astype(values.dtype)


def spherical(values: np.ndarray, low: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Unit quaternions (T, 4) between samples, exact where u is 0 or 1."""
    high = np.minimum(low + 1, len(values) - 1)
    found = rotation.slerp(values[low], values[high], u)
    found[u == 0.0] = values[low[u == 0.0]]
    found[u == 1.0] = values[high[u == 1.0]]
    return found


def resampled_flame(name: str, array: np.ndarray, low: np.ndarray, u: np.ndarray) -> np.ndarray:
    """FLAME rotations are rotation vectors (T, 3) and turn the short way; the rest is linear."""
    if array.dtype.kind != "f":
        return array[np.where(u < 0.5, low, np.minimum(low + 1, len(array) - 1))]
    if array.shape[1:] != (3,) or not name.endswith(("rot", "rotation", "pose")):
        return linear(array, low, u)
    turned = rotation.to_rotation_vector(spherical(rotation.from_rotation_vector(array), low, u))
    return turned.astype(array.dtype)


def gaze_directions(weights: np.ndarray) -> np.ndarray:
    """(T, 2, 2) float64: [left eye, right eye] x [towards the subject's left, up] of the eyeLook weights
    (T, 52).
    """
    w = np.asarray(weights, dtype=np.float64)

    def difference(plus: str, minus: str) -> np.ndarray:
        return w[:, INDEX[plus]] - w[:, INDEX[minus]]

    left = [difference("eyeLookOutLeft", "eyeLookInLeft"), difference("eyeLookUpLeft", "eyeLookDownLeft")]
    right = [
        difference("eyeLookInRight", "eyeLookOutRight"),
        difference("eyeLookUpRight", "eyeLookDownRight"),
    ]
    return np.stack([np.stack(left, axis=1), np.stack(right, axis=1)], axis=1)
