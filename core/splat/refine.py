# SPDX-License-Identifier: GPL-3.0-or-later
"""Small corrections of the tracked head pose and weights, learned per picture while Gaussians are trained.

A tracked pose is a pixel or two off, differently in each picture; without a correction the Gaussians blur
over that. A sample that no picture was trained on takes what its neighbours in time found.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .. import rotation
from ..arkit import ARKIT_NAMES
from .gaussians import Activated
from .raster_result import ActivatedGradients
from .view import View

Array = np.ndarray

POSE, WEIGHTS, GAIN = 6, len(ARKIT_NAMES), 3
SIZE = POSE + WEIGHTS + GAIN
MOTION, EXPRESSION, LIGHT = slice(0, POSE), slice(POSE, POSE + WEIGHTS), slice(POSE + WEIGHTS, SIZE)
"""Which of the numbers of a correction are what: turn and shift, offsets of the weights, and logarithms of
gains of red, green and blue."""
_BETAS = 0.8, 0.95
"""Of Adam; a picture comes round some tens of times only."""


class Refinement:
    """Per picture a rigid motion of the head (turn and shift in its own frame), an offset of weights, and how
    much brighter than the others it was taken.
    """

    def __init__(
        self,
        samples: Array,
        *,
        turn: float = 2e-4,
        shift: float = 3e-5,
        weight: float = 2e-3,
        gain: float = 1e-2,
    ) -> None:
        """`samples`: (N,) rising, of the performance. Rates per step: rad, metres, weights, logarithms."""
        count = len(samples)
        self.samples = np.asarray(samples, np.int64)
        self.values = np.zeros((count, SIZE), np.float64)
        self._first = np.zeros_like(self.values)
        self._second = np.zeros_like(self.values)
        self._steps = np.zeros(count, np.int64)
        rates = [np.full(3, turn), np.full(3, shift), np.full(WEIGHTS, weight), np.full(GAIN, gain)]
        self._rates = np.concatenate(rates)

    def at(self, sample: int) -> Array:
        """(61,) of any sample: between two pictures in proportion, beyond the last of them as it."""
        place = np.interp(sample, self.samples, np.arange(len(self.samples)))
        low, share = int(place), place - int(place)
        high = min(low + 1, len(self.samples) - 1)
        return (1 - share) * self.values[low] + share * self.values[high]

    def step(self, index: int, gradient: Array, scale: float = 1.0) -> None:
        """One step of Adam for picture `index` along its gradient (61,)."""
        self._steps[index] += 1
        first, second, count = self._first[index], self._second[index], self._steps[index]
        first += (1 - _BETAS[0]) * (gradient - first)
        second += (1 - _BETAS[1]) * (gradient**2 - second)
        down = first / (1 - _BETAS[0] ** count)
        norm = np.sqrt(second / (1 - _BETAS[1] ** count)) + 1e-15
        self.values[index] -= scale * self._rates * down / norm

    def state(self) -> dict[str, Array]:
        """Arrays from which `restore` goes on."""
        return {
            "refine_samples": self.samples,
            "refine_values": self.values,
            "refine_first": self._first,
            "refine_second": self._second,
            "refine_steps": self._steps,
        }

    def restore(self, state: Mapping[str, Array]) -> None:
        """Go on from `state()` of the same pictures."""
        self.values, self._first, self._second, self._steps = (
            np.array(state[f"refine_{name}"]) for name in ("values", "first", "second", "steps")
        )


def moved_view(view: View, motion: Array) -> View:
    """The view of a head that is moved by motion (6,) in its own frame."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation.to_matrix(rotation.from_rotation_vector(motion[:3]))
    matrix[:3, 3] = motion[3:]
    pose = view.T_view_world @ matrix
    return View(view.width, view.height, view.fx, view.fy, view.cx, view.cy, pose, view.near)


def motion_gradient(drawn: Activated, slopes: ActivatedGradients) -> Array:
    """(6,) gradient of a loss by a small motion of the head: every Gaussian is turned and shifted by it.

    Colours that change as the viewing direction turns are left out.
    """
    points, pulls = drawn.means, slopes.means
    turn = np.cross(points, pulls, axis=1).sum(axis=0, dtype=np.float64)
    w, x, y, z = drawn.rotations.T
    dw, dx, dy, dz = slopes.rotations.T
    # The left product of (1, half the turn) with the quaternion, by each axis of the turn.
    by_quaternion = [
        -dw * x + dx * w + dy * -z + dz * y,
        -dw * y + dx * z + dy * w + dz * -x,
        -dw * z + dx * -y + dy * x + dz * w,
    ]
    turn += [0.5 * float(one.sum(dtype=np.float64)) for one in by_quaternion]
    return np.r_[turn, pulls.sum(axis=0, dtype=np.float64)]
