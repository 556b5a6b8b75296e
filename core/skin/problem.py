# SPDX-License-Identifier: GPL-3.0-or-later
"""What a solver of compressed skinning gets and gives, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ..progress import Progress


@dataclass(frozen=True)
class Budget:
    """How much the result may hold."""

    bones: int = 40
    """P"""
    influences: int = 8
    """K, most weights of a vertex that are not zero."""
    coefficients: int = 6000
    """Most numbers of all transforms together that are not zero; the paper's `total_nnz_B_rt`."""


@dataclass(frozen=True)
class Problem:
    """Shapes to be reproduced. Lengths are in the model's own unit, whatever it is."""

    rest: np.ndarray
    """(N, 3) float64, minus its mean."""
    deltas: np.ndarray
    """(3S, N) float32: row 3k + c is coordinate c of shape k minus rest. The paper's A."""
    pairs: np.ndarray
    """(E, 2) int32: neighbouring vertices, each pair once; empty for loose points."""

    @property
    def n_vertices(self) -> int:
        """N"""
        return self.rest.shape[0]

    @property
    def n_shapes(self) -> int:
        """S"""
        return self.deltas.shape[0] // 3


@dataclass(frozen=True)
class Settings:
    """How to solve it."""

    alpha: float | None = None
    """Weight of the Laplacian term beside the squared error; None for the solver's own choice."""
    seed: int = 12345
    iterations: int = 10000
    """Of each of the two phases; the reference only."""
    power: int = 2
    """Of the error; the reference only."""
    init_weight: float = 1e-3
    """Size of the first transforms; the reference only."""
    device: str = "auto"
    """auto, cpu or cuda."""


@dataclass(frozen=True)
class Solution:
    """Weights and transforms, in the coordinates of the problem."""

    weights: np.ndarray
    """(N, P) float32: not negative, rows sum to 1, at most K of a row are not zero."""
    transforms: np.ndarray
    """(S, P, 6) float32: rx, ry, rz, tx, ty, tz of N = [r]x | t; all other entries are exact zeros."""
    history: dict[str, list[float]] = field(default_factory=dict)
    """What the solver logged: `loss`, `abserr`, `iteration`."""


class Checkpoint(Protocol):
    """Where a solver keeps its state now and then, and finds what an earlier run kept."""

    def load(self) -> Mapping[str, np.ndarray] | None:
        """The kept state, None for a fresh start."""
        ...

    def keep(self, state: Callable[[], Mapping[str, np.ndarray]]) -> None:
        """Offer the state; it is asked for, and written, only when enough time has passed."""
        ...


class NoCheckpoint:
    """Keeps nothing."""

    def load(self) -> None:
        """Nothing was kept."""

    def keep(self, state: Callable[[], Mapping[str, np.ndarray]]) -> None:
        """Nothing is kept."""


Solver = Callable[[Problem, Budget, Settings, Progress, Checkpoint], Solution]
