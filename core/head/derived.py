# SPDX-License-Identifier: GPL-3.0-or-later
"""Vertices that follow others by fixed affine weights, so that a rebuilt part moves with the source it
replaces.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class DerivedVertices:
    """D rows, each an affine combination of handles, each handle an affine combination of source rows.

    Two stages keep it small: a tooth arch of 900 vertices hangs on 4 handles of 68 source vertices each.
    Being linear, the same combination applies to positions, identity shapes and expressions alike.
    """

    handle_rows: Array
    """(H, m) int32 source rows."""
    handle_weights: Array
    """(H, m) float32."""
    rows: Array
    """(D, k) int32 handles."""
    weights: Array
    """(D, k) float32."""

    @property
    def count(self) -> int:
        """D."""
        return len(self.rows)

    def evaluate(self, source: Array) -> Array:
        """(D, 3) float32 from source rows (B, 3)."""
        handles = np.einsum("hm,hmd->hd", self.handle_weights, source[self.handle_rows])
        return np.einsum("dk,dkc->dc", self.weights, handles[self.rows]).astype(np.float32)

    @staticmethod
    def none() -> DerivedVertices:
        """No derived rows."""
        empty_rows, empty_weights = np.zeros((0, 1), np.int32), np.zeros((0, 1), np.float32)
        return DerivedVertices(empty_rows, empty_weights, empty_rows, empty_weights)


def affine_weights(points: Array, targets: Array) -> Array:
    """Weights (n, m) with W @ points ~ targets and rows summing to 1, of least norm.

    The least-squares affine map from `points` ((m, 3)) to wherever those points go, written as weights, so
    that
    `targets` ((n, 3)) go along. Exact for affine motion.
    """
    basis = np.c_[points, np.ones(len(points))]
    return np.c_[targets, np.ones(len(targets))] @ np.linalg.pinv(basis)
