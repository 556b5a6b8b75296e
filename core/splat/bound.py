# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussians that ride on triangles and change with the expression, as they are stored and trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isqrt

import numpy as np

from ..arkit import ARKIT_NAMES
from ..errors import SplatError
from .gaussians import MAX_DEGREE

Array = np.ndarray

LOCAL = 14
"""Numbers of a Gaussian that ride on the expression."""
MEAN, LOG_SCALE, ROTATION = slice(0, 3), slice(3, 6), slice(6, 10)
OPACITY, COLOUR = 10, slice(11, 14)
"""Which of the 14 they are."""
MOST_LATENTS = 64
_WEIGHTS = len(ARKIT_NAMES)


@dataclass(frozen=True, eq=False)
class ExpressionBasis:
    """From the 52 weights to R numbers that stay inside what was seen in training."""

    mean: Array
    """(52,) float32 weights that give 0."""
    directions: Array
    """(R, 52) float32."""
    low: Array
    """(R,) float32."""
    high: Array
    """(R,) float32."""

    def __post_init__(self) -> None:
        _plain(self, ("mean", "directions", "low", "high"))
        count = len(self.directions) if self.directions.ndim == 2 else -1
        shapes = {"mean": (_WEIGHTS,), "directions": (count, _WEIGHTS), "low": (count,), "high": (count,)}
        for name, shape in shapes.items():
            _expect(name, getattr(self, name), shape)
        if count > MOST_LATENTS or np.any(self.low > self.high):
            raise SplatError(
                f"The expression basis of the Gaussians, of {count} directions, cannot be used.",
                f"It must have at most {MOST_LATENTS}, with limits in order; train again.",
            )

    def __len__(self) -> int:
        return len(self.low)

    @classmethod
    def none(cls) -> ExpressionBasis:
        """Of no directions: only the triangles move the Gaussians."""
        zero = np.zeros(0, np.float32)
        return cls(np.zeros(_WEIGHTS, np.float32), np.zeros((0, _WEIGHTS), np.float32), zero, zero)

    def latent(self, weights: Array) -> Array:
        """(T, R) float32 of weights (T, 52), or (R,) of (52,), in the order of ARKIT_NAMES. Columns after
        the 52 are a head's own and do not count.
        """
        weights = np.asarray(weights, np.float32)[..., :_WEIGHTS]
        if weights.shape[-1:] != (_WEIGHTS,):
            raise SplatError(f"The Gaussians need {_WEIGHTS} weights, not {weights.shape}.")
        return np.clip((weights - self.mean) @ self.directions.T, self.low, self.high)


@dataclass(frozen=True, eq=False)
class BoundGaussians:
    """n Gaussians on the triangles of a `HeadSurface`, sorted by triangle. Arrays of other types are
    converted; float32 C-contiguous ones are kept as they are, so that a trainer may change them in place.

    Lengths are in units of the triangle (`files.triangles`), so all that is stored moves, turns and grows
    with it. With a latent z, the values used are stored + sum_r z_r offsets[:, r].
    """

    binding: Array
    """(n,) int32 triangle of each, ascending."""
    means: Array
    """(n, 3) float32 in the triangle's frame, in units of its scale."""
    log_scales: Array
    """(n, 3) float32: logarithm of the standard deviation in units of the triangle's scale."""
    rotations: Array
    """(n, 4) float32 quaternions w, x, y, z from the own axes to the triangle's, of any length but 0."""
    opacity_logits: Array
    """(n,) float32."""
    sh: Array
    """(n, (degree + 1)^2, 3) float32, for directions in the head's frame with the triangle at rest: the
    viewing direction is turned back by the triangle's turn since."""
    basis: ExpressionBasis = field(default_factory=ExpressionBasis.none)
    offsets: Array = field(default_factory=lambda: np.zeros((0, 0, LOCAL), np.float32))
    """(n, R, 14) float32: added to mean 3, log scale 3, quaternion 4, opacity logit 1 and colour 3 per unit
    of each latent; see MEAN and so on. Left out: zeros."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "binding", np.ascontiguousarray(self.binding, np.int32))
        count, latents = len(self.binding), len(self.basis)
        if not np.size(self.offsets):
            object.__setattr__(self, "offsets", np.zeros((count, latents, LOCAL), np.float32))
        _plain(self, ("means", "log_scales", "rotations", "opacity_logits", "sh", "offsets"))
        tails = {"binding": (), "means": (3,), "log_scales": (3,), "rotations": (4,), "opacity_logits": ()}
        tails |= {"offsets": (latents, LOCAL)}
        for name, tail in tails.items():
            _expect(name, getattr(self, name), (count, *tail))
        squares = [(degree + 1) ** 2 for degree in range(MAX_DEGREE + 1)]
        coefficients = self.sh.shape[1] if self.sh.ndim == 3 else -1
        _expect("sh", self.sh, (count, coefficients if coefficients in squares else 1, 3))
        if count and (self.binding[0] < 0 or np.any(np.diff(self.binding) < 0)):
            raise SplatError("The Gaussians are not sorted by their triangles.", "The file is damaged.")

    def __len__(self) -> int:
        return len(self.binding)

    @property
    def degree(self) -> int:
        """Of the spherical harmonics: 0 to 3."""
        return isqrt(self.sh.shape[1]) - 1

    def taken(self, which: Array) -> BoundGaussians:
        """Those of indices (m,) or of a mask (n,), some of them several times; sorted again, stably."""
        chosen = np.flatnonzero(which) if np.asarray(which).dtype == bool else np.asarray(which)
        chosen = chosen[np.argsort(self.binding[chosen], kind="stable")]
        names = ("means", "log_scales", "rotations", "opacity_logits", "sh")
        arrays = {name: getattr(self, name)[chosen] for name in (*names, "offsets")}
        return BoundGaussians(self.binding[chosen], basis=self.basis, **arrays)

    def local(self, latent: Array) -> Array:
        """(n, 14) float32: what is used at a latent (R,); colours as what is added to them."""
        latent = np.asarray(latent, np.float32)
        if latent.shape != (len(self.basis),):
            raise SplatError(f"The Gaussians have {len(self.basis)} latents; {latent.shape} were given.")
        used = np.einsum("nrc,r->nc", self.offsets, latent)
        used[:, MEAN] += self.means
        used[:, LOG_SCALE] += self.log_scales
        used[:, ROTATION] += self.rotations
        used[:, OPACITY] += self.opacity_logits
        return used


def _plain(owner: object, names: tuple[str, ...]) -> None:
    """Make the fields finite float32 arrays, C-contiguous."""
    for name in names:
        array = np.ascontiguousarray(getattr(owner, name), np.float32)
        if not np.isfinite(array).all():
            raise SplatError(
                f"{name} of the Gaussians holds values that are not finite.",
                "The training diverged or the file is damaged: go back to an earlier one.",
            )
        object.__setattr__(owner, name, array)


def _expect(name: str, array: Array, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise SplatError(
            f"{name} of the Gaussians has the shape {array.shape}; {shape} was expected.",
            "Every array must have one row per Gaussian, and one offset per latent.",
        )
