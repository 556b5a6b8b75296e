# SPDX-License-Identifier: GPL-3.0-or-later
"""Smoothing of sampled channels at any, also uneven, times."""

from __future__ import annotations

import numpy as np


def one_euro(
    time: np.ndarray, values: np.ndarray, cutoff: float, beta: float, derivative_cutoff: float = 1.0
) -> np.ndarray:
    """The One Euro filter (Casiez, Roussel, Vogel, CHI 2012) over values (T, C) float64 at times (T,) in s.

    A low pass whose cutoff in Hz is `cutoff + beta * speed`, the speed being low-passed at
    `derivative_cutoff`. Every step uses its own duration, so dropped frames and uneven rates are treated by
    time. It starts at the first value.
    """
    values = np.asarray(values, dtype=np.float64)
    out = values.copy()
    if len(values) < 2:
        return out
    steps = np.diff(time)
    speeds = np.diff(values, axis=0) / steps[:, None]
    speed_gain = _gain(np.asarray(derivative_cutoff), steps)
    smooth, speed = values[0], np.zeros(values.shape[1])
    for i, step in enumerate(steps):
        speed = speed + speed_gain[i] * (speeds[i] - speed)
        smooth = smooth + _gain(cutoff + beta * np.abs(speed), step) * (values[i + 1] - smooth)
        out[i + 1] = smooth
    return out


def _gain(cutoff: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Share of the new value in a first-order low pass: 1 / (1 + tau / step) with tau = 1 / (2 pi cutoff)."""
    ratio = 2.0 * np.pi * cutoff * step
    return ratio / (1.0 + ratio)


def savitzky_golay(time: np.ndarray, values: np.ndarray, window: int, order: int) -> np.ndarray:
    """Savitzky and Golay's local polynomial over values (T, C) float64 at times (T,) in s.

    Each sample becomes the value there of the least-squares polynomial of `order` over the `window` nearest
    samples in order of time (the first and last windows at the ends). At even times this is the classic
    filter; at uneven times the fit uses the real times. Series shorter than the window use what there is.
    """
    values = np.asarray(values, dtype=np.float64)
    count = len(values)
    width = min(window, count)
    if width <= order:
        return values.copy()
    start = np.clip(np.arange(count) - window // 2, 0, count - width)
    index = start[:, None] + np.arange(width)
    rows = _fit_rows(time[index] - time[:, None], order)
    out = np.zeros_like(values)
    for k in range(width):
        out += rows[:, k, None] * values[index[:, k]]
    return out


def _fit_rows(offsets: np.ndarray, order: int) -> np.ndarray:
    """(T, n) weights that give the value at offset 0 of a least-squares polynomial through n values at
    offsets (T, n).
    """
    scale = np.max(np.abs(offsets), axis=1, keepdims=True)
    powers = (offsets / scale)[..., None] ** np.arange(order + 1)
    orthogonal, upper = np.linalg.qr(powers)
    # value at 0 = first coefficient = first row of R^-1 Q^T
    unit = np.zeros((len(offsets), order + 1, 1))
    unit[:, 0] = 1.0
    first = np.linalg.solve(np.swapaxes(upper, 1, 2), unit)
    return (orthogonal @ first)[..., 0]
