# SPDX-License-Identifier: GPL-3.0-or-later
"""The two steps that take turns: transforms while the weights rest, weights while the transforms rest.

Neither can raise the loss but where the budget is tightened: the numbers and bones that are kept are always
among those looked at.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .bases import Bases, normal_equations, spread, transforms_of
from .state import State
from .worst import Worst

_SLACK = 0.25
"""Numbers are looked at that gain at least this part of what the cheapest kept one was worth."""
_RIDGE = 1e-9
_ROUGH_GROWTH = 2
"""How many times the mean share of a shape its numbers may be when the threshold is not known yet."""


def carried(bases: Bases, state: State) -> tuple[np.ndarray, np.ndarray]:
    """X^T and Q X^T (n, 4P) of the weights as they are, which both steps begin with."""
    spread_ = spread(state.dense(), bases.position)
    return spread_, bases.metric @ spread_


def solve_transforms(
    bases: Bases,
    state: State,
    budget: int | None,
    places: tuple[np.ndarray, np.ndarray],
    *,
    choose: bool = True,
    worst: Worst | None = None,
) -> State:
    """The best transforms for the weights as they are, `places` = `carried(bases, state)`.

    `budget`: how many numbers may differ from zero, None for all. `choose`: whether the kept numbers may
    change. `worst`: entries that count more than once; the numbers rest then.
    """
    square, target = normal_equations(bases, *places)
    if worst is not None:
        found = replace(state, numbers=_kept_numbers(bases, square, target, state, worst))
    elif budget is None or budget >= target.size:
        found = replace(state, numbers=_all_numbers(square, target))
    else:
        found = _solved(bases, square, target, state)
        if choose:
            chosen = _solved(bases, square, target, _chosen(square, target, state, budget))
            # What was kept was looked at too, but what is left out step by step need not be the least.
            fits = 0 < len(state.kept) <= budget
            better = _loss(square, target, chosen.numbers) <= _loss(square, target, found.numbers)
            found = chosen if better or not fits else replace(found, threshold=chosen.threshold)
    loss = bases.energy + _loss(square, target, found.numbers)
    return replace(found, loss=loss, losses=[*state.losses, bases.mean_loss(loss)])


def _loss(square: np.ndarray, target: np.ndarray, numbers: np.ndarray) -> float:
    """tr(E Q E^T) but for what no number changes."""
    return float(((numbers @ square) * numbers).sum()) - 2.0 * float((target * numbers).sum())


def _solved(bases: Bases, square: np.ndarray, target: np.ndarray, state: State) -> State:
    return replace(state, numbers=_kept_numbers(bases, square, target, state, Worst()))


def _all_numbers(square: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Without a budget. Bones without vertices have no say: their numbers become zero."""
    diagonal = np.diag(square)
    ridge = _RIDGE * diagonal + 1e-12 * max(diagonal.mean(), 1e-300)
    return np.linalg.solve(square + np.diag(ridge), target.T).T


def _kept_numbers(
    bases: Bases, square: np.ndarray, target: np.ndarray, state: State, worst: Worst
) -> np.ndarray:
    from .transform_kernels import values

    numbers = np.empty_like(target)
    heavier = worst.by_shape(len(target))
    weights = state.dense() if len(worst.weight) else np.zeros((0, 0))
    kept = state.kept_start, state.kept
    values(square, target, *kept, *heavier, weights, bases.position, bases.shapes, numbers)
    return numbers


def _chosen(square: np.ndarray, target: np.ndarray, state: State, budget: int) -> State:
    """Which numbers to keep: what is kept and what more would pay, then the dearest of all to leave out."""
    threshold = state.threshold or _rough_threshold(square, target, budget)
    start, index, loss = _paths(
        square, target, (state.kept_start, state.kept), _SLACK * threshold, target.shape[1]
    )
    surplus = len(loss) - budget
    keep = np.ones(len(loss), bool)
    if surplus > 0:
        keep[np.argsort(loss, kind="stable")[:surplus]] = False
        threshold = float(loss[keep].min(initial=np.inf))
    else:
        # More may pay next time.
        threshold = 0.5 * threshold
    shape = np.repeat(np.arange(len(target)), np.diff(start))
    counts = np.bincount(shape[keep], minlength=len(target))
    kept_start = np.concatenate([[0], np.cumsum(counts)])
    return replace(state, kept_start=kept_start, kept=index[keep], threshold=threshold)


def _rough_threshold(square: np.ndarray, target: np.ndarray, budget: int) -> float:
    """About what the cheapest number of the budget will be worth."""
    shapes, size = target.shape
    nothing = np.zeros(shapes + 1, np.int64), np.zeros(0, np.int64)
    most = min(size, _ROUGH_GROWTH * budget // max(shapes, 1) + 4)
    _, _, loss = _paths(square, target, nothing, 0.0, most)
    rank = len(loss) - budget
    if rank <= 0 or not budget:
        return float(loss.max(initial=0.0) if not budget else loss.min(initial=0.0))
    return float(np.partition(loss, rank)[rank])


def _paths(
    square: np.ndarray,
    target: np.ndarray,
    kept: tuple[np.ndarray, np.ndarray],
    threshold: float,
    most: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per shape the numbers worth having and what each is worth: starts (S + 1,), indices, losses."""
    from .transform_kernels import paths

    shapes, size = target.shape
    start = np.zeros(shapes + 1, np.int64)
    room = max(4 * len(kept[1]), 64 * shapes)
    while True:
        index, loss = np.empty(room, np.int64), np.empty(room)
        filled = paths(square, target, *kept, threshold, min(most, size), start, index, loss)
        if filled >= 0:
            return start, index[:filled], loss[:filled]
        room = min(4 * room, shapes * size)


def solve_weights(
    bases: Bases,
    state: State,
    influences: int,
    exchanges: int,
    spread_metric: np.ndarray,
    *,
    forwards: bool,
    worst: Worst | None = None,
) -> None:
    """One pass over the vertices, each solved exactly while the others rest; changes the state's weights.

    `exchanges`: how often a vertex may take another bone. `spread_metric`: Q X^T. `forwards`: in which order
    the pass goes. `worst`: entries that count more than once.
    """
    from .weight_kernels import sweep

    transforms = transforms_of(state.numbers)
    gram = transforms.T @ transforms
    # (B^T E Q)^T = Q X^T B^T B - (A Q)^T B
    gradient = spread_metric @ gram
    gradient -= bases.shapes_metric.T @ transforms.astype(np.float32)
    order = np.arange(len(state.count))
    sweep(
        order if forwards else order[::-1].copy(),
        bases.position,
        gram,
        bases.metric.indptr,
        bases.metric.indices,
        bases.metric.data,
        gradient,
        state.support,
        state.weight,
        state.count,
        influences,
        exchanges,
        *(worst or Worst()).by_vertex(len(order)),
        transforms,
        bases.shapes,
    )
