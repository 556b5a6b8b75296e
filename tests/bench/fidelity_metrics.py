# SPDX-License-Identifier: GPL-3.0-or-later
"""How near one picture is to another inside a mask: PSNR, SSIM, LPIPS; and colours, Delta E.

Pictures are (H, W, 3) uint8 sRGB, masks (H, W) bool.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np

Array = np.ndarray

PEAK = 255.0
WINDOW, SIGMA = 11, 1.5
"""SSIM's Gaussian window, px (Wang et al. 2004, section III-C)."""
C1, C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                   [0.0193339, 0.1191920, 0.9503041]])  # fmt: skip
"""Linear sRGB to CIE XYZ, D65 (IEC 61966-2-1)."""
LPIPS_BACKBONE = "alexnet-owt-7be5be79.pth"
"""The file of torchvision's that lpips 0.1 fetches into torch's hub cache on first use."""


def psnr(picture: Array, footage: Array, mask: Array) -> float:
    """Decibels over the masked pixels and all channels; NaN for an empty mask, inf for equal pictures."""
    if not mask.any():
        return float("nan")
    off = picture[mask].astype(np.float64) - footage[mask]
    error = float(np.mean(off**2))
    return 10.0 * float(np.log10(PEAK**2 / error)) if error else float("inf")


def ssim_map(picture: Array, footage: Array) -> Array:
    """(H, W) float32 structural similarity of the luma (Wang et al. 2004, equation 13)."""
    a, b = (one.astype(np.float32) @ LUMA for one in (picture, footage))
    mean_a, mean_b = _blurred(a), _blurred(b)
    var_a, var_b = _blurred(a * a) - mean_a**2, _blurred(b * b) - mean_b**2
    both = _blurred(a * b) - mean_a * mean_b
    top = (2 * mean_a * mean_b + C1) * (2 * both + C2)
    return top / ((mean_a**2 + mean_b**2 + C1) * (var_a + var_b + C2))


def _blurred(values: Array) -> Array:
    return cv2.GaussianBlur(values, (WINDOW, WINDOW), SIGMA, borderType=cv2.BORDER_REFLECT)


def ssim(similarity: Array, mask: Array) -> float:
    """The mean of a map of `ssim_map` over a mask; NaN for an empty one.

    Outside the mask both pictures should be the same, so that windows across its border tell of its inside.
    """
    return float(np.mean(similarity[mask])) if mask.any() else float("nan")


class Lpips:
    """Learned perceptual distance (Zhang et al. 2018) by the `lpips` package, where it can be had."""

    def __init__(self) -> None:
        self.model: Any = None
        self.missing = _missing()
        """Why it is left out; empty where it is not."""
        if not self.missing:
            with contextlib.redirect_stdout(io.StringIO()):
                lpips = importlib.import_module("lpips")
                self.model = lpips.LPIPS(net="alex", spatial=True, verbose=False)

    def distance(self, picture: Array, footage: Array, mask: Array) -> float:
        """The mean over the mask; NaN where the package is not to be had or the mask is empty."""
        if self.model is None or not mask.any():
            return float("nan")
        import torch

        both = [
            torch.from_numpy(one).permute(2, 0, 1)[None].float() / 127.5 - 1 for one in (picture, footage)
        ]
        with torch.no_grad():
            return float(self.model(*both)[0, 0].numpy()[mask].mean())


def _missing() -> str:
    lacking = [name for name in ("lpips", "torch", "torchvision") if importlib.util.find_spec(name) is None]
    if lacking:
        return f"LPIPS skipped: this Python has no {', '.join(lacking)}"
    import torch

    weights = Path(torch.hub.get_dir()) / "checkpoints" / LPIPS_BACKBONE
    return "" if weights.is_file() else f"LPIPS skipped: {weights} is not there, and nothing is downloaded"


def lab(linear: Array) -> Array:
    """(..., 3) CIE L*a*b*, D65, of linear sRGB (CIE 15)."""
    white = TO_XYZ.sum(axis=1)
    t = (np.asarray(linear, np.float64) @ TO_XYZ.T) / white
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def delta_e(a: Array, b: Array) -> Array:
    """(...) CIE76 colour difference of linear sRGB colours (..., 3); 2.3 is just to be seen."""
    return np.linalg.norm(lab(a) - lab(b), axis=-1)
