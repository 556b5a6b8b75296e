# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a drawn picture is from its target: weighted L1 and SSIM with the gradient; without torch."""

from __future__ import annotations

import numpy as np

from ..errors import SettingsError
from .threads import in_pieces, thread_count

Array = np.ndarray

SSIM_PART = 0.2
"""Of the loss, as in 3D Gaussian splatting (Kerbl et al. 2023); the rest is L1."""
ROWS = 32
"""The least rows of a piece of the work; there is one piece for each thread, as each walks ten rows more."""


class Loss:
    """Sum of weight ((1 - p) |x - y| + p (1 - SSIM)) over the pixels, by the sum of the weights.

    Both terms are means over the three channels. SSIM (Wang et al. 2004): windows of 11 x 11 px, Gaussian
    with sigma 1.5 px, of a range of 1, with zeros outside the picture; the weight of a pixel is that of the
    window around it. Nothing is kept but the target and the weights, as they are given and not copied, so
    hundreds of pictures cost 4 bytes a pixel if both are uint8 and 7 with float32 weights.
    """

    def __init__(self, target: Array, weight: Array | None = None, *, ssim_part: float = SSIM_PART) -> None:
        """`target` (H, W, 3) and `weight` (H, W; all 1 if None): uint8 0..255 or float 0..1."""
        self.target = _kept(target)
        self.weight = np.full(target.shape[:2], 255, np.uint8) if weight is None else _kept(weight)
        if self.target.ndim != 3 or self.target.shape[2] != 3 or self.weight.shape != self.target.shape[:2]:
            raise SettingsError(
                f"A target of shape {np.shape(target)} with weights of shape {self.weight.shape} is none.",
                "(H, W, 3) and (H, W) were expected.",
            )
        if not 0.0 <= ssim_part <= 1.0:
            raise SettingsError(f"The share of SSIM in the loss is {ssim_part}; 0 to 1 was expected.")
        rows, columns = (np.flatnonzero(self.weight.any(axis)) for axis in (1, 0))
        if not len(rows):
            raise SettingsError("No pixel of the picture has a weight.", "Leave the picture out.")
        self.box = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
        """Rows from and to, columns from and to: outside them all weights are 0."""
        self.ssim_part = ssim_part
        self.total = float(self.weight.sum(dtype=np.float64)) * _scale(self.weight)
        """Sum of the weights."""

    def __call__(self, image: Array, threads: int | None = None) -> tuple[float, Array]:
        """-> the loss of the drawn picture (H, W, 3), and its gradient (H, W, 3) float32.

        Both are the same for any number of threads (all processors if None).
        """
        from .loss_kernels import REACH, walk

        if np.shape(image) != self.target.shape:
            raise SettingsError(f"A picture of shape {np.shape(image)} was compared to {self.target.shape}.")
        height, width = self.weight.shape
        top, bottom, left, right = self.box
        first, last = max(top - REACH, 0), min(bottom + REACH, height)
        covers = last - first == height and left <= REACH and right + REACH >= width
        d_image = (np.empty if covers else np.zeros)(self.target.shape, np.float32)
        sums = np.zeros((height, 2), np.float32)
        shares = np.array([1.0 - self.ssim_part, self.ssim_part]) / (3.0 * self.total)
        scales = np.array([_scale(self.target), _scale(self.weight)], np.float32)
        flat = np.ascontiguousarray(image, np.float32).reshape(-1)
        target, weight, into, rows = (
            array.reshape(-1) for array in (self.target, self.weight, d_image, sums)
        )

        def piece(begin: int, end: int) -> None:
            walk(
                first + begin, first + end, flat, target, weight, (height, width), self.box, scales,
                shares.astype(np.float32), _taps(), into, rows,
            )  # fmt: skip

        threads = thread_count(threads)
        in_pieces(piece, last - first, max(-(-(last - first) // threads), ROWS), threads)
        return float(sums.sum(0, dtype=np.float64) @ shares), d_image


def _kept(array: Array) -> Array:
    """The array itself where the kernels can read it."""
    return np.ascontiguousarray(array, np.uint8 if np.asarray(array).dtype == np.uint8 else np.float32)


def _scale(array: Array) -> float:
    """What its numbers are multiplied by to be 0..1."""
    return 1.0 / 255.0 if array.dtype == np.uint8 else 1.0


def _taps() -> Array:
    """(11,) float32: the blur in one direction."""
    taps = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    return (taps / taps.sum()).astype(np.float32)
