# SPDX-License-Identifier: GPL-3.0-or-later
"""Who it is, from the face mesh of a phone: metric geometry without ears, eyes or neck, and perhaps a smile.

The head model is laid onto the mesh by iterative closest points (`core.fit.face_icp`); what the model cannot
say becomes surface detail.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..capture import FaceMesh
from ..errors import CaptureError
from ..head import HeadModel, Rest
from ..head.embedding import LandmarkEmbedding
from .face_icp import FINE, REACH, FaceProblem, Pairs
from .face_patch import FacePatch
from .refine import surface_detail
from .scan import scan_of
from .surface import farthest_points

Array = np.ndarray

ANCHORS = 600
"""Points that carry the surface detail."""
WORST_ERROR = 3e-3
"""Metres, mean: a mesh that is farther from every face is none."""
ODDEST = 3.5
"""Mean square deviation of identity and expression, in spreads. Faces of other head models come out at 0.6 to
2, cylinders and domes at 4.8 to 7."""
LEAST_PAIRED = 0.6
"""Share of the points that must lie on the fitted face."""


@dataclass(frozen=True)
class MeshFit:
    """The person of a face mesh."""

    values: dict[str, float]
    """Named identity parameters, those that were solved and those that were known."""
    coefficients: Array
    """(K,) float32."""
    detail: Array
    """(B, 3) float32 metres over the source rows."""
    weights: Array
    """(E,) float32: the expression that the mesh shows; in ARKIT_NAMES order where the model has them."""
    rotation: Array
    """(3, 3) float64 and"""
    translation: Array
    """(3,) float64 metres: a point p of the head is at `rotation @ p + translation` in the mesh's frame."""
    identity_error_mm: tuple[float, float]
    """Mean and 95th percentile of the distance from the mesh's points to the surface without detail."""
    error_mm: tuple[float, float]
    """The same with detail."""
    paired: float
    """Share of the mesh's points that have a place on the head."""
    size: tuple[float, float, float]
    """Width, height and depth of the mesh in metres."""
    scale: float
    """Metres per unit of the file."""
    warnings: tuple[str, ...]


def fit_face_mesh(
    mesh: FaceMesh,
    model: HeadModel,
    embedding: LandmarkEmbedding,
    known: Mapping[str, float] | None = None,
) -> MeshFit:
    """The person whose face `mesh` shows, in metres and without the expression that it may have.

    The face looks along +Z within about 30 degrees; its origin does not matter. known: identity parameters
    that somebody told. CaptureError, one sentence, for a mesh that is no face.
    """
    problem = FaceProblem.of(scan_of(mesh), FacePatch.of(model, embedding), known or {})
    state = problem.solve()
    pairs = problem.pairs(state.pose, problem.face(state), REACH[0])
    _check_face(pairs, problem.oddness(state))
    values = problem.values(state)
    coefficients = model.identity_coefficients(values)
    detail = _detail(problem.patch, model.rest(coefficients), pairs)
    refined = problem.pairs(state.pose, problem.face(state, detail[problem.patch.rows]), REACH[0])
    scan = problem.scan
    return MeshFit(
        values,
        coefficients,
        detail,
        state.weights.astype(np.float32),
        state.pose.rotation,
        state.pose.translation,
        _summary(pairs.errors),
        _summary(refined.errors),
        pairs.share,
        scan.size,
        scan.scale,
        scan.warnings,
    )


def _check_face(pairs: Pairs, oddness: float) -> None:
    """CaptureError when what was found is no face."""
    error = float(pairs.errors.mean()) if len(pairs.errors) else np.inf
    if pairs.share < LEAST_PAIRED or error > WORST_ERROR or oddness > ODDEST:
        raise CaptureError(
            f"The face mesh has no face's shape: {100 * pairs.share:.0f}% of it lies on the nearest face, "
            f"{1000 * error:.1f} mm off (unusual by {oddness:.1f}, people by about 0.5).",
            "Export the capture again, or use its photo or movie instead.",
        )


def _summary(errors: Array) -> tuple[float, float]:
    return 1000.0 * float(np.mean(errors)), 1000.0 * float(np.percentile(errors, 95))


def _detail(patch: FacePatch, rest: Rest, pairs: Pairs) -> Array:
    """The displacements of evenly chosen points, carried over the surface, (B, 3) float32 metres."""
    usual = pairs.errors < max(REACH[1], 3.0 * float(np.median(pairs.errors)))  # not the inside of a mouth
    points = pairs.nearest.where(usual).sample(rest.vertices[patch.rows].astype(np.float64))
    chosen = farthest_points(points, ANCHORS)
    sure = np.broadcast_to(np.eye(3) / FINE**2, (len(chosen), 3, 3))
    return surface_detail(patch.model, rest, points[chosen], pairs.offsets[usual][chosen], sure)
