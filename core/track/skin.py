# SPDX-License-Identifier: GPL-3.0-or-later
"""The colour of a face's skin in a picture, and how dark that makes it."""

from __future__ import annotations

import numpy as np

SPOTS = np.array([50, 280, 205, 425, 117, 346, 101, 330, 151, 9, 5, 195])
"""Landmarks on cheeks, forehead and nose that neither hair nor beard nor glasses often cover."""
REACH = 1
"""px around each landmark that are averaged."""
TO_XYZ = np.array([[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]])
"""Linear sRGB rows to CIE XYZ, D65 (IEC 61966-2-1)."""
_WHITE = np.array([0.9505, 1.0, 1.089])
TRUST = 0.6
"""Light is not known, so a face is taken as nearer to a middle one than it looks."""
MIDDLE = 0.35
_LIGHT_ITA, _PER_DEGREE = 48.0, 0.0075
"""Individual typology angles (Chardon et al. 1991) run from about 60 degrees, very light, to -50, dark; 48 is
the 0.2 of a light skin in our materials, -35 the 0.82 of a dark one."""


def skin_colour(rgb: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """(3,) float32 sRGB 0..1: median over some spots of the face with landmarks (478, 2 or 3) px in the
    picture `rgb` ((H, W, 3) uint8).
    """
    height, width = rgb.shape[:2]
    x, y = np.floor(landmarks[SPOTS, :2]).astype(int).T
    steps = np.arange(-REACH, REACH + 1)
    rows = np.clip(y[:, None, None] + steps[:, None], 0, height - 1)
    columns = np.clip(x[:, None, None] + steps, 0, width - 1)
    spots = rgb[rows, columns].reshape(len(SPOTS), -1, 3).mean(axis=1)
    return (np.median(spots, axis=0) / 255.0).astype(np.float32)


def melanin(colour: np.ndarray) -> float:
    """How dark skin of an sRGB `colour` ((3,) 0..1) is, 0 very light .. 1 very dark, with the caution that
    unknown light asks for.
    """
    lightness, _, b = cie_lab(colour)
    ita = np.degrees(np.arctan2(lightness - 50.0, max(b, 1e-6)))
    seen = 0.2 + (_LIGHT_ITA - ita) * _PER_DEGREE
    return float(np.clip(MIDDLE + TRUST * (seen - MIDDLE), 0.02, 0.98))


def cie_lab(colour: np.ndarray) -> np.ndarray:
    """CIE L*a*b* (D65) of sRGB colours (..., 3) 0..1."""
    c = np.asarray(colour, np.float64)
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    xyz = linear @ TO_XYZ / _WHITE
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16.0 / 116.0)
    return np.stack(
        [116.0 * f[..., 1] - 16.0, 500.0 * (f[..., 0] - f[..., 1]), 200.0 * (f[..., 1] - f[..., 2])], axis=-1
    )
