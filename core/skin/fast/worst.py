# SPDX-License-Identifier: GPL-3.0-or-later
"""What is missed most, to be weighed more: least squares care little for one lid that misses by a millimetre.

A vertex in a shape counts 1 + w times, with w growing with the fourth power of its distance over a tolerance
(iteratively reweighted least squares towards a high norm). Only the few entries above the tolerance are
ever listed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .bases import Bases, spread, transforms_of
from .state import State

_BLOCK = 64
_POWER = 4
_HEAVIEST = 300.0
_MOST = 4e-3
"""Part of all entries that may be listed."""


def _none() -> np.ndarray:
    return np.zeros(0, np.int64)


@dataclass(frozen=True)
class Worst:
    """Entries (m,) that count more than once: shape, vertex, and how much more."""

    shape: np.ndarray = field(default_factory=_none)
    vertex: np.ndarray = field(default_factory=_none)
    weight: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def by_shape(self, shapes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """CSR over the shapes: starts, vertices, weights."""
        order = np.lexsort((self.vertex, self.shape))
        return _starts(self.shape, shapes), self.vertex[order], self.weight[order]

    def by_vertex(self, vertices: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """CSR over the vertices: starts, shapes, weights."""
        order = np.lexsort((self.shape, self.vertex))
        return _starts(self.vertex, vertices), self.shape[order], self.weight[order]


def _starts(owner: np.ndarray, count: int) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=count))])


@dataclass(frozen=True)
class Missed:
    """How far off the solution is."""

    largest: float
    """Largest distance of a vertex in a shape."""
    square: float
    """Sum of the squared distances."""
    worst: Worst


def missed_by(bases: Bases, state: State, tolerance: float, before: Worst) -> Missed:
    """Distances (S, n) of the state, and the entries beyond `tolerance`; `before` is half their weight."""
    numbers = transforms_of(state.numbers).astype(np.float32)
    places = spread(state.dense(), bases.position).astype(np.float32).T
    largest, square = 0.0, 0.0
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for first in range(0, bases.n_shapes, _BLOCK):
        rows = slice(3 * first, 3 * min(first + _BLOCK, bases.n_shapes))
        off = numbers[rows] @ places - bases.shapes[rows]
        squared = (off.reshape(-1, 3, off.shape[1]) ** 2).sum(axis=1)
        largest = max(largest, float(squared.max(initial=0.0)))
        square += float(squared.sum(dtype=np.float64))
        shape, vertex = np.nonzero(squared > tolerance**2)
        found.append((shape + first, vertex, np.sqrt(squared[shape, vertex], dtype=np.float64)))
    shape, vertex, distance = (np.concatenate(part) for part in zip(*found, strict=True))
    weight = np.minimum((distance / tolerance) ** _POWER, _HEAVIEST) if tolerance > 0.0 else distance
    return Missed(np.sqrt(largest), square, _merged(bases, before, shape, vertex, weight))


def _merged(bases: Bases, before: Worst, shape: np.ndarray, vertex: np.ndarray, weight: np.ndarray) -> Worst:
    """The mean of the weights before and now, so that what is better now is not let go at once."""
    width = len(bases.moving)
    keys = np.concatenate([before.shape * width + before.vertex, shape * width + vertex])
    unique, place = np.unique(keys, return_inverse=True)
    mean = np.bincount(place, np.concatenate([before.weight, weight]) / 2.0, minlength=len(unique))
    most = max(int(_MOST * bases.n_shapes * width), 1)
    keep = np.sort(np.argsort(-mean, kind="stable")[:most])
    return Worst(unique[keep] // width, unique[keep] % width, mean[keep])
