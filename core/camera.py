# SPDX-License-Identifier: GPL-3.0-or-later
"""Pinhole cameras fitted to footage, and how heads stand before them.

Two frames: the *view* frame (+X right in the picture, +Y up, +Z towards the camera, which sits at the origin
and looks along -Z) and OpenCV's (x right, y down, z forward). A head that faces the camera upright has
rotation
identity in the view frame, because +X of the head frame, the subject's left, is on the right of the picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .series import checked

Array = np.ndarray

VIEW_TO_OPENCV = np.diag([1.0, -1.0, -1.0])
"""View frame to OpenCV's camera frame, and back."""


@dataclass(frozen=True)
class Camera:
    """One camera for a whole take (N = 1), or one per photo (N = T). A wrong array is a ValueError."""

    focal: Array
    """(N,) float64 px, of pictures as shown (after rotation)."""
    centre: Array
    """(N, 2) float64 px: principal point, x right, y down, from the corner of the first pixel."""
    size: Array
    """(N, 2) int64 px: width and height of the pictures as shown."""
    head_position: Array
    """(3,) float64 metres, view frame: where the head frame's origin is when `Performance.head_translation`
    is
    0."""

    def __post_init__(self) -> None:
        focal = checked("focal", self.focal, np.float64, (None,))
        object.__setattr__(self, "focal", focal)
        for name, dtype in (("centre", np.float64), ("size", np.int64)):
            object.__setattr__(self, name, checked(name, getattr(self, name), dtype, (len(focal), 2)))
        position = checked("head_position", self.head_position, np.float64, (3,))
        object.__setattr__(self, "head_position", position)
        if not len(focal) or np.any(focal <= 0) or np.any(self.size <= 0):
            raise ValueError("a camera needs a positive focal length and picture size")

    def row(self, frame: int) -> int:
        """The row of this camera that frame number `frame` was taken with."""
        return frame if len(self.focal) > 1 else 0

    def project(self, points: Array, frame: int = 0) -> Array:
        """(..., 3) points of the view frame, metres, to (..., 2) px."""
        row = self.row(frame)
        depth = -points[..., 2:]
        flipped = points[..., :2] * np.array([1.0, -1.0])
        return self.focal[row] * flipped / depth + self.centre[row]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {name: getattr(self, name).tolist() for name in ("focal", "centre", "size", "head_position")}

    @staticmethod
    def from_dict(value: Mapping[str, Any]) -> Camera:
        """The inverse of `to_dict`; ValueError, KeyError or TypeError for anything else."""
        return Camera(
            np.asarray(value["focal"], np.float64),
            np.asarray(value["centre"], np.float64),
            np.asarray(value["size"], np.int64),
            np.asarray(value["head_position"], np.float64),
        )
