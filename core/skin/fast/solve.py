# SPDX-License-Identifier: GPL-3.0-or-later
"""The default solver: transforms and weights take turns, and the budget is tightened on the way.

Bones begin as clusters of vertices that move alike. First every vertex may use many bones and every shape
all numbers of all bones: that is close to a factorisation of the shapes and finds good bones within a dozen
turns; it is begun several times and the best beginning is kept. Then the numbers are limited to the budget,
the weights in steps to theirs, and the turns go on until they gain little. The Laplacian acts on what is
missed and not on the result, so that it does not smooth away detail: alpha is free of units and the same
for every model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...progress import Progress, subrange
from ..problem import Budget, Checkpoint, Problem, Settings, Solution
from .bases import Bases, bases_of
from .clusters import clusters_of
from .state import State, first_state
from .steps import carried, solve_transforms, solve_weights
from .worst import Worst, missed_by

ALPHA = 1.5
BEGINNINGS = 3
_OPENING = 6
"""Turns of each beginning, and again of the best one."""
_WIDEST = 40
"""Most influences of a vertex on the way; more cost much and gain nothing."""
_CHOICE = 2
"""Which numbers are kept is chosen anew in one of so many turns; it hardly matters for the result."""
_LONGEST = 60
"""Most turns at the full budget."""
_RELIEF = 10
"""Turns that lower what is missed most."""
_TOLERANCE = 0.35
"""Distances above this part of the largest count more in them."""
_PRICE = 0.05
"""By how much of itself the sum of squares may grow for that."""
_ENOUGH = 2e-3
"""The turns end when the loss falls by less than this part of itself in each."""


@dataclass(frozen=True)
class Turn:
    """What one turn is allowed."""

    influences: int
    numbers: int | None
    """None: all."""
    exchanges: int


def opening(budget: Budget) -> Turn:
    """A first turn: all numbers, and weights that spread to more bones each time."""
    return Turn(min(budget.bones, _WIDEST), None, 8)


def tightening(budget: Budget) -> list[Turn]:
    """The turns that bring numbers and weights to the budget."""
    return [
        Turn(min(budget.bones, max(limit, budget.influences)), budget.coefficients, 2)
        for limit, turns in ((20, 6), (12, 4))
        for _ in range(turns)
    ]


def solve_fast(
    problem: Problem, budget: Budget, settings: Settings, progress: Progress, checkpoint: Checkpoint
) -> Solution:
    """Compress; the result is the same for the same input and seed.

    Where vertices rest, one bone of the budget rests with them: its transforms are zero.
    """
    alpha = ALPHA if settings.alpha is None else settings.alpha
    bases = bases_of(problem, alpha, leave_out_still=budget.bones > 1)
    if not len(bases.moving):
        return _nothing_moves(problem, budget)
    resting = len(bases.moving) < problem.n_vertices
    bases = replace(bases, still_bone=budget.bones - 1 if resting else None)
    state = _run(bases, budget, settings, progress, checkpoint)
    return _solution(problem, bases, budget, state)


def _run(
    bases: Bases, budget: Budget, settings: Settings, progress: Progress, checkpoint: Checkpoint
) -> State:
    """All turns, or those that a stopped run had left."""
    kept = checkpoint.load()
    if kept is None:
        state, turn = _best_beginning(bases, budget, settings, subrange(progress, 0.0, 0.3)), 0
    else:
        state, turn = State.of_arrays(kept), int(kept["turn"])
    turns = [*tightening(budget), *[Turn(budget.influences, budget.coefficients, 2)] * _LONGEST]
    closing = subrange(progress, 0.3, 1.0)
    while turn < len(turns) and not _has_settled(state, turn - len(tightening(budget))):
        state = _turn(bases, state, turns[turn], turn)
        turn += 1
        closing(turn / len(turns), "compress", f"Turn {turn}, residual {_residual(bases, state):.3g}")
        checkpoint.keep(lambda: {**state.arrays(), "turn": np.array(turn)})  # noqa: B023  asked for at once
    state = solve_transforms(bases, state, budget.coefficients, carried(bases, state), choose=False)
    return _lower_worst(bases, budget, state)


def _lower_worst(bases: Bases, budget: Budget, state: State) -> State:
    """Give a little of the mean for the worst: more turns in which what is missed most counts more."""
    missed = missed_by(bases, state, np.inf, Worst())
    if not missed.largest:
        return state
    best, largest, most = state, missed.largest, (1.0 + _PRICE) * missed.square
    tolerance = _TOLERANCE * missed.largest
    now = state.copied(all_kept=budget.coefficients >= state.numbers.size)
    worst = Worst()
    for number in range(_RELIEF):
        worst = missed_by(bases, now, tolerance, worst).worst
        places = carried(bases, now)
        solve_weights(bases, now, budget.influences, 2, places[1], forwards=number % 2 == 0, worst=worst)
        now = solve_transforms(bases, now, None, carried(bases, now), worst=worst)
        missed = missed_by(bases, now, np.inf, Worst())
        if missed.largest < largest and missed.square <= most:
            best, largest = now.copied(), missed.largest
    return best


def _best_beginning(bases: Bases, budget: Budget, settings: Settings, progress: Progress) -> State:
    """The best of several beginnings: those that are better after six turns are better at the end too."""
    best: State | None = None
    progress(0.0, "begin", "Finding bones; a first run compiles the solver, some ten seconds")
    for number in range(BEGINNINGS):
        state = _begun(bases, budget, settings.seed + number)
        if best is None or state.loss < best.loss:
            best = state
        progress((number + 1) / (BEGINNINGS + 1), "begin", f"Finding bones, {number + 1} of {BEGINNINGS}")
    assert best is not None
    for number in range(_OPENING):
        best = _turn(bases, best, opening(budget), number)
    return best


def _begun(bases: Bases, budget: Budget, seed: int) -> State:
    bones = budget.bones - (bases.still_bone is not None)
    turn = opening(budget)
    room = max(turn.influences, budget.influences) + 1
    state = first_state(clusters_of(bases, bones, seed), budget.bones, bases.n_shapes, room)
    for number in range(_OPENING):
        state = _turn(bases, state, turn, number)
    return state


def _turn(bases: Bases, state: State, turn: Turn, number: int) -> State:
    """Transforms, then weights; the passes over the vertices alternate in direction."""
    places = carried(bases, state)
    state = solve_transforms(bases, state, turn.numbers, places, choose=number % _CHOICE == 0)
    solve_weights(bases, state, turn.influences, turn.exchanges, places[1], forwards=number % 2 == 0)
    return state


def _has_settled(state: State, turns: int) -> bool:
    """Whether the last ten of so many turns at the full budget were hardly worth it."""
    if turns < 20:
        return False
    before, now = state.losses[-11], state.losses[-1]
    return now <= 0.0 or before / now < (1.0 + _ENOUGH) ** 10


def _residual(bases: Bases, state: State) -> float:
    """Root of the mean loss; the Laplacian's share is in it."""
    return float(np.sqrt(bases.mean_loss(state.loss)))


def _solution(problem: Problem, bases: Bases, budget: Budget, state: State) -> Solution:
    """In the problem's own units and with all its vertices."""
    weights = np.zeros((problem.n_vertices, budget.bones), np.float32)
    weights[bases.moving] = state.dense()
    if bases.still_bone is not None:
        rest = np.ones(problem.n_vertices, bool)
        rest[bases.moving] = False
        weights[rest, bases.still_bone] = 1.0
    transforms = state.numbers.reshape(bases.n_shapes, budget.bones, 6).copy()
    transforms[:, :, 3:] *= bases.scale
    history = {"loss": state.losses, "iteration": [float(i) for i in range(len(state.losses))]}
    return Solution(weights, transforms.astype(np.float32), history)


def _nothing_moves(problem: Problem, budget: Budget) -> Solution:
    weights = np.zeros((problem.n_vertices, budget.bones), np.float32)
    weights[:, 0] = 1.0
    return Solution(weights, np.zeros((problem.n_shapes, budget.bones, 6), np.float32))
