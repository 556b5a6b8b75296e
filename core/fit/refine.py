# SPDX-License-Identifier: GPL-3.0-or-later
"""Surface detail beyond the identity basis: what the pictures still disagree with, spread smoothly.

For every landmark the displacement that explains its errors in all pictures is triangulated with a prior; a
Gaussian process over the surface (squared exponential, Rasmussen and Williams 2006, eq. 2.22) carries it to
the vertices between the landmarks and lets it fade towards ears and neck.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..head import HeadModel, Rest
from .frame import FaceState, FrameSolver
from .projection import Lens, project
from .sequence import SolverOf

Array = np.ndarray

REACH = 0.022
"""Metres over which neighbouring displacements are alike."""
SPREAD = 0.0025
"""Metres: rms size of what an identity basis leaves out."""
SYSTEMATIC = 0.0008
"""Metres: what a detector gets wrong about a landmark in all pictures alike, beyond its scatter."""


def landmark_detail(
    solver: FrameSolver | SolverOf, landmarks: Array, lenses: Sequence[Lens], states: Sequence[FaceState]
) -> tuple[Array, Array]:
    """Displacement (468, 3) metres of each landmark in the head frame that best explains F pictures, and how
    sure it is in each direction, (468, 3, 3) inverse square metres.

    landmarks: (F, 468, 2) px. Errors repeat between pictures, so ten pictures say little more than one per
    view.
    """
    count = landmarks.shape[1]
    information, pull = np.zeros((count, 3, 3)), np.zeros((count, 3))
    share = min(1.0, 4.0 / len(landmarks))
    for index, (seen, lens, state) in enumerate(zip(landmarks, lenses, states, strict=True)):
        own = solver if isinstance(solver, FrameSolver) else solver(index, state)
        px, _, slope = project(own.points(state.weights), state.pose, lens)
        errors = seen - px
        inverse = own.trust(errors, seen, lens, state)
        turned = (slope @ state.pose.rotation) * inverse[:, None, None]
        information += share * np.einsum("nij,nik->njk", turned, turned)
        pull += share * np.einsum("nij,ni->nj", turned, errors * inverse[:, None])
    moved = np.linalg.solve(information + np.eye(3) / SPREAD**2, pull[..., None])[..., 0]
    return moved, information


def surface_detail(model: HeadModel, rest: Rest, points: Array, moved: Array, information: Array) -> Array:
    """The detail (B, 3) metres over the source rows that carries landmark displacements to the surface.

    points: (468, 3) landmarks at rest, metres; moved and information: of `landmark_detail`.
    """
    noise = SYSTEMATIC**2 + 1.0 / (np.einsum("nii->n", information) / 3.0 + 1.0 / SPREAD**2)
    covariance = SPREAD**2 * _alike(points, points) + np.diag(noise)
    coefficients = np.linalg.solve(covariance, moved)
    source = model.template_rows(rest.vertices).astype(np.float64)
    near = np.flatnonzero(_within(source, points))
    detail = np.zeros_like(source)
    detail[near] = SPREAD**2 * _alike(source[near], points) @ coefficients
    return detail.astype(np.float32)


def _alike(a: Array, b: Array) -> Array:
    """Correlation (n, m) of displacements at points (n, 3) and (m, 3)."""
    squared = np.sum(a**2, axis=1)[:, None] + np.sum(b**2, axis=1) - 2.0 * a @ b.T
    return np.exp(-0.5 * np.maximum(squared, 0.0) / REACH**2)


def _within(points: Array, landmarks: Array) -> Array:
    """(n,) bool: inside the landmarks' box, widened by where the process has faded away."""
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    return np.all((points > low - 4 * REACH) & (points < high + 4 * REACH), axis=1)
