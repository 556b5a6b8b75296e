# SPDX-License-Identifier: GPL-3.0-or-later
"""Some rows of one person's head with expression and gaze, in the head's own frame: half a millisecond."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .. import rotation
from ..arkit import ARKIT_NAMES
from .model import HeadModel, Rest

Array = np.ndarray

_EYES = ("eye_left", "eye_right")


class _Ridden(NamedTuple):
    """What turns with an eye."""

    places: Array
    """(k,) of the rows."""
    share: Array
    """(k, 1) float32: how much of the turn each takes."""
    centre: Array
    """(3,) float32 metres."""


class ExpressedHead:
    """Chosen rows of one person, by the 52 weights and the gaze. The bases are cut down to the rows once."""

    def __init__(self, model: HeadModel, rest: Rest, rows: Array) -> None:
        """`rows`: (n,) of the model, in any order."""
        self.rows = rows
        self.neutral = rest.vertices[rows]
        """(n, 3) float32 metres."""
        self.columns, self.shapes = _expression(model, rows)
        """(E,) columns of the weights that the model follows, and their shapes, (E, 3 n) float32 metres."""
        self._turning = [_ridden(model, rest, rows, role) for role in _EYES]

    def points(self, weights: Array, gaze: Array) -> Array:
        """(n, 3) float32 metres, head frame, for weights (52,) in ARKit's order and gaze (2, 2): yaw and
        pitch in radians of the left and the right eye.
        """
        moved = np.asarray(weights, np.float32)[self.columns] @ self.shapes
        points = self.neutral + moved.reshape(-1, 3)
        yaw, pitch = np.asarray(gaze).T
        turns = rotation.to_matrix(rotation.from_angles(yaw, pitch, np.zeros(2)))
        for (places, share, centre), turn in zip(self._turning, turns, strict=True):
            arm = points[places] - centre
            points[places] += share * (arm @ turn.T.astype(np.float32) - arm)
        return points

    def weight_gradient(self, d_points: Array) -> Array:
        """(52,) float32 gradient by the weights from that by the points (n, 3); the turn of what rides on
        the eyes is left out, as no shape but the gaze's own moves it.
        """
        found = np.zeros(len(ARKIT_NAMES), np.float32)
        found[self.columns] = self.shapes @ np.asarray(d_points, np.float32).ravel()
        return found


def _expression(model: HeadModel, rows: Array) -> tuple[Array, Array]:
    known = model.expression_index
    columns = [i for i, name in enumerate(ARKIT_NAMES) if name in known]
    order = [known[ARKIT_NAMES[i]] for i in columns]
    shapes = model.expression.at(rows)[order].astype(np.float32)
    return np.array(columns, int), np.ascontiguousarray(shapes).reshape(len(columns), 3 * len(rows))


def _ridden(model: HeadModel, rest: Rest, rows: Array, role: str) -> _Ridden:
    joint = model.roles.get(role)
    if not isinstance(joint, str) or joint not in model.joint_names:
        return _Ridden(np.zeros(0, int), np.zeros((0, 1), np.float32), np.zeros(3, np.float32))
    eye = model.joint_names.index(joint)
    turned = np.isin(model.skin_joints[rows], _with_descendants(eye, model.joint_parents))
    share = np.where(turned, model.skin_weights[rows], 0).sum(axis=1)
    places = np.flatnonzero(share > 1e-6)
    centre = rest.joint_heads[eye].astype(np.float32)
    return _Ridden(places, share[places, None].astype(np.float32), centre)


def _with_descendants(joint: int, parents: Array) -> list[int]:
    found = [joint]
    for child in range(joint + 1, len(parents)):  # a parent comes before its children
        if parents[child] in found:
            found.append(child)
    return found
