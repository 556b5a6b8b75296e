# SPDX-License-Identifier: GPL-3.0-or-later
"""`Lens`: any view of the splats as one matrix, a size and a point that looks: numpy only.

Splats stand in world space in the axes of the head frame (`splat_tie`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.head import TO_BLENDER
from ...core.splat.view import View

Array = np.ndarray


@dataclass(frozen=True)
class Lens:
    """How the space of the splats comes into a picture, in perspective or parallel."""

    clip: Array
    """(4, 4) float64 to OpenGL's clip space."""
    width: int
    """px."""
    height: int
    """px."""

    @classmethod
    def of_matrices(cls, projection: Any, view: Any, width: int, height: int) -> Lens:
        """Of Blender's matrices, from world space to the view and from there to clip space."""
        to_world = np.eye(4)
        to_world[:3, :3] = TO_BLENDER
        return cls(np.array(projection, np.float64) @ np.array(view, np.float64) @ to_world, width, height)

    @classmethod
    def of_view(cls, view: View, far: float = 100.0) -> Lens:
        """Of a camera of the rasteriser, whose pictures have their first row at the top."""
        w, h, near = view.width, view.height, view.near
        projection = np.array(
            [
                [2 * view.fx / w, 0.0, 2 * view.cx / w - 1, 0.0],
                [0.0, -2 * view.fy / h, 1 - 2 * view.cy / h, 0.0],
                [0.0, 0.0, (far + near) / (far - near), -2 * far * near / (far - near)],
                [0.0, 0.0, 1.0, 0.0],
            ]
        )
        return cls(projection @ view.T_view_world, w, h)

    @property
    def along(self) -> Array:
        """(4,) float64: `along` . (x, y, z, 1) grows with the distance from the viewer."""
        row = self.clip[3] if np.any(self.clip[3, :3]) else self.clip[2]
        return row / max(float(np.linalg.norm(row[:3])), 1e-30)

    @property
    def eye(self) -> Array:
        """(4,) float64: the viewer's place and 1; where all rays are parallel, minus their direction and 0.

        The ray to a point p is p * eye[3] - eye[:3].
        """
        centre = np.linalg.svd(self.clip[[0, 1, 3]])[2][-1]
        size = max(float(np.linalg.norm(centre[:3])), 1e-30)
        if abs(centre[3]) > 1e-9 * size:
            return centre / centre[3]
        found = np.append(centre[:3] / size, 0.0)
        return found if found @ self.along < 0 else -found
