# SPDX-License-Identifier: GPL-3.0-or-later
"""What the solver has found so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

import numpy as np


@dataclass
class State:
    """Weights by vertex and transforms by shape, both sparse, for the moving vertices (n) of the bases."""

    support: np.ndarray
    """(n, R) int64: the bones of each vertex; the first `count` of a row are meant."""
    weight: np.ndarray
    """(n, R) float64: their weights."""
    count: np.ndarray
    """(n,) int64"""
    numbers: np.ndarray
    """(S, 6P) float64: all transforms."""
    kept_start: np.ndarray
    """(S + 1,) int64: where the kept numbers of each shape begin in `kept`."""
    kept: np.ndarray
    """int64: indices 0..6P of the numbers that may differ from zero."""
    threshold: float = 0.0
    """What the cheapest kept number was worth; 0 before any were chosen."""
    loss: float = np.inf
    """tr(E Q E^T) after the last solve of the transforms."""
    losses: list[float] = field(default_factory=list)
    """Mean loss after each solve of the transforms, in the problem's unit squared."""

    def dense(self) -> np.ndarray:
        """The weights as (n, P)."""
        weights = np.zeros((len(self.count), self.numbers.shape[1] // 6))
        for slot in range(int(self.count.max(initial=0))):
            rows = np.flatnonzero(self.count > slot)
            weights[rows, self.support[rows, slot]] = self.weight[rows, slot]
        return weights

    def copied(self, *, all_kept: bool = False) -> State:
        """A state whose weights may be changed without changing these; `all_kept` lists all numbers."""
        weights = {name: getattr(self, name).copy() for name in ("support", "weight", "count")}
        if not all_kept:
            return replace(self, **weights)
        shapes, size = self.numbers.shape
        start = np.arange(shapes + 1) * size
        return replace(self, **weights, kept_start=start, kept=np.tile(np.arange(size), shapes))

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything, to be kept."""
        return {part.name: np.array(getattr(self, part.name)) for part in fields(self)}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> State:
        """The state that `arrays` was made of."""
        found = {part.name: np.array(arrays[part.name]) for part in fields(cls)}
        return cls(
            **{
                **found,
                "threshold": float(found["threshold"]),
                "loss": float(found["loss"]),
                "losses": found["losses"].tolist(),
            }
        )


def first_state(cluster: np.ndarray, bones: int, shapes: int, room: int) -> State:
    """Every vertex on the bone of its cluster (n,) alone, and no transforms yet; `room` for so many
    weights.
    """
    n = len(cluster)
    support, weight = np.zeros((n, room), np.int64), np.zeros((n, room))
    support[:, 0], weight[:, 0] = cluster, 1.0
    return State(
        support=support,
        weight=weight,
        count=np.ones(n, np.int64),
        numbers=np.zeros((shapes, 6 * bones)),
        kept_start=np.zeros(shapes + 1, np.int64),
        kept=np.zeros(0, np.int64),
    )
