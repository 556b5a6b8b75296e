# SPDX-License-Identifier: GPL-3.0-or-later
"""A mapping from the user's own pairs: ridge regression whose strength is chosen by cross-validation.

Folds are runs of consecutive frames: neighbours in a video are nearly equal, and a fold drawn at random would
have its answers in the training set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...errors import SettingsError, WorkerError
from .fit_report import FitReport
from .mapping import Mapping
from .names import OPENING, coefficient_names
from .pairs import Pairs

Array = np.ndarray

STRENGTHS = 10.0 ** np.arange(-7.0, 1.5, 0.5)
"""Ridge strengths that are tried, as shares of the mean square of the scores."""

Sign = Literal["free", "jaw", "all"]


@dataclass(frozen=True)
class RegressionSettings:
    """How pairs become a mapping."""

    sign: Sign = "free"
    """"jaw": no score may close the jaw; "all": no entry for expression or jaw opening is negative, for
    models whose coefficients are weights of named shapes; "free": no such limits."""
    bias: bool = False
    """Whether zero scores may give something else than zero."""
    folds: int = 5
    """Parts that the frames are held out in, one after the other."""


def fit_mapping(
    pairs: Pairs, settings: RegressionSettings | None = None, *, variant: str = ""
) -> tuple[Mapping, FitReport]:
    """The mapping and its errors on held-out frames. Seconds for 20,000 pairs of 100 coefficients.

    SettingsError for fewer pairs than folds; WorkerError where a sign is asked for and scipy is missing.
    """
    settings = settings or RegressionSettings()
    if not 2 <= settings.folds <= len(pairs.scores):
        raise SettingsError(f"{len(pairs.scores)} pairs cannot be held out in {settings.folds} parts.")
    scores, targets = pairs.scores, pairs.targets
    held_out = [
        np.arange(len(scores)) // _size(len(scores), settings.folds) == i for i in range(settings.folds)
    ]
    held_out = [rows for rows in held_out if rows.any() and not rows.all()]
    strengths = _choose_strengths(scores, targets, held_out, settings)
    predicted = np.empty_like(targets)
    for rows in held_out:
        matrix, bias = _solve(scores[~rows], targets[~rows], strengths, settings)
        predicted[rows] = scores[rows] @ matrix + bias
    matrix, bias = _solve(scores, targets, strengths, settings)
    names = coefficient_names(pairs.expression.shape[1])
    unseen = tuple(n for n, seen in zip(pairs.names, np.any(scores != 0, axis=0), strict=True) if not seen)
    report = FitReport.of(names, targets, predicted, strengths, len(held_out), unseen)
    provenance = {
        "method": "ridge regression",
        "sign": settings.sign,
        "bias": str(settings.bias),
        "pairs": str(len(scores)),
    }
    mapping = Mapping.linear(pairs.names, matrix, bias, variant=variant, provenance=provenance)
    return mapping, report


def _size(count: int, folds: int) -> int:
    return -(-count // folds)


@dataclass(frozen=True)
class _Normal:
    """What ridge regression needs to know of some frames."""

    gram: Array
    product: Array
    scores_mean: Array
    targets_mean: Array

    @staticmethod
    def of(scores: Array, targets: Array, bias: bool) -> _Normal:
        x, y = np.zeros(scores.shape[1]), np.zeros(targets.shape[1])
        if bias:  # the bias is not shrunk: it is what remains once both sides are centred
            x, y = scores.mean(axis=0), targets.mean(axis=0)
        centred = scores - x
        return _Normal(centred.T @ centred, centred.T @ (targets - y), x, y)

    def unit(self) -> float:
        """Mean square of the scores, the unit of the strengths."""
        return max(float(np.trace(self.gram)) / len(self.gram), 1e-12)


def _choose_strengths(
    scores: Array, targets: Array, held_out: list[Array], settings: RegressionSettings
) -> Array:
    """(C,) the strength for each coefficient with the least squared error over the held-out frames."""
    errors = np.zeros((len(STRENGTHS), targets.shape[1]))
    for rows in held_out:
        normal = _Normal.of(scores[~rows], targets[~rows], settings.bias)
        values, vectors = np.linalg.eigh(normal.gram)
        turned, wanted = vectors.T @ normal.product, targets[rows] - normal.targets_mean
        seen = (scores[rows] - normal.scores_mean) @ vectors
        for i, strength in enumerate(STRENGTHS):
            damped = turned / (np.maximum(values, 0.0) + strength * normal.unit())[:, None]
            errors[i] += np.sum((seen @ damped - wanted) ** 2, axis=0)
    return STRENGTHS[np.argmin(errors, axis=0)]


def _solve(
    scores: Array, targets: Array, strengths: Array, settings: RegressionSettings
) -> tuple[Array, Array]:
    """The matrix (S, C) and the bias (C,)."""
    normal = _Normal.of(scores, targets, settings.bias)
    values, vectors = np.linalg.eigh(normal.gram)
    turned = vectors.T @ normal.product
    damping = np.maximum(values, 0.0)[:, None] + strengths * normal.unit()
    matrix = vectors @ (turned / damping)
    for column in _signed(targets.shape[1], settings.sign):
        ridge = float(strengths[column]) * normal.unit()
        matrix[:, column] = _non_negative(normal.gram, normal.product[:, column], ridge)
    return matrix, normal.targets_mean - normal.scores_mean @ matrix


def _signed(count: int, sign: Sign) -> list[int]:
    names = coefficient_names(count - 9)
    limited = {"free": (), "jaw": (OPENING,), "all": (*names[: count - 9], OPENING)}[sign]
    return [names.index(name) for name in limited]


def _non_negative(gram: Array, product: Array, ridge: float) -> Array:
    """The argmin over x >= 0 of x' (gram + ridge) x / 2 - product' x, by Lawson and Hanson on its Cholesky
    factor.
    """
    try:
        from scipy.optimize import nnls
    except ImportError as problem:
        raise WorkerError("The worker's environment has no scipy.", "Run build.py setup.") from problem
    factor = np.linalg.cholesky(gram + ridge * np.eye(len(gram)))
    return nnls(factor.T, np.linalg.solve(factor, product))[0]
