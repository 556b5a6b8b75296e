# SPDX-License-Identifier: GPL-3.0-or-later
"""The order that Gaussians are blended in, far to near: numpy only.

Depths are taken without placing any Gaussian: along a direction, a triangle's frame makes them c + g . local,
with c and g of the triangle. Quantised to 16 bits they are sorted by numpy's radix sort.
"""

from __future__ import annotations

import numpy as np

from ...core.splat.bound import MEAN, BoundGaussians

Array = np.ndarray

_STEPS = np.float32(65535.0)


class DepthOrder:
    """Sorts the Gaussians of one head; remembers the last pose and the last order."""

    def __init__(self, gaussians: BoundGaussians) -> None:
        self._gaussians = gaussians
        offsets = gaussians.offsets[:, :, MEAN].transpose(1, 0, 2)
        self._offsets = np.ascontiguousarray(offsets).reshape(len(gaussians.basis), 3 * len(gaussians))
        self._latent: Array | None = None
        self._local = gaussians.means

    def depths(self, affine: Array, latent: Array, along: Array) -> Array:
        """(n,) float32 along a direction (4,): `along` . (x, y, z, 1) of the means; affine (3, F, 4)."""
        local, direction = self._means(latent), np.asarray(along, np.float32)
        slopes = np.tensordot(direction[:3], affine, 1)
        slopes[:, 3] += direction[3]
        mine = slopes[self._gaussians.binding]
        found = np.einsum("ni,ni->n", mine[:, :3], local)
        found += mine[:, 3]
        return found

    def order(self, affine: Array, latent: Array, along: Array) -> Array:
        """(n,) indices, the largest depth first; of equal ones the last, as they are blended elsewhere."""
        return sorted_far(self.depths(affine, latent, along))

    def _means(self, latent: Array) -> Array:
        """(n, 3) float32 of the means in their triangles, with what the expression adds."""
        if self._latent is None or not np.array_equal(latent, self._latent):
            self._latent = np.array(latent, np.float32)
            if np.any(self._latent):
                moved = self._latent @ self._offsets
                self._local = self._gaussians.means + moved.reshape(-1, 3)
            else:
                self._local = self._gaussians.means
        return self._local


def sorted_far(depths: Array) -> Array:
    """Indices of depths (n,), the largest first. What is not finite goes first, where it does no harm."""
    finite = np.isfinite(depths)
    if not finite.all():
        depths = np.where(finite, depths, np.nanmax(depths[finite], initial=0.0))
    if not len(depths):
        return np.zeros(0, np.int64)
    low = depths.min()
    reach = max(float(depths.max() - low), 1e-20)
    keys = ((depths - low) * np.float32(float(_STEPS) / reach)).astype(np.uint16)
    return np.argsort(keys, kind="stable")[::-1]
