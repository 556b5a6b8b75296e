# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the eyes look, from the irises: a ray through the picture meets the eyeball, in closed form."""

from __future__ import annotations

import numpy as np

from ..arkit import INDEX
from ..performance import EYE_ANGLE

Array = np.ndarray

FARTHEST = np.radians(50.0)
"""No eye turns farther."""
DOUBT = np.radians(3.0)
"""A detector sees the two irises of straight eyes turned together, or up against down, by as much."""
OUTWARD_DOUBT = np.radians(10.0)
"""The same for eyes turned apart. Nobody looks beyond the horizon, few people are wall-eyed, and those by
more than this; heads seen from the side give as much by mistake.
"""


def iris_gaze(
    middles: Array,
    rotations: Array,
    translations: Array,
    focal: Array,
    centre: Array,
    eyes: Array,
    irises: Array,
) -> Array:
    """(T, 2, 2) radians: [left, right] x [yaw to the subject's left, pitch up], relative to the head.

    middles: (T, 2, 2) px, the middle of each iris; rotations (T, 3, 3) and translations (T, 3) metres of the
    head in the view frame; focal (T,) and centre (T, 2) px; eyes (2, 3) centres and irises (2, 3) offsets of
    the irises at rest, metres, head frame. A ray that passes the eyeball by takes its nearest point.
    """
    rays = np.empty((*middles.shape[:2], 3))
    rays[..., :2] = (middles - centre[:, None]) / focal[:, None, None] * np.array([1.0, -1.0])
    rays[..., 2] = -1.0
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    centres = np.einsum("tij,ej->tei", rotations, eyes) + translations[:, None]
    radius = np.linalg.norm(irises, axis=-1)
    along = np.sum(rays * centres, axis=-1)
    beside = np.sum(centres**2, axis=-1) - along**2
    depth = np.sqrt(np.maximum(radius**2 - beside, 0.0))
    touched = rays * (along - depth)[..., None] - centres
    local = np.einsum("tij,tei->tej", rotations, touched)
    return np.clip(angles(local) - angles(irises), -FARTHEST, FARTHEST)


def angles(directions: Array) -> Array:
    """[yaw to the subject's left, pitch up] in radians of directions (..., 3) in the head frame."""
    x, y, z = np.moveaxis(directions, -1, 0)
    return np.stack([np.arctan2(x, z), np.arctan2(y, np.hypot(x, z))], axis=-1)


def conjugate(gaze: Array, trust: Array, apart: Array | None = None) -> Array:
    """Both eyes turn together: the trusted mean of the two (T, 2, 2), each keeping its usual difference as
    far as that is beyond doubt.

    trust: (T, 2) 0..1, e.g. 0 for a closed eye. apart: (2,) usual yaw and pitch of the left eye less the
    right, by default the take's median. Halves the noise of small irises; a squint stays.
    """
    share = np.maximum(trust, 1e-6)[..., None]
    difference = usual_difference(gaze, trust) if apart is None else apart
    kept = difference - np.clip(difference, -DOUBT, np.array([OUTWARD_DOUBT, DOUBT]))
    seen = gaze - 0.5 * np.stack([difference, -difference])
    mean = np.sum(seen * share, axis=1, keepdims=True) / np.sum(share, axis=1, keepdims=True)
    return mean + 0.5 * np.stack([kept, -kept])


def usual_difference(gaze: Array, trust: Array) -> Array:
    """(2,) median yaw and pitch of the left eye less the right, over the frames where both are trusted."""
    open_both = np.min(trust, axis=1) > 0.5
    return np.median((gaze[:, 0] - gaze[:, 1])[open_both], axis=0) if open_both.any() else np.zeros(2)


def look_weights(gaze: Array, angle: float = EYE_ANGLE) -> tuple[list[int], Array]:
    """Indices (8) of the eyeLook shapes and their weights (T, 8) for a gaze (T, 2, 2) in radians."""
    indices, columns = [], []
    for eye, side in enumerate(("Left", "Right")):
        outward = ("Out", "In") if side == "Left" else ("In", "Out")
        for axis, (plus, minus) in enumerate((outward, ("Up", "Down"))):
            for sign, name in ((1.0, plus), (-1.0, minus)):
                indices.append(INDEX[f"eyeLook{name}{side}"])
                columns.append(np.clip(sign * gaze[:, eye, axis] / angle, 0.0, 1.0))
    return indices, np.stack(columns, axis=1)
