# SPDX-License-Identifier: GPL-3.0-or-later
"""Face coordinates that hold for every model: origin between the eyes, one unit = the distance between the
pupils.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class FaceFrame:
    """Places on a head in the head frame (+X left, +Y up, +Z out of the face), metres."""

    origin: Array
    """(3,) between the eyeballs' centres."""
    unit: float
    """Distance between the eyeballs' centres."""
    mouth: Array
    """(3,) in face units: middle of the lips."""
    nose: Array
    """(3,) in face units: tip of the nose."""

    def local(self, points: Array) -> Array:
        """Head frame (..., 3) metres to face units."""
        return (points - self.origin) / self.unit

    def metres(self, points: Array) -> Array:
        """The inverse of `local`."""
        return points * self.unit + self.origin


def eye_centres(model: Any, rest: Any) -> tuple[Array, Array]:
    """(3,) left and right: the joints that turn the eyes."""
    names = list(model.joint_names)
    heads = np.asarray(rest.joint_heads, np.float64)
    return heads[names.index(model.roles["eye_left"])], heads[names.index(model.roles["eye_right"])]


def face_frame(model: Any, rest: Any) -> FaceFrame:
    """The face frame of one person at rest. The mouth is where the lips' own expressions act most."""
    left, right = eye_centres(model, rest)
    origin, unit = (left + right) / 2, float(np.linalg.norm(left - right))
    body = rest.vertices[model.part_vertices(model.part_names[0])]
    local = (body - origin) / unit
    middle = local[(np.abs(local[:, 0]) < 0.2) & (local[:, 1] < -0.2) & (local[:, 1] > -1.2)]
    nose = middle[np.argmax(middle[:, 2])] if len(middle) else np.array([0.0, -0.7, 0.7])
    return FaceFrame(origin, unit, _mouth(model, rest, origin, unit), nose)


def _mouth(model: Any, rest: Any, origin: Array, unit: float) -> Array:
    if "mouthFunnel" not in model.expression_names:
        return np.array([0.0, -1.2, 0.45])
    rows, deltas = model.expression_delta("mouthFunnel")
    strength = np.linalg.norm(deltas, axis=1)
    most = rows[strength > 0.6 * strength.max()]
    place = ((rest.vertices[most] - origin) / unit).mean(axis=0)
    return np.array([0.0, place[1], place[2]])


_default_rests: dict[int, tuple[Any, Any]] = {}


def default_rest(model: Any) -> Any:
    """The model's default person: regions are found on it once, as vertex sets that then fit every
    identity.
    """
    kept = _default_rests.get(id(model))
    if kept is None or kept[0] is not model:
        _default_rests.clear()
        kept = _default_rests[id(model)] = (model, model.rest(model.identity_coefficients({})))
    return kept[1]
