# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames of a take solved for one person of FLAME: head, expression, jaw and eyes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .. import rotation
from ..arkit import INDEX
from ..head.flame.forward import FlameParameters, head_transform
from ..performance import Performance
from ..progress import Progress
from ..series import brackets, linear, spherical
from ..track import Track
from .flame_exchange import eye_rotation_of
from .flame_face import FlameFace
from .frame import Expected, FaceState
from .gaze import conjugate, iris_gaze
from .person import KEYFRAMES
from .pose import head_pose
from .projection import Lens, project
from .refine import landmark_detail
from .sequence import TakeInput, solve_sequence
from .slices import FACE, iris_rows
from .take import CLOSED, OVERLAP, bridged

Array = np.ndarray

STRETCH = 500
"""Frames that are solved together; `take.OVERLAP` more on either side are looked at."""
NEAR = 0.25
"""Seconds up to which the frame before is a good start."""


@dataclass(frozen=True)
class FlameTakeFit:
    """A take solved for a FLAME model."""

    face: FlameFace
    """The person."""
    parameters: FlameParameters
    """All T frames, in the axes of the view frame (the camera is at the origin and looks along -Z); lost
    ones are bridged by time.
    """
    lenses: tuple[Lens, ...]
    """One for a video, one per frame for photos."""
    projected: Array
    """(T, 468, 2) float32 px: the fitted landmarks, NaN where no face was found."""
    errors: Array
    """(T,) px mean landmark error, NaN where no face was found."""
    face_size: Array
    """(T,) px mean side of the face box, NaN where no face was found."""

    @property
    def error_px(self) -> float:
        """Mean over the frames that show a face."""
        return float(np.nanmean(self.errors))

    @property
    def error_of_face(self) -> float:
        """The same as a share of the face box."""
        return float(np.nanmean(self.errors / self.face_size))


@dataclass
class FlameFrames:
    """The tracked frames of a take while they are solved."""

    track: Track
    performance: Performance
    face: FlameFace
    lenses: tuple[Lens, ...]
    means: Array
    eyes: Array
    """(T, 3) rotation vectors of both eyes."""
    expected: Sequence[Expected]

    def __post_init__(self) -> None:
        self.frames = np.flatnonzero(self.track.tracked)
        self.states: list[FaceState] = []

    def solve(self, progress: Progress) -> None:
        """Every frame after the one before it, then, with what the shape cannot say set apart, a take all
        together and photos once more; and the gaze that goes with it.
        """
        self._one_by_one(progress)
        self._set_apart()
        self._look()
        count = len(self.frames)
        if not self.track.ordered or count < 3:
            self.states = [self._settled(i, state, 3) for i, state in enumerate(self.states)]
            self._look()
            return
        solved = list(self.states)
        for first in range(0, count, STRETCH):
            progress(0.7 + 0.3 * first / count, "performance", "Solving FLAME's take as a whole")
            last = min(first + STRETCH, count)
            low, high = max(first - OVERLAP, 0), min(last + OVERLAP, count)
            solved[first:last] = self._together(low, high)[first - low : last - low]
        self.states = solved
        self._look()

    def _together(self, low: int, high: int) -> list[FaceState]:
        """Tracked frames low..high in one solve."""
        frames = self.frames[low:high]
        landmarks = np.stack([self._landmarks(i) for i in range(low, high)])
        trust = np.clip(self.track.confidence[frames].astype(np.float64), 0.05, 1.0)
        expected = [self.expected[frame] for frame in frames]
        take = TakeInput(self.track.time[frames], landmarks, expected, trust)
        return solve_sequence(
            lambda i, state: self.face.solver(state.weights, self.eyes[frames[i]]),
            take,
            self.lenses[0],
            self.states[low:high],
        )

    def _set_apart(self) -> None:
        """Give the face what its landmarks are off in all pictures alike."""
        chosen = np.unique(np.linspace(0, len(self.frames) - 1, KEYFRAMES).astype(int))
        moved, _ = landmark_detail(
            lambda i, state: self.face.solver(state.weights, self.eyes[self.frames[chosen[i]]]),
            np.stack([self._landmarks(i)[:, :2] for i in chosen]),
            [self._lens(i) for i in chosen],
            [self.states[i] for i in chosen],
        )
        self.face = self.face.with_offsets(moved)

    def _settled(self, index: int, state: FaceState, steps: int) -> FaceState:
        """The state of a tracked frame after some steps from `state`."""
        frame, landmarks, lens = self.frames[index], self._landmarks(index), self._lens(index)
        for _ in range(steps):
            solver = self.face.solver(state.weights, self.eyes[frame])
            state = solver.solve(landmarks, lens, state, self.expected[frame], iterations=1)
        return state

    def _lens(self, index: int) -> Lens:
        return self.lenses[index if len(self.lenses) > 1 else 0]

    def _landmarks(self, index: int) -> Array:
        return self.track.landmarks[self.frames[index], :FACE].astype(np.float64)

    def _one_by_one(self, progress: Progress) -> None:
        last = -np.inf
        for index, frame in enumerate(self.frames):
            time, landmarks, lens = float(self.track.time[frame]), self._landmarks(index), self._lens(index)
            near = self.track.ordered and time - last < NEAR
            mean, eyes = self.means[frame], self.eyes[frame]
            if near:
                pose = self.states[-1].pose
            else:
                points = self.face.points(mean[None], eyes[None])[0, :FACE]
                pose, _ = head_pose(points, landmarks[:, :2], lens)
            self.states.append(self._settled(index, FaceState(pose, mean), 3 if near else 6))
            last = time
            if index % 25 == 0:
                progress(0.7 * index / len(self.frames), "performance", "Solving FLAME frame by frame")

    def _look(self) -> None:
        """The eyes of all tracked frames, both alike, from the irises."""
        rows = iris_rows(self.face.points(self.means[:1], np.zeros((1, 3)))[0])
        middles = np.stack(
            [self.track.landmarks[self.frames, part, :2].mean(axis=1) for part in rows], axis=1
        )
        lenses = [self._lens(i) for i in range(len(self.frames))]
        resting = self.face.resting
        gaze = iris_gaze(
            middles.astype(np.float64),
            np.stack([state.pose.rotation for state in self.states]),
            np.stack([state.pose.translation for state in self.states]),
            np.array([lens.focal for lens in lenses]),
            np.stack([lens.centre for lens in lenses]),
            resting.eyes,
            resting.irises,
        )
        blinks = [INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]
        trust = np.clip((CLOSED - self.performance.weights[self.frames][:, blinks]) / 0.2, 0.0, 1.0)
        gaze = conjugate(gaze, trust).mean(axis=1)
        if self.track.ordered:
            gaze = bridged(self.track.time[self.frames], gaze, trust.max(axis=1))
        self.eyes = self.eyes.copy()
        self.eyes[self.frames] = eye_rotation_of(gaze)

    def result(self, shape: Array) -> FlameTakeFit:
        """All frames of the track; lost ones lie between their neighbours."""
        track, frames = self.track, self.frames
        weights = np.stack([state.weights for state in self.states])
        exact = self.face.points(weights, self.eyes[frames])[:, :FACE]
        projected = np.full((track.frame_count, FACE, 2), np.nan, np.float32)
        for index, (frame, state) in enumerate(zip(frames, self.states, strict=True)):
            projected[frame], _, _ = project(exact[index], state.pose, self._lens(index))
        seen = track.landmarks[:, :FACE, :2]
        lenses = self.lenses
        if len(lenses) > 1:
            known = dict(zip(frames.tolist(), lenses, strict=True))
            lenses = tuple(known.get(i, lenses[0]) for i in range(track.frame_count))
        return FlameTakeFit(
            self.face,
            self._parameters(shape, weights),
            lenses,
            projected,
            np.linalg.norm(projected - seen, axis=2).mean(axis=1),
            np.mean(np.max(seen, axis=1) - np.min(seen, axis=1), axis=1),
        )

    def _parameters(self, shape: Array, weights: Array) -> FlameParameters:
        flame = self.face.flame
        low, u = brackets(self.track.time[self.frames], self.track.time)
        turns = rotation.from_matrix(np.stack([state.pose.rotation for state in self.states]))
        places = np.stack([state.pose.translation for state in self.states])
        weights, split = linear(weights, low, u), self.face.expression_count
        turned = rotation.to_rotation_vector(spherical(rotation.continuous(turns), low, u))
        eyes = linear(self.eyes[self.frames], low, u)
        found = FlameParameters.of(
            flame.model.variant,
            shape,
            weights[:, :split],
            mode=flame.mode,
            rotation=turned,
            jaw=weights[:, split:] if flame.model.has_jaw else None,
            eyes=eyes,
        )
        # The published form turns the head about its root joint; the shape is in the face's rows already.
        _, offset = head_transform(self.face.rows, replace(found, shape=np.zeros(0)))
        return replace(found, translation=linear(places, low, u) - offset)
