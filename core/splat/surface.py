# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a person's head that Gaussians are bound to: the triangles of the head atlas."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import ModelError
from ..head import HeadModel, Rest
from ..head.atlas import MOUTH, HeadAtlas
from .files.triangles import Frames, frames_of

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class HeadSurface:
    """n rows of a head model and the F triangles between them. Arrays of other types are converted."""

    rows: Array
    """(n,) int32 rows of the head model, sorted."""
    triangles: Array
    """(F, 3) int32, counted in `rows`."""
    chart: Array
    """(F,) uint8: which chart of `core.head.atlas` each triangle lies in."""
    rest: Array
    """(n, 3) float32 metres, head frame: the person without expression."""

    def __post_init__(self) -> None:
        kinds = {"rows": np.int32, "triangles": np.int32, "chart": np.uint8, "rest": np.float32}
        for name, kind in kinds.items():
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), kind))
        problem = _problem(self)
        if problem:
            raise ModelError(f"The surface of the Gaussians is damaged: {problem}.", "Make it again.")

    def __len__(self) -> int:
        return len(self.triangles)

    @classmethod
    def of(cls, model: HeadModel, atlas: HeadAtlas, rest: Rest | Array) -> HeadSurface:
        """All triangles of the atlas, of a person or of the (V, 3) rest vertices of all rows of the model."""
        vertices = np.asarray(rest if isinstance(rest, np.ndarray) else rest.vertices)
        if vertices.shape != (model.row_count, 3):
            raise ModelError(
                f"The rest vertices have the shape {vertices.shape}; the head model {model.name!r} has "
                f"{model.row_count} rows.",
                "Make the avatar again from its capture.",
            )
        rows, flat = np.unique(atlas.triangles, return_inverse=True)
        return cls(rows, flat.reshape(-1, 3), atlas.triangle_chart, vertices[rows])

    @cached_property
    def rest_frames(self) -> Frames:
        """The triangles' frames at rest, float64."""
        return frames_of(self.rest, self.triangles)


def _problem(surface: HeadSurface) -> str:
    """What is wrong with the arrays, or nothing."""
    s = surface
    if s.rows.ndim != 1 or s.rest.shape != (len(s.rows), 3):
        return f"{len(s.rest)} rest vertices for {s.rows.size} rows"
    if s.triangles.ndim != 2 or s.triangles.shape[1] != 3 or s.chart.shape != (len(s.triangles),):
        return "every triangle needs three corners and a chart"
    if len(s.rows) and (s.rows[0] < 0 or np.any(np.diff(s.rows) <= 0)):
        return "the rows are not sorted"
    if s.triangles.size and (s.triangles.min() < 0 or s.triangles.max() >= len(s.rows)):
        return "a triangle points outside its vertices"
    if s.chart.size and s.chart.max() > MOUTH:
        return "a chart is unknown"
    return "" if np.isfinite(s.rest).all() else "a rest vertex is not finite"
