# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole take in one banded solve: equal to the dense one, calmer than its frames, quick where a face is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fit_support import LENS, LOOKS, face_of, random_pose, random_weights, seen, turn_degrees

from core.arkit import INDEX
from core.fit.frame import Expected, FaceState, FrameSolver
from core.fit.projection import Pose
from core.fit.sequence import (
    TakeInput,
    _banded,
    _inertia_gradient,
    _linearise,
    _path,
    _solve_limited,
    second_differences,
    solve_sequence,
)

BLINK = INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]


@pytest.fixture(scope="module")
def solver():
    return FrameSolver.of(face_of())


def take_of(solver, states, noise=0.0, time=None, seed=0) -> TakeInput:
    rng = np.random.default_rng(seed)
    landmarks = np.stack([seen(solver.face, state) for state in states])
    landmarks += rng.normal(size=landmarks.shape) * noise
    time = np.arange(len(states)) / 30.0 if time is None else time
    expected = Expected(solver.prior.precision, np.zeros(solver.count))
    return TakeInput(time, landmarks, [expected] * len(states), np.ones(len(states)))


def random_walk(rng, count: int) -> list[FaceState]:
    pose, weights = random_pose(rng), random_weights(rng)
    states = []
    for _ in range(count):
        pose = pose.moved(rng.normal(size=6) * 0.01)
        weights = np.where(LOOKS, 0.0, np.clip(weights + 0.03 * rng.normal(size=52), 0.0, 1.0))
        states.append(FaceState(pose, weights))
    return states


def one_by_one(solver, take: TakeInput, iterations: int = 10) -> list[FaceState]:
    return [
        solver.solve(landmarks, LENS, solver.start(landmarks, LENS), expected, iterations=iterations)
        for landmarks, expected in zip(take.landmarks, take.expected, strict=True)
    ]


def test_second_differences_are_exact_on_parabolas_at_any_times():
    rng = np.random.default_rng(0)
    time = np.cumsum(rng.uniform(0.01, 0.08, 30))
    values = 1.5 * time**2 - 3.0 * time + 2.0
    for first, weights in second_differences(time):
        part = slice(first, first + 3)
        scale = np.sqrt(0.5 * (time[first + 2] - time[first]) * 30.0)
        assert np.isclose(weights @ values[part], 3.0 * scale)
        assert abs(weights @ np.ones(3)) < 1e-8 * np.abs(weights).max()


def test_a_gap_of_a_second_ties_nothing():
    time = np.array([0.0, 0.03, 0.06, 1.5, 1.53, 1.56])
    assert [first for first, _ in second_differences(time)] == [0, 3]


def test_the_rate_of_a_take_does_not_change_how_stiff_it_is():
    def energy(rate: float) -> float:
        time = np.arange(0.0, 2.0, 1.0 / rate)
        values = np.sin(5.0 * time)
        return sum(float(w @ values[i : i + 3]) ** 2 for i, w in second_differences(time))

    assert energy(60.0) == pytest.approx(energy(24.0), rel=0.1)


def test_the_banded_solve_is_the_dense_one(solver):
    rng = np.random.default_rng(1)
    states = random_walk(rng, 7)
    time = np.cumsum(rng.uniform(0.02, 0.06, 7))
    take = take_of(solver, states, noise=1.0, time=time)
    take = replace(take, trust=rng.uniform(0.2, 1.0, 7))
    current = one_by_one(solver, take, 2)
    stencil, stiffness = second_differences(time), rng.uniform(1e-4, 1e-2, 58)
    blocks, right, low, high = _linearise(solver, take, LENS, current)
    right -= _inertia_gradient(_path(current), stencil, stiffness)
    dense = np.zeros((7, 58, 7, 58))
    for frame, block in enumerate(blocks):
        dense[frame, :, frame] = block
    for first, weights in stencil:
        for i in range(3):
            for j in range(3):
                at = np.arange(58)
                dense[first + i, at, first + j, at] += weights[i] * weights[j] * stiffness
    wide = np.full_like(low, 1e6)
    wide[:, 6:][:, LOOKS] = 0.0
    held = np.flatnonzero(wide.ravel() > 0)
    expected = np.zeros(7 * 58)
    matrix = dense.reshape(7 * 58, -1)[np.ix_(held, held)]
    expected[held] = np.linalg.solve(matrix, right.ravel()[held])
    found = _solve_limited(_banded(blocks, stencil, stiffness), right, -wide, wide)
    assert np.abs(found.ravel() - expected).max() < 1e-6

    limited = _solve_limited(_banded(blocks, stencil, stiffness), right, low, high).ravel()
    free = (limited > low.ravel() + 1e-9) & (limited < high.ravel() - 1e-9)
    push = right.ravel() - dense.reshape(7 * 58, -1) @ limited
    scale = np.abs(right).max()
    assert np.any(~free[held]) and np.abs(push[free]).max() < 1e-5 * scale
    at_low = (limited <= low.ravel()) & (low.ravel() < high.ravel())
    assert push[at_low].max(initial=0.0) < 1e-5 * scale


def test_without_inertia_every_frame_is_alone(solver):
    rng = np.random.default_rng(2)
    take = take_of(solver, [FaceState(random_pose(rng), random_weights(rng)) for _ in range(4)], noise=0.5)
    alone = one_by_one(solver, take, 25)
    start = [FaceState(state.pose, np.zeros(52)) for state in alone]
    together = solve_sequence(solver, take, LENS, start, iterations=25, strength=0.0)
    for a, b in zip(alone, together, strict=True):
        assert np.abs(a.weights - b.weights).max() < 1e-3
        assert turn_degrees(a.pose.rotation, b.pose.rotation) < 0.01


def test_a_face_that_does_not_move_does_not_move(solver):
    rng = np.random.default_rng(3)
    state = FaceState(random_pose(rng), random_weights(rng))
    take = take_of(solver, [state] * 8)
    found = solve_sequence(solver, take, LENS, one_by_one(solver, take), iterations=6)
    weights = np.stack([one.weights for one in found])
    assert np.ptp(weights, axis=0).max() < 1e-4
    assert max(turn_degrees(one.pose.rotation, found[0].pose.rotation) for one in found) < 1e-3


def test_noise_is_reduced_and_more_strength_reduces_more(solver):
    rng = np.random.default_rng(4)
    truth = FaceState(random_pose(rng), random_weights(rng))
    take = take_of(solver, [truth] * 16, noise=1.0)
    alone = one_by_one(solver, take, 6)

    def flutter(states) -> float:
        weights = np.stack([state.weights for state in states])
        return float(np.sqrt(np.mean(np.diff(weights, 2, axis=0) ** 2)))

    usual = solve_sequence(solver, take, LENS, alone)
    firm = solve_sequence(solver, take, LENS, alone, strength=10.0)
    assert flutter(usual) < 0.5 * flutter(alone)
    assert flutter(firm) < flutter(usual)


def test_a_blink_of_a_tenth_of_a_second_stays_a_blink(solver):
    rng = np.random.default_rng(5)
    pose = random_pose(rng, yaw=0.2, pitch=0.1, roll=0.1)
    closing = np.zeros(21)
    closing[8:13] = (0.45, 1.0, 1.0, 0.6, 0.2)
    states = []
    for shut in closing:
        weights = np.zeros(52)
        weights[list(BLINK)] = shut
        states.append(FaceState(pose, weights))
    take = take_of(solver, states, noise=0.5)
    alone = one_by_one(solver, take, 6)
    together = solve_sequence(solver, take, LENS, alone)
    found, single = (
        np.stack([s.weights[list(BLINK)].mean() for s in states]) for states in (together, alone)
    )
    assert found[9:11].max() > single[9:11].max() - 0.05, "as deep as its frames alone say"
    assert found[9:11].max() > 0.85
    assert found[:6].max() < 0.1 and found[16:].max() < 0.1, "and not spread over the frames around it"
    assert np.abs(found - single).max() < 0.12


def test_a_frame_of_no_confidence_follows_its_neighbours(solver):
    rng = np.random.default_rng(6)
    weights = np.zeros(52)
    weights[INDEX["jawOpen"]] = 0.4
    state = FaceState(random_pose(rng), weights)
    take = take_of(solver, [state] * 9)
    take.landmarks[4] += rng.normal(size=(468, 2)) * 12.0
    trust = np.ones(9)
    trust[4] = 0.05
    alone = one_by_one(solver, take, 6)
    jaw = INDEX["jawOpen"]
    blind = solve_sequence(solver, take, LENS, alone)
    told = solve_sequence(solver, replace(take, trust=trust), LENS, alone)
    calm = np.mean([told[k].weights[jaw] for k in (2, 6)])
    assert abs(told[4].weights[jaw] - calm) < 0.03
    off = [turn_degrees(states[4].pose.rotation, state.pose.rotation) for states in (blind, told)]
    assert off[1] < off[0]


def test_turning_right_round_is_smooth_too(solver):
    pose = Pose(np.eye(3), np.array([0.0, 0.0, -0.6]))
    states = []
    for step in range(12):
        turn = np.array([0.0, 0.12 * (step - 6), 0.0, 0.0, 0.0, 0.0])
        states.append(FaceState(pose.moved(turn), np.zeros(52)))
    take = take_of(solver, states, noise=0.5)
    found = solve_sequence(solver, take, LENS, one_by_one(solver, take, 6))
    for a, b in zip(found, states, strict=True):
        assert turn_degrees(a.pose.rotation, b.pose.rotation) < 1.0
