# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Gaussians are looked at from: one pinhole camera in OpenCV's frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import SettingsError

MAX_SIDE = 16384
"""px: a picture larger than this on one side is a mistake."""


@dataclass(frozen=True, eq=False)
class View:
    """A pinhole camera and a picture. Pixel (0, 0) has its centre at (0.5, 0.5) px."""

    width: int
    """px."""
    height: int
    """px."""
    fx: float
    """px: focal length in x."""
    fy: float
    """px: focal length in y."""
    cx: float
    """px: principal point, from the left edge of the picture."""
    cy: float
    """px: principal point, from the top edge of the picture."""
    T_view_world: np.ndarray = field(default_factory=lambda: np.eye(4))
    """(4, 4) float64 rigid: maps the Gaussians' frame to the camera's (x right, y down, z forward)."""
    near: float = 0.01
    """metres: what is nearer to the camera's plane than this is not drawn."""

    def __post_init__(self) -> None:
        matrix = np.ascontiguousarray(self.T_view_world, np.float64)
        object.__setattr__(self, "T_view_world", matrix)
        numbers: list[Any] = [self.fx, self.fy, self.cx, self.cy, self.near]
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or not np.isfinite(numbers).all():
            raise SettingsError(
                "The view of the Gaussians is no camera: a (4, 4) matrix and finite numbers were expected.",
                "Check the camera that the view was made from.",
            )
        if not (0 < self.width <= MAX_SIDE and 0 < self.height <= MAX_SIDE):
            raise SettingsError(
                f"A picture of {self.width} x {self.height} px cannot be drawn.",
                f"Choose sides of 1 to {MAX_SIDE} px.",
            )
        if not (self.fx > 0 and self.fy > 0 and self.near > 0):
            raise SettingsError(
                "The view's focal lengths and near plane must be above zero.", "Check the camera."
            )

    @property
    def centre(self) -> np.ndarray:
        """(3,) float64 metres: where the camera is, in the Gaussians' frame."""
        return -self.T_view_world[:3, :3].T @ self.T_view_world[:3, 3]
