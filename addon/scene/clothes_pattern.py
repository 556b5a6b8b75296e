# SPDX-License-Identifier: GPL-3.0-or-later
"""Where each garment has cloth: signed distances to its borders on the model's default person, metres."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from .materials.anchors import default_rest

Array = np.ndarray

_FAR = 1.0
GARMENTS = {
    "TEE": "top",
    "SCOOP": "top",
    "LONG_SLEEVE": "top",
    "TROUSERS": "bottom",
    "SKIRT": "bottom",
    "SHOES": "shoes",
}
"""Pattern name to the role of its object."""

_NECKLINES = {
    "TEE": (0.012, 0.004, -0.030),
    "LONG_SLEEVE": (0.012, 0.004, -0.030),
    "SCOOP": (0.002, -0.018, -0.092),
}
"""Height of the neckline over the lowest neck joint: back, side, front (metres)."""
_SLEEVES = {"TEE": 0.74, "SCOOP": 0.42, "LONG_SLEEVE": 1.9}
"""End of the sleeve: 0 shoulder, 1 elbow, 2 wrist."""


class Body:
    """Landmarks of the default person, and the pattern of each garment at all its points."""

    def __init__(self, model: Any) -> None:
        rest = default_rest(model)
        self._names = list(model.joint_names)
        self._joints = np.asarray(rest.joint_heads, np.float64)
        self.points = np.asarray(rest.vertices, np.float64)
        arms = [
            i
            for i, n in enumerate(self._names)
            if n.startswith(("upperarm", "lowerarm", "wrist", "finger", "metacarpal"))
        ]
        of_arm = np.isin(model.skin_joints, arms) * model.skin_weights
        self.arm = np.asarray(of_arm.sum(axis=1)) > 0.5

    def joint(self, name: str) -> Array:
        """(3,) head of a joint."""
        return self._joints[self._names.index(name)]

    def pattern(self, garment: str) -> Array:
        """(V,) metres from the garment's nearest border, negative where it has no cloth."""
        if garment in _SLEEVES:
            fields = [
                self._below_neck(*_NECKLINES[garment]),
                *self._sleeves(_SLEEVES[garment]),
                self._above(self._hem()),
            ]
        elif garment == "TROUSERS":
            fields = [
                -self._above(self._waist()),
                self._above(self.joint("foot.L")[1] + 0.012),
                np.where(self.arm, -_FAR, _FAR),
            ]
        elif garment == "SKIRT":
            fields = [
                -self._above(self._waist()),
                self._above(self.joint("lowerleg01.L")[1] - 0.03),
                np.where(self.arm, -_FAR, _FAR),
            ]
        else:
            fields = [self.joint("foot.L")[1] + 0.035 - self.points[:, 1]]
        return reduce(np.minimum, fields)

    def leg_width(self) -> Array:
        """(V,) how much looser than at the hip a straight trouser leg is: 1 from the middle of the thigh
        up, 3 below the knee.
        """
        hip, knee, foot = (float(self.joint(name)[1]) for name in ("upperleg01.L", "lowerleg01.L", "foot.L"))
        return np.interp(
            self.points[:, 1], [foot, knee - 0.1, knee + 0.1, 0.6 * hip + 0.4 * knee], [3.4, 3.0, 2.0, 1.0]
        )

    def _waist(self) -> float:
        return float(self.joint("spine05")[1] + 0.045)

    def _hem(self) -> float:
        return float(self.joint("spine05")[1] - 0.08)

    def _above(self, height: float) -> Array:
        """Metres above a height; arms, which hang past it, count as far above."""
        return np.where(self.arm, _FAR, self.points[:, 1] - height)

    def _below_neck(self, back: float, side: float, front: float) -> Array:
        """Metres below a neckline whose height runs from back over the sides to the front."""
        neck = self.joint("neck01")
        centre = neck + np.array([0.0, 0.0, 0.035])
        offset = self.points - centre
        azimuth = np.degrees(np.arctan2(np.abs(offset[:, 0]), offset[:, 2]))
        ease = 0.5 - 0.5 * np.cos(np.radians(np.interp(azimuth, [0, 72, 180], [180, 90, 0])))
        height = np.interp(ease, [0.0, 0.5, 1.0], [back, side, front])
        return np.where(self.arm, _FAR, neck[1] + height - self.points[:, 1])

    def _sleeves(self, end: float) -> list[Array]:
        """Metres from the end of each sleeve, along the arm."""
        fields = []
        for side, sign in (("L", 1.0), ("R", -1.0)):
            shoulder, elbow, wrist = (
                self.joint(f"{name}.{side}") for name in ("upperarm01", "lowerarm01", "wrist")
            )
            start, stop = (shoulder, elbow) if end <= 1.0 else (elbow, wrist)
            axis = (stop - start) / np.linalg.norm(stop - start)
            place = start + (end if end <= 1.0 else end - 1.0) * (stop - start)
            mine = self.arm & (sign * self.points[:, 0] > 0.0)
            fields.append(np.where(mine, (place - self.points) @ axis, _FAR))
        return fields
