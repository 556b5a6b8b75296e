# SPDX-License-Identifier: GPL-3.0-or-later
"""sRGB to linear light and back, by tables (IEC 61966-2-1). Needs only numpy."""

from __future__ import annotations

import numpy as np

Array = np.ndarray

STEPS = 4095
"""Linear light is looked up in as many steps: under one step of sRGB even where its curve is steepest, so
that all 256 values come back."""
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Shares of linear red, green and blue (Rec. 709)."""


def decode(srgb: Array) -> Array:
    """Exact linear light of sRGB values, both 0..1, any shape."""
    srgb = np.asarray(srgb, np.float64)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def encode(linear: Array) -> Array:
    """Exact sRGB of linear values, both 0..1, any shape; others are clipped."""
    linear = np.clip(np.asarray(linear, np.float64), 0.0, 1.0)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


_LINEAR = decode(np.arange(256) / 255.0).astype(np.float32)
_SRGB = np.rint(255.0 * encode(np.arange(STEPS + 1) / STEPS)).astype(np.uint8)


def to_linear(picture: Array) -> Array:
    """Linear light, float32 0..1, of sRGB pixels (uint8, any shape)."""
    return np.take(_LINEAR, picture)


def to_srgb(linear: Array) -> Array:
    """Pixels in sRGB, uint8, of linear light (float, any shape); what is outside 0..1 is clipped."""
    steps = np.empty(np.shape(linear), np.float32)
    np.multiply(linear, STEPS, out=steps, casting="unsafe")
    steps += np.float32(0.5)
    np.fmax(steps, np.float32(0), out=steps)
    np.fmin(steps, np.float32(STEPS), out=steps)
    return np.take(_SRGB, steps.astype(np.uint16))


def luminance(linear: Array) -> Array:
    """(...) luminance of linear RGB (..., 3)."""
    return linear @ LUMINANCE
