# SPDX-License-Identifier: GPL-3.0-or-later
"""The published fit: Adam on all weights and transforms, cut to the budget after every step.

Two phases of equal length, the first with weights that need not sum to one. Start, step sizes, pruning and
loss are the published ones; the gradient is the same in a cheaper form. Mended are static and loose
vertices, budgets larger than the model, odd powers, and lengths, which the published code wants in
centimetres.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

import numpy as np

from ..progress import Progress
from .problem import Budget, Checkpoint, Problem, Settings, Solution
from .reference_arrays import Array, Arrays, arrays_for
from .reference_finish import lone_bones, within_budget
from .reference_gradient import Objective
from .reference_random import TorchRandom

ALPHA = 10.0
"""The published weight of the Laplacian term for most models."""
RATE = 1e-3
"""Step size of Adam."""
LOG_EVERY = 200
"""Iterations between two measurements of the loss."""
_DECAY = 0.9
_TINY = 1e-8
_FIRST_WEIGHTS = 1e-8
_LEAST_SUM = 1e-8
_NOMINAL_MOTION = 3.0
"""Largest component of the shapes of a head in centimetres, in which the published step sizes are good."""
_NOTICE_SECONDS = 0.25
_NAMES = ("transforms", "weights")


def solve_reference(
    problem: Problem, budget: Budget, settings: Settings, progress: Progress, checkpoint: Checkpoint
) -> Solution:
    """Weights and transforms by the published algorithm."""
    xp, unit = arrays_for(settings.device), _unit(problem)
    scaled = problem
    if unit != 1.0:
        deltas = (problem.deltas * np.float32(unit)).astype(np.float32, copy=False)
        scaled = Problem(problem.rest * unit, deltas, problem.pairs)
    progress(0.0, "fit", "Preparing the fit")
    fit = Fit(xp, scaled, budget, settings)
    kept = checkpoint.load()
    if kept is not None:
        fit.restore(kept)
    fit.run(progress, checkpoint)
    transforms, weights = fit.result()
    transforms[..., 3:] /= np.float32(unit)
    return Solution(weights, transforms, fit.history)


def _unit(problem: Problem) -> float:
    """The power of ten that brings lengths near those of a head in centimetres; 1 for such a head."""
    largest = float(np.abs(problem.deltas).max(initial=0.0))
    return 10.0 ** round(math.log10(_NOMINAL_MOTION / largest)) if largest > 0.0 else 1.0


class _Adam:
    """Adam, as in torch, with both decays 0.9."""

    def __init__(self, xp: Arrays, like: Array) -> None:
        self.xp = xp
        self.mean, self.square = xp.zeros(*like.shape), xp.zeros(*like.shape)

    def step(self, value: Array, slope: Array, count: int) -> None:
        """Change `value` by step number `count`, from 1; `slope` is used up."""
        left = 1.0 - _DECAY**count
        self.xp.adam(value, slope, self.mean, self.square, (RATE / left, _DECAY, left**-0.5, _TINY))


class Fit:
    """The state of a run, and its iterations."""

    def __init__(self, xp: Arrays, problem: Problem, budget: Budget, settings: Settings) -> None:
        self.xp, self.problem, self.budget, self.settings = xp, problem, budget, settings
        alpha = ALPHA if settings.alpha is None else settings.alpha
        self.objective = Objective(xp, problem, alpha, settings.power)
        random = TorchRandom(settings.seed)
        bones, n = budget.bones, problem.n_vertices
        transforms = settings.init_weight * random.randn(6, problem.n_shapes, bones)
        self.values = [xp.array(transforms), xp.array(_FIRST_WEIGHTS * random.randn(bones, n).T)]
        self.iteration = 0
        """Of both phases together."""
        self.history: dict[str, list[float]] = {"iteration": [], "loss": [], "abserr": []}
        self._fresh_steps()

    def _fresh_steps(self) -> None:
        self.steps = [_Adam(self.xp, value) for value in self.values]

    def run(self, progress: Progress, checkpoint: Checkpoint, until: int | None = None) -> None:
        """All iterations that are left, or those before `until`."""
        each, noticed = self.settings.iterations, -math.inf
        while self.iteration < (2 * each if until is None else until):
            phase, step = divmod(self.iteration, each)
            if phase and not step:
                self._begin_second_phase()
            if step % LOG_EVERY == 0:
                self._log(phase)
            if step % LOG_EVERY == 0 or time.monotonic() - noticed > _NOTICE_SECONDS:
                progress(self.iteration / (2 * each), "fit", self._text(phase))
                noticed = time.monotonic()
            self._iterate(phase, step + 1)
            self.iteration += 1
            checkpoint.keep(self.state)

    def _iterate(self, phase: int, count: int) -> None:
        """One step, and the cut to the budget."""
        transforms, weights = self.values
        if phase:
            sums = self.xp.clip(weights.sum(axis=1, keepdims=True), _LEAST_SUM)
            used = weights / sums
            by_transforms, by_weights = self.objective.slopes(transforms, used)
            by_weights -= (used * by_weights).sum(axis=1, keepdims=True)
            by_weights /= sums
        else:
            by_transforms, by_weights = self.objective.slopes(transforms, weights)
        self.steps[0].step(transforms, by_transforms, count)
        self.steps[1].step(weights, by_weights, count)
        self.xp.keep_largest_of_rows(weights, self.budget.influences)
        self.xp.keep_largest(transforms, self.budget.coefficients)

    def _begin_second_phase(self) -> None:
        """Weights sum to one from here on: a vertex that has none yet, as it hardly moves, gets a bone."""
        transforms, weights = (self.xp.host(value) for value in self.values)
        self.values[1] = self.xp.array(lone_bones(self.problem, weights, transforms, _LEAST_SUM))
        self._fresh_steps()

    def _log(self, phase: int) -> None:
        """Measure loss and largest error."""
        transforms, weights = self.values
        if phase:
            weights = weights / self.xp.clip(weights.sum(axis=1, keepdims=True), _LEAST_SUM)
        loss, largest = self.objective.measure(transforms, weights)
        for name, value in (("iteration", self.iteration), ("loss", loss), ("abserr", largest)):
            self.history[name].append(float(value))

    def _text(self, phase: int) -> str:
        """Where the fit is, for a person."""
        loss, largest = self.history["loss"][-1], self.history["abserr"][-1]
        return (
            f"Phase {phase + 1} of 2, iteration {self.iteration % self.settings.iterations}: "
            f"loss {loss:.4g}, largest error {largest:.4g}"
        )

    def state(self) -> dict[str, np.ndarray]:
        """All that the rest of the run depends on."""
        state = {name: np.array(values) for name, values in self.history.items()}
        state |= {"done": np.array(self.iteration), "scale": np.array(self.objective.scale)}
        for name, value, step in zip(_NAMES, self.values, self.steps, strict=True):
            parts = (("value", value), ("mean", step.mean), ("square", step.square))
            state |= {f"{name}_{part}": self.xp.host(array) for part, array in parts}
        return state

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from a state."""
        self.iteration, self.objective.scale = int(state["done"]), float(state["scale"])
        self.history = {name: state[name].tolist() for name in self.history}
        self.values = [self.xp.array(state[f"{name}_value"]) for name in _NAMES]
        for name, step in zip(_NAMES, self.steps, strict=True):
            step.mean = self.xp.array(state[f"{name}_mean"])
            step.square = self.xp.array(state[f"{name}_square"])

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Transforms (S, P, 6) and weights (N, P) that sum to one."""
        transforms, weights = (self.xp.host(value) for value in self.values)
        transforms = within_budget(transforms, self.budget.coefficients)
        weights = lone_bones(self.problem, weights, transforms, _LEAST_SUM)
        weights = weights / weights.sum(axis=1, keepdims=True, dtype=np.float64)
        # A sum with zero is never minus zero.
        return np.ascontiguousarray(transforms.transpose(1, 2, 0)) + 0, weights.astype(np.float32) + 0
