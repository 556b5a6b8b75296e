# SPDX-License-Identifier: GPL-3.0-or-later
"""A UV layout for head models that come without one: a cylinder with its seam at the back, by polygon corner.

A projection folds where the surface does: the mouth's lining, the backs of the ears and the nostrils lie
behind the face. Triangles that come out mirrored are therefore moved to a second chart, so that no hidden
layer lies on the face's own texture. Charts: outside (upper three quarters), hidden layers and one disc per
eye (below).
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray

OUTSIDE = (0.0, 0.25, 1.0, 1.0)
HIDDEN = (0.0, 0.0, 0.5, 0.25)
EYES = ((0.5, 0.0, 0.75, 0.25), (0.75, 0.0, 1.0, 0.25))
"""Rectangles of the charts: u0, v0, u1, v1."""
_MARGIN = 0.004
_BEHIND = 0.98
"""Share of a half turn from the pupil's axis beyond which a vertex is the pole behind."""


def cylinder_uv(vertices: Array, triangles: Array, centre: Array) -> Array:
    """(F, 3, 2) float32 within 0..1 for the corners of `triangles` ((F, 3)), unwrapped about the upright axis
    through `centre` ((3,) metres). The face's middle is at u = 0.5.
    """
    offset = vertices - centre
    angle = np.arctan2(offset[:, 0], offset[:, 2])[triangles]
    angle = np.where(np.ptp(angle, axis=1, keepdims=True) > np.pi, angle % (2 * np.pi), angle)
    angle -= 2 * np.pi * (angle.mean(axis=1, keepdims=True) > np.pi)
    flat = np.stack([angle, _heights(offset)[triangles]], axis=2)
    edges = flat[:, 1:] - flat[:, :1]
    hidden = edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0] < 0
    hidden |= _near_axis(offset)[triangles].any(axis=1)
    uv = _placed(flat, OUTSIDE, flat[~hidden])
    uv[hidden] = _placed(flat[hidden], HIDDEN, flat[hidden])
    return uv.astype(np.float32)


def disc_uv(
    vertices: Array, triangles: Array, centre: Array, box: tuple[float, float, float, float]
) -> Array:
    """(F, 3, 2) float32 for an eyeball about `centre` that looks along +Z: distance from the pupil's axis
    becomes distance from the middle of `box`.
    """
    direction = vertices - centre
    across = np.hypot(direction[:, 0], direction[:, 1])
    angle = np.arctan2(across, direction[:, 2]) / np.pi
    radius = 0.5 * angle / np.where(across > 0, across, 1.0)
    plane = (radius[:, None] * direction[:, :2])[triangles]
    back = (angle > _BEHIND)[triangles]
    back &= back.sum(axis=1, keepdims=True) == 1
    own = back.any(axis=1)
    plane[back] = (plane * ~back[..., None]).sum(axis=1)[own]  # the pole behind is on all sides of the rim
    length = np.linalg.norm(plane, axis=2, keepdims=True)
    plane = np.where(back[..., None], 0.5 * plane / np.where(length > 0, length, 1), plane)
    low, high = np.array(box[:2]) + _MARGIN, np.array(box[2:]) - _MARGIN
    return (low + (0.5 + plane) * (high - low)).astype(np.float32)


def _near_axis(offset: Array) -> Array:
    """(V,) bool: below the crown and far inside, where a cylinder shows nothing but slivers: the throat."""
    radius = np.hypot(offset[:, 0], offset[:, 2])
    wide = float(np.percentile(radius, 90))
    return (radius < 0.4 * wide) & (offset[:, 1] < 0.4 * wide)


def _heights(offset: Array) -> Array:
    """(V,) upright coordinate: a height on the sides, where it bends over the crown, the length along it."""
    radius = np.hypot(offset[:, 0], offset[:, 2])
    wide = float(np.percentile(radius, 90))
    return offset[:, 1] + np.maximum(wide - radius, 0) * (offset[:, 1] > 0) * np.clip(
        offset[:, 1] / max(wide, 1e-9), 0, 1
    )


def _placed(flat: Array, box: tuple[float, float, float, float], extent: Array) -> Array:
    """Coordinates laid into a box, `extent` filling it."""
    if not len(flat) or not len(extent):
        return np.zeros(flat.shape)
    low, high = extent.min(axis=(0, 1)), extent.max(axis=(0, 1))
    start, stop = np.array(box[:2]) + _MARGIN, np.array(box[2:]) - _MARGIN
    share = (flat - low) / np.maximum(high - low, 1e-9)
    return start + np.clip(share, 0, 1) * (stop - start)
