# SPDX-License-Identifier: GPL-3.0-or-later
"""Fewer keys with a bounded error: the samples that a piecewise linear curve must pass through.

The splitting of Ramer, Douglas and Peucker, with the error measured along the value axis, as an F-Curve is
evaluated. All channels and all segments of one level are split at once, so cost grows with the depth of the
splitting and not with the number of keys.
"""

from __future__ import annotations

import numpy as np

from .errors import SettingsError

_BALANCED_AFTER = 48
"""Levels after which segments are halved. Data that peels off one sample per level would cost T levels
otherwise.
"""


def decimate(time: np.ndarray, values: np.ndarray, error: float | np.ndarray) -> np.ndarray:
    """Indices (K,) of the samples to keep so that linear interpolation is within `error` of every sample.

    time: (T,) strictly increasing. values: (T,) one channel, or (T, C) channels that must share their keys,
    such as the parts of a quaternion. error: in the unit of the values, one number or (C,). The first and
    last sample are always kept. SettingsError for a negative error.
    """
    values = np.asarray(values, dtype=np.float64)
    table = values.reshape(len(values), -1)
    tolerance = _tolerance(error, table.shape[1])
    return _split(
        np.asarray(time, dtype=np.float64), table, tolerance, np.array([0]), np.array([len(table) - 1])
    )


def decimate_channels(time: np.ndarray, values: np.ndarray, error: float | np.ndarray) -> list[np.ndarray]:
    """Indices to keep for each channel of values (T, C) by itself: a list of C arrays (K_c,).

    60 channels of 4030 samples take about a tenth of a second.
    """
    values = np.asarray(values, dtype=np.float64)
    count, channels = values.shape
    tolerance = np.repeat(_tolerance(error, channels), count)
    starts = np.arange(channels) * count
    flat = values.T.reshape(-1, 1)
    kept = _split(np.tile(time, channels), flat, tolerance[:, None], starts, starts + count - 1)
    return [
        part - start
        for part, start in zip(np.split(kept, np.searchsorted(kept, starts[1:])), starts, strict=True)
    ]


def _tolerance(error: float | np.ndarray, channels: int) -> np.ndarray:
    tolerance = np.broadcast_to(np.asarray(error, dtype=np.float64), (channels,))
    if not np.all(tolerance >= 0.0):
        raise SettingsError(f"The decimation error is {np.min(tolerance):g}; it must be 0 or more.")
    return tolerance


def _split(
    time: np.ndarray, values: np.ndarray, tolerance: np.ndarray, first: np.ndarray, last: np.ndarray
) -> np.ndarray:
    """Sorted indices to keep of values (N, D), starting from the segments first[i]..last[i].

    tolerance: (D,), or (N, D) where it differs along the way.
    """
    keep = np.zeros(len(values), dtype=bool)
    keep[first] = keep[last] = True
    level = 0
    while len(first):
        inside = last - first > 1
        first, last = first[inside], last[inside]
        if not len(first):
            break
        worst, at = _worst(time, values, tolerance, first, last)
        if level >= _BALANCED_AFTER:
            at = (first + last) // 2
        bad = worst > 0.0
        first, at, last = first[bad], at[bad], last[bad]
        keep[at] = True
        first, last = np.concatenate([first, at]), np.concatenate([at, last])
        level += 1
    return np.flatnonzero(keep)


def _worst(
    time: np.ndarray, values: np.ndarray, tolerance: np.ndarray, first: np.ndarray, last: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Per segment (S,): the largest excess over the tolerance among its inner samples, and the sample that
    has it.
    """
    lengths = last - first - 1
    begin = np.cumsum(lengths) - lengths
    segment = np.repeat(np.arange(len(first)), lengths)
    index = np.arange(lengths.sum()) - begin[segment] + first[segment] + 1
    slope = (values[last] - values[first]) / (time[last] - time[first])[:, None]
    line = values[first][segment] + slope[segment] * (time[index] - time[first][segment])[:, None]
    allowed = tolerance if tolerance.ndim == 1 else tolerance[index]
    excess = np.max(np.abs(values[index] - line) - allowed, axis=1)
    worst = np.maximum.reduceat(excess, begin)
    hits = np.flatnonzero(excess == worst[segment])
    return worst, index[hits[np.searchsorted(hits, begin)]]
