# SPDX-License-Identifier: GPL-3.0-or-later
"""Fitting a take on one core: our solver, frame by frame and as a whole, beside Adam by autograd on the same
rows.

The take is made: our body's default person, weights and pose that move as a talking head's do, detector
noise of half a pixel and rough in depth. Times are processor time, since other work may run beside. Final
errors are mean distances to the noisy landmarks, so the noise is what remains of them.
"""

# ruff: noqa: E402  (numpy and torch read how many threads they may use when they are first imported)

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import statistics
import time
from typing import NamedTuple

import numpy as np

from core.fit.frame import Expected, FaceState, FrameSolver, pixels_per_metre
from core.fit.projection import Lens, Pose, exponential, project
from core.fit.sequence import TakeInput, solve_sequence
from core.fit.slices import FaceRows
from core.head import load_model
from core.head.embedding import load_embedding

TARGETS = {"frame_ms": 1000 / 300, "sequence_ms_per_frame": 4.0}
MINIMA = {"adam_over_ours": 20.0}

RATE, FRAMES = 30.0, 120
NOISE_PX, DEPTH_NOISE_PX = 0.5, 5.0
ADAM_FRAMES, ADAM_STEPS = 6, 2000


class Made(NamedTuple):
    """A take with its truth."""

    solver: FrameSolver
    face: FaceRows
    lens: Lens
    time: np.ndarray
    landmarks: np.ndarray
    truth: list[FaceState]
    expected: Expected


def run() -> dict[str, float]:
    """Processor milliseconds a frame, and the error that is left, of each way."""
    take = made()
    figures, states = one_by_one(take)
    return figures | together(take, states) | by_adam(take, states, figures)


def made() -> Made:
    """Slow waves in a third of the weights, a head that sways, noise."""
    rng = np.random.default_rng(0)
    model = load_model("anny")
    face = FaceRows.of(model, model.rest(model.identity_coefficients()), load_embedding(model))
    solver = FrameSolver.of(face)
    lens = Lens(900.0, np.array([256.0, 256.0]))
    seconds = np.arange(FRAMES) / RATE
    speed, phase = rng.uniform(2, 9, len(face.names)), rng.uniform(0, 6.3, len(face.names))
    active = rng.uniform(size=len(face.names)) < 1 / 3
    active[solver.prior.looks] = False
    weights = 0.3 * active * np.clip(np.sin(np.outer(seconds, speed) + phase), 0, None)
    truth, seen = [], []
    for t, w in zip(seconds, weights, strict=True):
        turn = exponential(np.array([0.1 * np.sin(2 * t), 0.3 * np.sin(1.3 * t), 0.05 * np.sin(t)]))
        state = FaceState(Pose(turn, np.array([0.01 * np.sin(t), 0.0, -0.55])), w)
        px, arm, _ = project(solver.points(w), state.pose, lens)
        depth = -arm[:, 2] * pixels_per_metre(lens, state.pose)
        truth.append(state)
        seen.append(np.c_[px, depth] + rng.normal(size=(len(px), 3)) * [NOISE_PX, NOISE_PX, DEPTH_NOISE_PX])
    expected = Expected(solver.prior.precision, np.zeros(solver.count))
    return Made(solver, face, lens, seconds, np.stack(seen), truth, expected)


def one_by_one(take: Made) -> tuple[dict[str, float], list[FaceState]]:
    """Three iterations a frame from the frame before, as a take is begun."""
    state = take.solver.solve(
        take.landmarks[0],
        take.lens,
        take.solver.start(take.landmarks[0], take.lens),
        take.expected,
        iterations=8,
    )
    states, spent = [state], []
    for seen in take.landmarks[1:]:
        start = time.process_time()
        previous = (state, 1 / RATE)
        state = take.solver.solve(seen, take.lens, state, take.expected, previous, iterations=3)
        spent.append(time.process_time() - start)
        states.append(state)
    median = 1000 * statistics.median(spent)
    return {"frame_ms": median, "frames_per_s": 1000 / median, **errors(take, states, "frame")}, states


def together(take: Made, states: list[FaceState]) -> dict[str, float]:
    """The whole take as one sparse problem, from the frames' solutions."""
    count = len(states)
    problem = TakeInput(take.time, take.landmarks, [take.expected] * count, np.ones(count))
    start = time.process_time()
    solved = solve_sequence(take.solver, problem, take.lens, states)
    spent = 1000 * (time.process_time() - start) / count
    return {"sequence_ms_per_frame": spent, **errors(take, solved, "sequence")}


def by_adam(take: Made, states: list[FaceState], ours: dict[str, float]) -> dict[str, float]:
    """Adam on the same cost, rows and starts, until it is within 2% of our error; float32, one thread."""
    import torch

    from tests.core.fit_twin import Adam, Twin

    torch.set_num_threads(1)
    adam = Adam(Twin.of_rows(take.face, take.lens, torch.float32), take.solver)
    spent, steps, left = [], [], []
    for frame in np.linspace(1, len(states) - 1, ADAM_FRAMES).astype(int):
        goal = 1.02 * float(distance(take, states[frame], frame))
        begin = time.process_time()
        found, _, done = adam.solve(
            take.landmarks[frame], take.lens, states[frame - 1], take.expected, goal, ADAM_STEPS
        )
        spent.append(1000 * (time.process_time() - begin))
        steps.append(done)
        left.append(distance(take, found, frame))
    median = statistics.median(spent)
    return {
        "adam_ms": median,
        "adam_steps": float(statistics.median(steps)),
        "adam_px": float(np.mean(left)),
        "adam_over_ours": median / ours["frame_ms"],
    }


def distance(take: Made, state: FaceState, frame: int) -> float:
    """Mean distance of fitted and seen landmarks, px."""
    px, _, _ = project(take.solver.points(state.weights), state.pose, take.lens)
    return float(np.mean(np.linalg.norm(px - take.landmarks[frame, :, :2], axis=1)))


def errors(take: Made, states: list[FaceState], name: str) -> dict[str, float]:
    """What is left in px, and how far the weights are from the truth."""
    px = np.mean([distance(take, state, frame) for frame, state in enumerate(states)])
    off = [np.abs(a.weights - b.weights).mean() for a, b in zip(states, take.truth, strict=True)]
    return {f"{name}_px": float(px), f"{name}_weight_mae": float(np.mean(off))}
