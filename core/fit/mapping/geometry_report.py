# SPDX-License-Identifier: GPL-3.0-or-later
"""How well a derived mapping reproduces the motion of each shape, in millimetres of the target."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .names import POSE_COUNT

Array = np.ndarray

STILL = 1e-6
"""Metres rms: shapes that move the landmarks less (the tongue) have no share to explain."""


@dataclass(frozen=True)
class ShapeError:
    """One score at 1, or several together."""

    names: tuple[str, ...]
    below: tuple[str, ...]
    """Scores at 1 on top of which the motion is measured."""
    motion_mm: float
    """Root mean square over the landmarks of how far they should move."""
    peak_mm: float
    error_mm: float
    """Root mean square of what is left."""
    explained: float | None
    """Share of the motion's square that is reproduced; None for a shape that moves no landmark."""
    jaw_degrees: float
    largest: float
    """The largest expression coefficient by size."""

    @staticmethod
    def of(
        names: tuple[str, ...],
        below: tuple[str, ...],
        wanted: Array,
        reached: Array,
        weights: Array,
        row: Array,
    ) -> ShapeError:
        """Compare two motions (L, 3) metres under `weights` (L,); `row` is what the mapping gives (E +
        9,).
        """
        share = weights / weights.sum()
        motion, error = (float(np.sqrt(share @ np.sum(v**2, axis=1))) for v in (wanted, reached - wanted))
        jaw = row[-POSE_COUNT : 3 - POSE_COUNT]
        return ShapeError(
            names=names,
            below=below,
            motion_mm=1e3 * motion,
            peak_mm=1e3 * float(np.sqrt(np.max(np.sum(wanted**2, axis=1)))),
            error_mm=1e3 * error,
            explained=1.0 - (error / motion) ** 2 if motion > STILL else None,
            jaw_degrees=float(np.degrees(np.linalg.norm(jaw))),
            largest=float(np.max(np.abs(row[:-POSE_COUNT]))),
        )

    def line(self) -> str:
        """For a person."""
        share = "still" if self.explained is None else f"{100 * self.explained:.0f}%"
        name = " + ".join(self.names) + (f" (over {' + '.join(self.below)})" if self.below else "")
        jaw = f", jaw {self.jaw_degrees:.1f} degrees" if self.jaw_degrees > 0.1 else ""
        return f"  {name}: {share} of {self.motion_mm:.2f} mm, error {self.error_mm:.2f} mm{jaw}"


@dataclass(frozen=True)
class GeometryReport:
    """All shapes, and sets of them."""

    scale: float
    """Size of the target's face relative to the source's."""
    shapes: tuple[ShapeError, ...]
    combinations: tuple[ShapeError, ...]

    @property
    def explained(self) -> float:
        """Share of the motion of all shapes together."""
        motion = sum(shape.motion_mm**2 for shape in self.shapes)
        error = sum(shape.error_mm**2 for shape in self.shapes)
        return 1.0 - error / motion if motion else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "explained": self.explained}

    def lines(self) -> list[str]:
        """For a person: the whole, each shape, each combination."""
        share = f"{100 * self.explained:.1f}% of the motion is reproduced"
        head = f"{share}; the face is {self.scale:.3f} times as large as ours"
        return [
            head,
            *(s.line() for s in self.shapes),
            "combinations:",
            *(s.line() for s in self.combinations),
        ]
