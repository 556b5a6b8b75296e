# SPDX-License-Identifier: GPL-3.0-or-later
"""Solving frames as they come, from the past alone: what a live stream needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import rotation
from ..arkit import ARKIT_NAMES
from .frame import Expected, FaceState
from .gaze import conjugate, iris_gaze, look_weights
from .person import FittedPerson
from .slices import FACE, iris_rows

Array = np.ndarray

FORGET = 0.25
"""Seconds without a face after which the next frame starts anew."""
ITERATIONS = 2
GAZE_CUTOFF = 6.0
"""Hz, below which the gaze is let through: a saccade passes, the flutter of small irises does not."""

SQUINT_SHARE = 0.02
"""Share of a frame in the running difference of the two eyes."""


@dataclass(frozen=True)
class LiveFrame:
    """One solved frame."""

    time: float
    """s."""
    weights: Array
    """(52,) float64 in the order of `ARKIT_NAMES`."""
    head_rotation: Array
    """(4,) float64 unit quaternion, w first."""
    head_position: Array
    """(3,) float64 metres, view frame."""
    gaze: Array
    """(2, 2) float64 radians: [left, right] x [yaw to the subject's left, pitch up]."""


class OnlineFit:
    """A person before a live detector. Give every frame to `push`, in the order of their times."""

    def __init__(self, person: FittedPerson) -> None:
        """`person`: from a calibration of some seconds (`core.fit.person.fit_person`) of the same camera.

        The model must have ARKit's shapes; ValueError otherwise.
        """
        self._solver = person.solver()
        if self._solver.face.names != ARKIT_NAMES:
            raise ValueError("live fitting needs a head model with ARKit's 52 shapes")
        self._lens = person.lens[0]
        self._irises = iris_rows(person.embedding.points(person.rest.vertices))
        self._last: tuple[float, FaceState] | None = None
        self._gaze: Array | None = None
        self._apart: Array | None = None

    def push(self, time: float, landmarks: Array, scores: Array | None = None) -> LiveFrame | None:
        """Solve the frame at `time` (s): landmarks (478, 2 or 3) px, scores (52,) or None.

        None for a frame without a face (NaN) or one that is not later than the last.
        """
        if not np.all(np.isfinite(landmarks)) or (self._last is not None and time <= self._last[0]):
            return None
        skin = np.asarray(landmarks[:FACE, :2], np.float64)
        gap = np.inf if self._last is None else time - self._last[0]
        fresh = self._last is None or gap > FORGET
        start = self._solver.start(skin, self._lens) if self._last is None or fresh else self._last[1]
        state = self._solver.solve(
            skin,
            self._lens,
            start,
            self._expected(scores),
            None if fresh else (start, gap),
            iterations=8 if fresh else ITERATIONS,
        )
        gaze = self._look(landmarks, state, gap)
        order, looks = look_weights(gaze[None])
        state.weights[order] = looks[0]
        self._last = (time, state)
        quaternion = rotation.from_matrix(state.pose.rotation)
        return LiveFrame(time, state.weights.copy(), quaternion, state.pose.translation, gaze)

    def _expected(self, scores: Array | None) -> Expected:
        prior = self._solver.prior
        if scores is None or not np.all(np.isfinite(scores)):
            return Expected(prior.precision, -prior.rarity)
        trust = prior.score_precision.copy()
        trust[prior.looks] = 0.0
        pull = trust * np.asarray(scores, np.float64) - prior.rarity
        return Expected(prior.precision + np.diag(trust), pull)

    def _look(self, landmarks: Array, state: FaceState, gap: float) -> Array:
        middles = np.stack([landmarks[part, :2].mean(axis=0) for part in self._irises])
        seen = iris_gaze(
            middles[None].astype(np.float64),
            state.pose.rotation[None],
            state.pose.translation[None],
            np.array([self._lens.focal]),
            self._lens.centre[None],
            self._solver.face.eyes,
            self._solver.face.irises,
        )
        shut = state.weights[[ARKIT_NAMES.index("eyeBlinkLeft"), ARKIT_NAMES.index("eyeBlinkRight")]]
        if self._gaze is not None and shut.min() > 0.5:
            return self._gaze
        apart = seen[0, 0] - seen[0, 1]
        self._apart = apart if self._apart is None else self._apart + SQUINT_SHARE * (apart - self._apart)
        gaze = conjugate(seen, np.clip(1.0 - shut, 0.0, 1.0)[None], self._apart)[0]
        if self._gaze is not None and gap <= FORGET:
            ratio = 2.0 * np.pi * GAZE_CUTOFF * gap
            gaze = self._gaze + ratio / (1.0 + ratio) * (gaze - self._gaze)
        self._gaze = gaze
        return gaze
