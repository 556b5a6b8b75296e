# SPDX-License-Identifier: GPL-3.0-or-later
"""What `raster.render` and `raster.gradients` give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .gaussians import Activated, Gaussians

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Rendered:
    """A picture of Gaussians."""

    image: Array
    """(H, W, 3) float32: colour over the background; not clipped."""
    alpha: Array
    """(H, W) float32: how much of the background is covered, 0..1."""
    depth: Array
    """(H, W) float32 metres: mean depth of what is seen in a pixel, 0 where nothing is."""
    context: Context
    """What `gradients` needs."""


@dataclass(frozen=True, eq=False)
class Context:
    """How a picture was made. Rows of the padded arrays beyond the n Gaussians are empty."""

    gaussians: Gaussians | Activated
    camera: Array
    """(24,) float32, see `project_kernels`."""
    size: tuple[int, int]
    compensated: bool
    threads: int
    records: Array
    """(m, 16) float32, flat: the projected Gaussians."""
    offsets: Array
    """(m + 1) int32: first slot of every Gaussian."""
    starts: Array
    """(tiles + 1) int32: first pair of every tile."""
    ends: Array
    """(tiles) int32: where drawing stopped."""
    members: Array
    """(pairs,) int32 Gaussians, tile by tile, front to back."""
    slots: Array
    """(pairs,) int32: where their gradients go."""

    @property
    def visible(self) -> Array:
        """(n,) bool: which Gaussians reach a pixel of the picture."""
        return np.diff(self.offsets[: len(self.gaussians) + 1]) > 0

    @property
    def half_sizes(self) -> Array:
        """(n, 2) float32 px: half the width and height of what is drawn of each; 0 where nothing is."""
        sizes = self.records.reshape(-1, 16)[: len(self.gaussians), 10:12]
        return np.where(self.visible[:, None], sizes, np.float32(0.0))


@dataclass(frozen=True, eq=False)
class GaussianGradients:
    """Gradients of a loss, float32, shaped like the fields of `Gaussians` they are named after."""

    means: Array
    log_scales: Array
    rotations: Array
    opacity_logits: Array
    sh: Array
    screen: Array
    """(n, 2) per px: of the means in the picture; what grows where detail is missing."""


@dataclass(frozen=True, eq=False)
class ActivatedGradients:
    """Gradients of a loss, float32, shaped like the fields of `Activated` they are named after."""

    means: Array
    scales: Array
    rotations: Array
    opacities: Array
    colours: Array
    screen: Array
    """(n, 2) per px: of the means in the picture."""
