# SPDX-License-Identifier: GPL-3.0-or-later
"""A patch of quads that bends and bulges under a few shapes: a face of a few hundred vertices, by seed."""

from __future__ import annotations

import numpy as np

from core.skin.compressor import problem_of
from core.skin.model_data import BlendshapeModelData
from core.skin.problem import Problem


def grid_faces(side: int) -> np.ndarray:
    """(F, 4) quads of side x side vertices."""
    index = np.arange(side * side).reshape(side, side)
    corners = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    return np.stack([corner.ravel() for corner in corners], axis=1).astype(np.int32)


def patch_model(
    side: int = 16, shapes: int = 10, scale: float = 1.0, still: float = 0.0
) -> BlendshapeModelData:
    """Lengths of a face in centimetres, times `scale`; the share `still` of the vertices never moves."""
    rng = np.random.default_rng(7)
    x, y = (axis.ravel() for axis in np.meshgrid(*2 * [np.linspace(-9, 9, side)], indexing="ij"))
    rest = np.stack([x, y, 9 - 0.05 * (x * x + y * y)], axis=1)
    deltas = np.zeros((shapes, side * side, 3))
    for shape in deltas:
        centre, axis, shift = rng.uniform(-7, 7, 2), rng.normal(size=3) * 0.15, rng.normal(size=3) * 0.5
        near = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / rng.uniform(6, 40))
        shape[:] = near[:, None] * (np.cross(axis, rest) + shift)
    deltas[:, : round(still * side * side)] = 0
    name = "patch"
    return BlendshapeModelData.from_arrays(
        deltas * scale, 40 + rest * scale, grid_faces(side), model_name=name
    )


def patch_problem(**options: float) -> Problem:
    """The same as a solver takes it."""
    return problem_of(patch_model(**options))  # type: ignore[arg-type]
