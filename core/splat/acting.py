# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes an avatar move: weights, gaze and the head's motion of any performance, also of somebody else.

The head's motion is taken relative to where the performer's head usually is, in the axes of that usual head,
and put on the usual head of the avatar: a nod stays a nod, whoever sat crooked before which camera. For the
avatar's own performance that gives back exactly what was tracked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .. import rotation
from ..performance import Performance

Array = np.ndarray

NEAREST = 1.0
"""Metres before the camera, for a head that nobody saw in footage."""


@dataclass(frozen=True, eq=False)
class Standing:
    """Where a head usually is in the view frame of a camera (+X right, +Y up, +Z towards it)."""

    turn: Array
    """(3, 3) float64: the head frame's axes."""
    place: Array
    """(3,) float64 metres: the head frame's origin."""

    @staticmethod
    def front(distance: float = NEAREST) -> Standing:
        """Upright, looking into the camera."""
        return Standing(np.eye(3), np.array([0.0, 0.0, -distance]))

    @staticmethod
    def of(performance: Performance) -> Standing:
        """The mean over the samples in which the head was seen; the front without a camera."""
        if performance.camera is None:
            return Standing(_mean_turn(performance), Standing.front().place)
        moved = performance.head_translation
        place = performance.camera.head_position
        return Standing(
            _mean_turn(performance),
            place if moved is None else place + moved[_seen(performance)].mean(axis=0),
        )


@dataclass(frozen=True, eq=False)
class Acting:
    """T samples of what a face and a head do, free of whose they are."""

    name: str
    times: Array
    """(T,) float64 s, rising."""
    weights: Array
    """(T, 52) float32 in ARKit's order."""
    gaze: Array
    """(T, 2, 2) float64 radians: left and right eye by yaw and pitch."""
    turns: Array
    """(T, 3, 3) float64: the head against its usual pose, in the axes of that."""
    shifts: Array
    """(T, 3) float64 metres, in the same axes."""

    def __len__(self) -> int:
        return len(self.times)

    @staticmethod
    def of(performance: Performance, usual: Standing | None = None) -> Acting:
        """What a performance does; `usual`: where the head usually is, if this is a part of a longer one."""
        usual = usual or Standing.of(performance)
        count = performance.frame_count
        turns, shifts = np.tile(np.eye(3), (count, 1, 1)), np.zeros((count, 3))
        if performance.head_rotation is not None:
            turns = usual.turn.T @ rotation.to_matrix(performance.head_rotation)
        if performance.head_translation is not None:
            shifts = (_places(performance) - usual.place) @ usual.turn
        return Acting(
            performance.name,
            performance.time,
            performance.weights,
            performance.gaze_or_from_weights(),
            turns,
            shifts,
        )

    @staticmethod
    def rest() -> Acting:
        """The face without expression, looking ahead, for one moment."""
        zero = np.zeros((1, 52), np.float32)
        return Acting("rest", np.zeros(1), zero, np.zeros((1, 2, 2)), np.eye(3)[None], np.zeros((1, 3)))

    def at(self, rows: Array) -> Acting:
        """Some of the samples ((n,) int, rising)."""
        return replace(
            self,
            times=self.times[rows],
            weights=self.weights[rows],
            gaze=self.gaze[rows],
            turns=self.turns[rows],
            shifts=self.shifts[rows],
        )

    def poses(self, standing: Standing) -> tuple[Array, Array]:
        """(T, 3, 3) axes and (T, 3) metres, origins of the head frame in the view frame of `standing`."""
        return standing.turn @ self.turns, standing.place + self.shifts @ standing.turn.T


def _places(performance: Performance) -> Array:
    """(T, 3) metres: the head frame's origin in the view frame of its camera, or of one in front of it."""
    camera, moved = performance.camera, performance.head_translation
    place = Standing.front().place if camera is None else camera.head_position
    return np.tile(place, (performance.frame_count, 1)) + (0.0 if moved is None else moved)


def _seen(performance: Performance) -> Array:
    """(T,) bool: samples that say where the head was; all where none does."""
    seen = performance.confidence > 0
    return seen if seen.any() else np.ones_like(seen)


def _mean_turn(performance: Performance) -> Array:
    """(3, 3): the mean of the head's rotations (Markley et al. 2007)."""
    if performance.head_rotation is None:
        return np.eye(3)
    q = performance.head_rotation[_seen(performance)]
    return rotation.to_matrix(np.linalg.eigh(q.T @ q)[1][:, -1])
