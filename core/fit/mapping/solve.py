# SPDX-License-Identifier: GPL-3.0-or-later
"""The expression and jaw that best make landmarks move as wanted: Gauss-Newton with priors, limits if
asked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import WorkerError
from .surface import Surface

Array = np.ndarray

ITERATIONS = 30
SETTLED = 1e-9


@dataclass(frozen=True)
class Prior:
    """How the residuals are weighed: landmark errors by `noise`, parameters by their deviations."""

    noise: float = 0.001
    """Metres: error of one landmark that costs as much as one deviation of one parameter. Small, so that a
    blink is full: it moves few landmarks, and components must be free to follow them."""
    expression: float = 1.0
    """Deviation of each expression coefficient; FLAME's are scaled to 1."""
    jaw: float = 0.4
    """Deviation of the jaw's rotation in radians."""
    sparsity: float = 0.05
    """For weights that are not negative: a weight of 1 must explain twice this share of a shape's motion to
    be worth having, so that a shape is met by few others and not by a little of all."""


@dataclass(frozen=True)
class Start:
    """Where the other scores have already brought the face."""

    expression: Array
    """(E,)."""
    jaw: Array
    """(3,) radians."""

    @staticmethod
    def rest(surface: Surface) -> Start:
        """The face without expression."""
        return Start(np.zeros(len(surface.shapes)), np.zeros(3))


def solve_shape(
    surface: Surface, motion: Array, weights: Array, prior: Prior, start: Start, non_negative: bool = False
) -> tuple[Array, Array]:
    """Expression (E,) and jaw (3,) to add to `start` so that the landmarks move by `motion` (L, 3) metres.

    Minimises sum_l weights_l |error_l|^2 / noise^2 + |expression|^2 / expression^2 + |jaw|^2 / jaw^2.
    `non_negative`: no coefficient added is below zero, and their sum is charged for (needs scipy).
    """
    target = surface.at(start.expression, start.jaw) + motion
    scale = np.sqrt(weights)[:, None] / prior.noise
    count = len(surface.shapes)
    toll = np.zeros(count + 3)
    if non_negative:
        toll[:count] = prior.sparsity * np.sum((scale * motion) ** 2)
    stiffness = np.r_[np.full(count, prior.expression**-2.0), np.full(3, prior.jaw**-2.0)]
    free = np.ones(count + 3, bool)
    free[count:] = surface.has_jaw
    found = np.zeros(count + 3)
    for _ in range(ITERATIONS):
        expression, jaw = start.expression + found[:count], start.jaw + found[count:]
        error = (scale * (surface.at(expression, jaw) - target)).ravel()
        slope = (scale[..., None] * surface.jacobian(expression, jaw)).reshape(error.size, -1)[:, free]
        curvature = slope.T @ slope + np.diag(stiffness[free])
        gradient = slope.T @ error + stiffness[free] * found[free] + toll[free]
        lowest = np.r_[np.full(count, 0.0 if non_negative else -np.inf), np.full(3, -np.inf)] - found
        step = _step(curvature, gradient, lowest[free])
        found[free] += step
        if np.max(np.abs(step)) < SETTLED:
            break
    expression = np.maximum(found[:count], 0.0) if non_negative else found[:count]  # steps end at -1e-17
    return expression, found[count:]


def _step(curvature: Array, gradient: Array, lowest: Array) -> Array:
    """The argmin of the quadratic over steps of at least `lowest` (-inf where unlimited)."""
    if not np.any(np.isfinite(lowest)):
        return np.linalg.solve(curvature, -gradient)
    try:
        from scipy.optimize import lsq_linear
    except ImportError as problem:
        raise WorkerError("The worker's environment has no scipy.", "Run build.py setup.") from problem
    factor = np.linalg.cholesky(curvature)
    return lsq_linear(factor.T, np.linalg.solve(factor, -gradient), (lowest, np.inf), method="bvls").x
