# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture at every texel: where texels lie is computed for every second and is linear between."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray

MAGNIFIED = 1.5
"""Px per texel from which the picture is made smaller first, so that no px is passed over."""
STRIP, BLOCK = 16, 8
"""Rows of the half-size map that are looked up together, so that they stay in the processor's cache, and
columns that are left out together: as many as bytes in a word.
"""


def looked_up(picture: Array, points: Any, places: Array, half: Array, density: float) -> Array:
    """(S, S, 3) uint8: the picture wherever `half` ((S / 2, S / 2) uint8) has weight nearby, else 0.

    `points`: (S * S / 4, n) sparse, the texels of the half-size map; `places` (n, 3) px of the points.
    """
    import cv2

    side = len(half)
    runs, rgb = _runs(half), np.zeros((2 * side, 2 * side, 3), np.uint8)
    if not runs:
        return rgb
    low, high = max(runs[0][0].start - 1, 0), min(runs[-1][0].stop + 1, side)
    picture, shrunk, corner = _prepared(picture, places, density)
    fine = []
    for axis in (0, 1):
        px = places[:, axis] / np.float32(shrunk) - np.float32(corner[axis] / shrunk + 0.5)
        coarse = (points @ px).reshape(side, side)[low:high]
        fine.append(cv2.resize(coarse, (2 * side, 2 * len(coarse)), interpolation=cv2.INTER_LINEAR))
    for rows, columns in runs:
        across = slice(2 * columns.start, 2 * columns.stop)
        own = slice(2 * (rows.start - low), 2 * (rows.stop - low)), across
        where, between = cv2.convertMaps(fine[0][own], fine[1][own], cv2.CV_16SC2)
        part = rgb[2 * rows.start : 2 * rows.stop, across]
        cv2.remap(picture, where, between, cv2.INTER_LINEAR, dst=part, borderMode=cv2.BORDER_REPLICATE)
    return rgb


def _runs(half: Array) -> list[tuple[slice, slice]]:
    """The parts of a grid (uint8) that have any weight, cut in strips of `STRIP` rows, from the top."""
    side = len(half)
    blocks = half.view(np.uint64).reshape(side // STRIP, STRIP, side // BLOCK)
    used = np.zeros((side // STRIP, side // BLOCK + 2), np.int8)
    used[:, 1:-1] = np.bitwise_or.reduce(blocks, axis=1) != 0
    strip, end = np.nonzero(np.diff(used, axis=1))
    rows, ends = (strip[::2] * STRIP).tolist(), (end * BLOCK).reshape(-1, 2).tolist()
    return [(slice(row, row + STRIP), slice(*pair)) for row, pair in zip(rows, ends, strict=True)]


def _prepared(picture: Array, places: Array, density: float) -> tuple[Array, int, tuple[int, int]]:
    """The picture, made smaller where texels are larger than its px; how many times smaller; and the upper
    left px of the part that it was made of, which holds all `places`.
    """
    import cv2

    shrunk = 1
    while density / shrunk > MAGNIFIED:
        shrunk *= 2
    if shrunk == 1:
        return picture, 1, (0, 0)
    limit = np.array(picture.shape[1::-1])
    low = np.clip(places[:, :2].min(axis=0).astype(int) - shrunk, 0, limit - shrunk) // shrunk * shrunk
    count = np.maximum((np.clip(places[:, :2].max(axis=0), 0, limit).astype(int) - low) // shrunk + 1, 1)
    count = np.minimum(count, (limit - low) // shrunk)
    part = picture[low[1] : low[1] + count[1] * shrunk, low[0] : low[0] + count[0] * shrunk]
    small = cv2.resize(part, (int(count[0]), int(count[1])), interpolation=cv2.INTER_AREA)
    return small, shrunk, (int(low[0]), int(low[1]))
