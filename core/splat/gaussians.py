# SPDX-License-Identifier: GPL-3.0-or-later
"""A set of 3D Gaussians as arrays: as they are stored and trained, and as they are drawn.

Shapes and signs are those of 3D Gaussian splatting (Kerbl et al. 2023): rotations as quaternions w, x, y, z,
colour = 0.5 + sum of spherical harmonics, opacity = sigmoid(logit), standard deviation = exp(log scale).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np

from ..errors import ModelError

Array = np.ndarray

MAX_DEGREE = 3
SH_C0 = 0.28209479177387814
"""The constant spherical harmonic, 1 / (2 sqrt(pi)): colour = 0.5 + SH_C0 * sh[:, 0]."""


@dataclass(frozen=True, eq=False)
class Gaussians:
    """n Gaussians as they are stored and trained. Arrays of other types and layouts are converted."""

    means: Array
    """(n, 3) float32 metres."""
    log_scales: Array
    """(n, 3) float32: logarithm of the standard deviation in metres along the own axes."""
    rotations: Array
    """(n, 4) float32 quaternions w, x, y, z from the own axes to the means' frame, of any length but 0."""
    opacity_logits: Array
    """(n,) float32."""
    sh: Array
    """(n, (degree + 1)^2, 3) float32 coefficients for red, green and blue."""

    def __post_init__(self) -> None:
        _checked(self, {"means": (3,), "log_scales": (3,), "rotations": (4,), "opacity_logits": ()})
        _checked_coefficients(self, "sh", len(self.means))

    def __len__(self) -> int:
        return len(self.means)

    @property
    def degree(self) -> int:
        """Of the spherical harmonics: 0 to 3."""
        return isqrt(self.sh.shape[1]) - 1

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Any]) -> Gaussians:
        """From a mapping that has the fields' names as keys, such as an open .npz; others are ignored."""
        names = ("means", "log_scales", "rotations", "opacity_logits", "sh")
        missing = [name for name in names if name not in arrays]
        if missing:
            raise ModelError(f"The Gaussians have no {', '.join(missing)}.", "Write the file again.")
        return cls(*(np.asarray(arrays[name]) for name in names))

    @classmethod
    def empty(cls, degree: int = 0) -> Gaussians:
        """No Gaussians."""
        zero = [np.zeros((0, *tail), np.float32) for tail in ((3,), (3,), (4,), (), ((degree + 1) ** 2, 3))]
        return cls(*zero)

    def activated(self) -> Activated:
        """As they are drawn: lengths, unit quaternions, opacities."""
        length = np.linalg.norm(self.rotations, axis=1, keepdims=True)
        unit = np.where(length > 0, self.rotations / np.maximum(length, 1e-30), [1.0, 0.0, 0.0, 0.0])
        opacities = 0.5 * (1.0 + np.tanh(0.5 * self.opacity_logits))
        return Activated(self.means, np.exp(self.log_scales), unit, opacities, self.sh)


@dataclass(frozen=True, eq=False)
class Activated:
    """n Gaussians as they are drawn, for a trainer that makes these values itself."""

    means: Array
    """(n, 3) float32 metres."""
    scales: Array
    """(n, 3) float32 metres: standard deviations along the own axes."""
    rotations: Array
    """(n, 4) float32 quaternions w, x, y, z, of any length but 0."""
    opacities: Array
    """(n,) float32, 0..1."""
    colours: Array
    """(n, (degree + 1)^2, 3) float32 spherical harmonics, or (n, 3): the colours themselves."""

    def __post_init__(self) -> None:
        _checked(self, {"means": (3,), "scales": (3,), "rotations": (4,), "opacities": ()})
        if np.ndim(self.colours) == 2:
            _checked(self, {"means": (3,), "colours": (3,)})
        else:
            _checked_coefficients(self, "colours", len(self.means))

    def __len__(self) -> int:
        return len(self.means)

    @property
    def degree(self) -> int:
        """Of the spherical harmonics: 0 to 3; -1 when the colours do not depend on the direction."""
        return -1 if self.colours.ndim == 2 else isqrt(self.colours.shape[1]) - 1


def _checked(owner: Any, tails: Mapping[str, tuple[int, ...]]) -> None:
    """Make the named fields float32, C-contiguous and finite, of shape (n, *tail), n that of the first."""
    count = None
    for name, tail in tails.items():
        array = _plain(owner, name)
        if array.ndim != len(tail) + 1 or array.shape[1:] != tail or count not in (None, len(array)):
            shape = ", ".join(map(str, ("n" if count is None else count, *tail)))
            raise ModelError(
                f"{name} of the Gaussians has the shape {array.shape}; ({shape}) was expected.",
                "Every array must have one row per Gaussian.",
            )
        count = len(array)


def _checked_coefficients(owner: Any, name: str, count: int) -> None:
    """The same for spherical harmonics (n, (degree + 1)^2, 3)."""
    array = _plain(owner, name)
    squares = [(degree + 1) ** 2 for degree in range(MAX_DEGREE + 1)]
    if array.ndim != 3 or len(array) != count or array.shape[1] not in squares or array.shape[2] != 3:
        raise ModelError(
            f"{name} of the Gaussians has the shape {array.shape}; ({count}, 1, 4, 9 or 16, 3) was expected.",
            "Spherical harmonics of degree 0 to 3 have 1, 4, 9 or 16 coefficients per colour.",
        )


def _plain(owner: Any, name: str) -> Array:
    """The field as a finite float32 array, put back into its place."""
    array = np.ascontiguousarray(getattr(owner, name), np.float32)
    if not np.isfinite(array).all():
        raise ModelError(
            f"{name} of the Gaussians holds values that are not finite.",
            "The training diverged or the file is damaged: go back to an earlier one.",
        )
    object.__setattr__(owner, name, array)
    return array
