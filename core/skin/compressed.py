# SPDX-License-Identifier: GPL-3.0-or-later
"""A compressed face: rest, weights and the sparse matrix of what each shape does to each bone.

With coefficients c a vertex v, in coordinates centred on the rest's mean, goes to
sum_j w_j (I + sum_k c_k N_kj) [v, 1], and N_kj = [r]x | t has six numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class CompressedSkin:
    """What a fit made of a model. Made by the fit or read by `load`, which checks all of it."""

    rest: np.ndarray
    """(N, 3) float32, minus its mean."""
    centre: np.ndarray
    """(3,) float64: the mean, which is added to come back to the model's coordinates."""
    faces: np.ndarray
    """(F, k) int32, shorter polygons end in -1."""
    weights: np.ndarray
    """(N, P) float32: not negative, rows sum to 1."""
    transforms: np.ndarray
    """(S, P, 6) float32: rx, ry, rz, tx, ty, tz; most are exact zeros."""
    shape_names: tuple[str, ...] = ()
    inbetween_info: dict[Any, Any] = field(default_factory=dict)
    combination_info: dict[Any, Any] = field(default_factory=dict)
    errors: dict[str, Any] = field(default_factory=dict)
    """What was measured at the fit."""

    @property
    def n_vertices(self) -> int:
        """N"""
        return self.rest.shape[0]

    @property
    def n_bones(self) -> int:
        """P"""
        return self.weights.shape[1]

    @property
    def n_shapes(self) -> int:
        """S"""
        return self.transforms.shape[0]

    @property
    def n_coefficients(self) -> int:
        """How many numbers of the transforms are not zero."""
        return int(np.count_nonzero(self.transforms))

    @property
    def max_influences(self) -> int:
        """K, the most bones that move a vertex."""
        return int(np.count_nonzero(self.weights, axis=1).max(initial=0))

    @property
    def names(self) -> tuple[str, ...]:
        """A name for every shape, by number where the file has none."""
        return self.shape_names or tuple(f"shape_{k:03d}" for k in range(self.n_shapes))

    def matrices(self) -> np.ndarray:
        """(S, P, 3, 4) float32: N = [r]x | t, without the identity."""
        return matrices_of(self.transforms)

    def sizes(self) -> dict[str, int]:
        """Bytes in memory: the shapes as they were, and what plays them now, dense and sparse."""
        weights, numbers = int(np.count_nonzero(self.weights)), self.n_coefficients
        return {
            "shapes_bytes": 12 * self.n_shapes * self.n_vertices,
            "dense_bytes": 4 * (self.weights.size + self.transforms.size),
            "sparse_bytes": 6 * weights + 8 * numbers,
        }

    def save(self, path: Path | str, sparse: bool = False) -> None:
        """Write a result.npz in the published layout, or with both matrices as compressed rows."""
        from .result_file import write_result

        write_result(Path(path), self, sparse)

    @classmethod
    def load(cls, path: Path | str) -> CompressedSkin:
        """A result of ours, dense or sparse, or a published one. ModelError in one sentence otherwise."""
        from .result_file import read_result

        return read_result(Path(path))


def matrices_of(six: np.ndarray) -> np.ndarray:
    """(..., 6) rx, ry, rz, tx, ty, tz as (..., 3, 4) matrices [r]x | t of the same type."""
    matrices = np.zeros((*six.shape[:-1], 3, 4), six.dtype)
    for axis, (row, column) in enumerate(((2, 1), (0, 2), (1, 0))):
        matrices[..., row, column] = six[..., axis]
        matrices[..., column, row] = -six[..., axis]
    matrices[..., 3] = six[..., 3:]
    return matrices
