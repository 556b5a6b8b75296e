# SPDX-License-Identifier: GPL-3.0-or-later
"""From a track and a person to a performance: frames, whole-take smoothing, gaze, rest expression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .. import rotation
from ..arkit import INDEX
from ..camera import Camera
from ..performance import Performance
from ..progress import Progress, silent
from ..series import brackets, linear, spherical
from ..track import Track
from .frame import Expected, FaceState, FrameSolver
from .gaze import conjugate, iris_gaze, look_weights
from .person import FittedPerson
from .projection import Lens, project
from .scores import expectations
from .sequence import ITERATIONS, TakeInput, solve_sequence
from .slices import FACE, iris_rows

Array = np.ndarray

STRETCH, OVERLAP = 1500, 60
"""Frames that are solved together, and how many more on either side are looked at: two seconds, beyond which
inertia tells nothing.
"""
CLOSED = 0.5
"""eyeBlink weight from which the iris cannot be trusted."""
REST_SHARE = 10.0
"""Percentile of a weight over a take that counts as the resting face."""
MOST_REST = 0.35
"""A weight is never taken for rest above this."""


@dataclass(frozen=True)
class TakeFit:
    """A solved take."""

    person: FittedPerson
    performance: Performance
    errors: Array
    """(T,) px mean landmark error of each frame, NaN where no face was found."""
    face_size: Array
    """(T,) px mean side of the face box, NaN where no face was found."""
    projected: Array
    """(T, 468, 2) float32 px: the fitted landmarks, NaN where no face was found."""


def fit_take(
    track: Track,
    person: FittedPerson,
    *,
    name: str = "",
    neutral_time: float | None = None,
    progress: Progress = silent,
) -> TakeFit:
    """The performance of `person` in `track`, with a rest expression that is that of the resting face.

    neutral_time: s, the moment that shows the neutral face; without it every weight's low percentile is rest.
    """
    frames = np.flatnonzero(track.tracked)
    solved = _Solved.of(track, person, frames, progress)
    if neutral_time is not None or (track.ordered and len(frames) > 1):
        rest = solved.rest_weights(neutral_time)
        solved = solved.again(absorbed(person, rest, solved.solver.face.names), rest)
    return solved.result(name or track.name)


def absorbed(person: FittedPerson, weights: Array, names: Sequence[str]) -> FittedPerson:
    """The person whose resting surface is what expression `weights` ((E,)) look like on `person`."""
    by_name = dict(zip(names, weights, strict=True))
    full = np.array([by_name.get(name, 0.0) for name in person.model.expression_names], np.float32)
    shift = np.zeros_like(person.rest.vertices)
    person.model.expression.add_to(shift, full)
    return person.with_detail(person.detail + person.model.template_rows(shift))


@dataclass
class _Solved:
    """All tracked frames of a take, solved."""

    track: Track
    person: FittedPerson
    frames: Array
    solver: FrameSolver
    states: list[FaceState]
    gaze: Array

    @staticmethod
    def of(track: Track, person: FittedPerson, frames: Array, progress: Progress) -> _Solved:
        """Solve every frame after the one before it, then, in a take, all together."""
        solved = _Solved(track, person, frames, person.solver(), [], np.zeros((len(frames), 2, 2)))
        expected = solved.expected()
        solved._one_by_one(expected, progress)
        solved._look()
        solved._smooth(expected, iterations=1)  # enough to tell the resting face; `again` goes on from here
        return solved

    def again(self, person: FittedPerson, rest: Array) -> _Solved:
        """Solve the same frames for a person whose resting face has taken the weights `rest` ((E,)) over."""
        solver = person.solver()
        states = [
            FaceState(state.pose, np.clip(state.weights - rest, solver.prior.low, solver.prior.high))
            for state in self.states
        ]
        solved = _Solved(self.track, person, self.frames, solver, states, self.gaze)
        if not self.track.ordered:
            solved.states = []
            solved._one_by_one(solved.expected(), silent)
        solved._look()
        solved._smooth(solved.expected(), iterations=ITERATIONS)
        return solved

    def expected(self) -> list[Expected]:
        """What is known of each tracked frame besides its landmarks."""
        every = expectations(self.track, self.solver.prior)
        rarity = self.solver.prior.rarity
        return [replace(every[frame], pull=every[frame].pull - rarity) for frame in self.frames]

    def _smooth(self, expected: Sequence[Expected], iterations: int) -> None:
        """All frames together, in stretches that overlap, so that memory does not grow with the take."""
        if not self.track.ordered or len(self.frames) < 3:
            return
        count = len(self.frames)
        solved = list(self.states)
        for first in range(0, count, STRETCH):
            last = min(first + STRETCH, count)
            low, high = max(first - OVERLAP, 0), min(last + OVERLAP, count)
            part = self._together(expected[low:high], low, high, iterations)
            solved[first:last] = part[first - low : last - low]
        self.states = solved
        self._look()

    def lens(self, index: int) -> Lens:
        """The lens of the index-th tracked frame."""
        return self.person.lens[index if len(self.person.lens) > 1 else 0]

    def landmarks(self, index: int) -> Array:
        """(468, 3) px of the index-th tracked frame, the third the detector's relative depth."""
        return self.track.landmarks[self.frames[index], :FACE].astype(np.float64)

    def _one_by_one(self, expected: Sequence[Expected], progress: Progress) -> None:
        previous: tuple[FaceState, float] | None = None
        looks = self.solver.prior.looks
        for index, frame in enumerate(self.frames):
            landmarks, lens = self.landmarks(index), self.lens(index)
            time = float(self.track.time[frame])
            gap = np.inf if previous is None else time - previous[1]
            near = previous is not None and self.track.ordered and gap < 0.25
            state = previous[0] if near and previous else self.solver.start(landmarks, lens)
            if looks.size:
                gaze = self._gaze_of([index], [state])
                weights = state.weights.copy()
                order, values = look_weights(gaze)
                weights[order] = values[0]
                state = FaceState(state.pose, weights)
            state = self.solver.solve(
                landmarks,
                lens,
                state,
                expected[index],
                (previous[0], gap) if near and previous else None,
                iterations=2 if near else 8,
            )
            self.states.append(state)
            previous = (state, time)
            if index % 50 == 0:
                progress(index / len(self.frames), "fit", f"Frame {index + 1} of {len(self.frames)}")

    def _together(
        self, expected: Sequence[Expected], low: int, high: int, iterations: int
    ) -> list[FaceState]:
        """Tracked frames low..high in one solve; needs one lens."""
        landmarks = np.stack([self.landmarks(i) for i in range(low, high)])
        frames = self.frames[low:high]
        trust = np.clip(self.track.confidence[frames].astype(np.float64), 0.05, 1.0)
        take = TakeInput(self.track.time[frames], landmarks, expected, trust)
        return solve_sequence(self.solver, take, self.lens(0), self.states[low:high], iterations)

    def _look(self) -> None:
        """Gaze of all frames, and the eyeLook weights that go with it."""
        gaze = self._gaze_of(range(len(self.frames)), self.states)
        if self.solver.prior.looks.size:
            shut = np.stack(
                [[s.weights[INDEX[f"eyeBlink{side}"]] for side in ("Left", "Right")] for s in self.states]
            )
            trust = np.clip((CLOSED - shut) / 0.2, 0.0, 1.0)
            gaze = bridged(self.track.time[self.frames], conjugate(gaze, trust), trust.max(axis=1))
            order, values = look_weights(gaze)
            for state, looks in zip(self.states, values, strict=True):
                state.weights[order] = looks
        self.gaze = gaze

    def _gaze_of(self, indices: Sequence[int] | range, states: Sequence[FaceState]) -> Array:
        eyes = self.person.embedding.points(self.person.rest.vertices)
        rows = iris_rows(eyes)
        frames = self.frames[list(indices)]
        middles = np.stack([self.track.landmarks[frames, part, :2].mean(axis=1) for part in rows], axis=1)
        lenses = [self.lens(i) for i in indices]
        face = self.solver.face
        return iris_gaze(
            middles.astype(np.float64),
            np.stack([state.pose.rotation for state in states]),
            np.stack([state.pose.translation for state in states]),
            np.array([lens.focal for lens in lenses]),
            np.stack([lens.centre for lens in lenses]),
            face.eyes,
            face.irises,
        )

    def rest_weights(self, neutral_time: float | None) -> Array:
        """(E,) the expression that the resting face was given."""
        weights = np.stack([state.weights for state in self.states])
        if neutral_time is not None:
            nearest = int(np.argmin(np.abs(self.track.time[self.frames] - neutral_time)))
            rest = weights[nearest].copy()
        else:
            rest = np.clip(np.percentile(weights, REST_SHARE, axis=0), 0.0, MOST_REST)
        rest[self.solver.prior.looks] = 0.0
        return rest

    def result(self, name: str) -> TakeFit:
        """The performance over all frames: lost ones are bridged by time and have confidence 0."""
        track, frames = self.track, self.frames
        projected = np.full((track.frame_count, FACE, 2), np.nan, np.float32)
        for index, (frame, state) in enumerate(zip(frames, self.states, strict=True)):
            projected[frame], _, _ = project(self.solver.points(state.weights), state.pose, self.lens(index))
        seen = track.landmarks[:, :FACE, :2]
        errors = np.linalg.norm(projected - seen, axis=2).mean(axis=1)
        size = np.mean(np.max(seen, axis=1) - np.min(seen, axis=1), axis=1)
        return TakeFit(self.person, self._performance(name), errors, size, projected)

    def _performance(self, name: str) -> Performance:
        track = self.track
        known = track.time[self.frames]
        low, u = brackets(known, track.time)
        places = np.stack([state.pose.translation for state in self.states])
        turns = rotation.continuous(
            rotation.from_matrix(np.stack([state.pose.rotation for state in self.states]))
        )
        middle = np.median(places, axis=0)
        weights = np.stack([state.weights for state in self.states])
        return Performance(
            name=name,
            time=track.time,
            weights=linear(weights, low, u).astype(np.float32),
            head_rotation=spherical(turns, low, u),
            head_translation=linear(places - middle, low, u),
            gaze=linear(self.gaze, low, u),
            confidence=np.where(track.tracked, np.clip(track.confidence, 1e-3, 1.0), 0.0),
            source=f"{track.source}, tracked by {track.detector}",
            camera=_camera(track, self.person.lens, middle),
        )


def _camera(track: Track, lenses: Sequence[Lens], middle: Array) -> Camera:
    if len(lenses) == 1:
        sizes = track.size[:1]
    else:
        sizes = track.size
        every = dict(zip(np.flatnonzero(track.tracked).tolist(), lenses, strict=True))
        lenses = [every.get(i, lenses[0]) for i in range(track.frame_count)]
    return Camera(
        np.array([lens.focal for lens in lenses]), np.stack([lens.centre for lens in lenses]), sizes, middle
    )


def bridged(time: Array, values: Array, trust: Array) -> Array:
    """Values (T, ...) with those of trust below one half taken from the trusted ones before and after."""
    good = np.flatnonzero(trust >= 0.5)
    if not len(good) or len(good) == len(time):
        return values
    low, u = brackets(time[good], time)
    between = linear(values[good], low, u)
    keep = (trust >= 0.5).reshape(-1, *[1] * (values.ndim - 1))
    return np.where(keep, values, between)
