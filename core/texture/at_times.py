# SPDX-License-Identifier: GPL-3.0-or-later
"""Texels that only some pictures of a track know, and what the others are taken to show there."""

from __future__ import annotations

import numpy as np

Array = np.ndarray

BESIDE = 0.015
"""How far, as a share of the picture's side, a texel that no picture knows takes after one beside it."""
_BLOCK = 8192


class AtTimes:
    """Texels that only some pictures know: in the others they are as in the nearest that knows them, so that
    nothing is learnt from what is shown there instead.
    """

    def __init__(self, inside: Array, texels: Array | None, count: int, side: int) -> None:
        self._side = side
        given = np.zeros(0, np.int64) if texels is None else np.asarray(texels)
        self._kept = np.isin(given, inside)
        self._texels = given[self._kept]
        self._place = np.searchsorted(inside, self._texels)
        self._known = np.ones((count, len(self._texels)), bool)

    def add(self, number: int, known: Array | None) -> None:
        """What picture `number` knows, (m,) bool; by default all."""
        if known is not None:
            self._known[number] = known[self._kept]

    def fill(self, pictures: Array, numbers: Array, places: Array) -> Array:
        """Set what is not known in pictures (P, p, 3) of these numbers (P,), which hold the texels at these
        places (p,), rising, of those that are kept. Returns which of those places no picture knows.
        """
        own = np.isin(self._place, places)
        where, known = np.searchsorted(places, self._place[own]), self._known[np.ix_(numbers, own)]
        source = nearest_known(known)
        for start in range(0, len(where), _BLOCK):
            part = where[start : start + _BLOCK]
            rows = source[:, start : start + _BLOCK, None]
            pictures[:, part] = np.take_along_axis(pictures[:, part], rows, axis=0)
        return places[where[~known.any(axis=0)]]

    def guess(self, pictures: Array, places: Array, ground: Array) -> None:
        """Set what no picture knows, `places` (p,) of those kept, in whole pictures (P, n, 3): as the known
        texel beside it, else as in the ground ((s s, 3) uint8).
        """
        never = np.isin(self._place, places)
        pictures[:, self._place[never]] = ground[self._texels[never]]
        near, beside = _beside(self._texels[never], self._texels[~never], self._side)
        pictures[:, self._place[never][near]] = pictures[:, self._place[~never][beside]]


def _beside(texels: Array, known: Array, side: int) -> tuple[Array, Array]:
    """Which of flat indices (a,) of a picture `side` texels wide lie near one of others ((b,)), and which
    of those is the nearest to each of them.
    """
    from scipy.spatial import KDTree

    if not len(texels) or not len(known):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    places = [np.column_stack(np.divmod(part, side)) for part in (texels, known)]
    away, nearest = KDTree(places[1]).query(places[0])
    near = np.flatnonzero(np.asarray(away) <= BESIDE * side)
    return near, np.asarray(nearest)[near]


def nearest_known(known: Array) -> Array:
    """(T, m) int64: for each of (T, m) bool the row of the nearest that is True in its column, the earlier of
    two; its own row where none is.
    """
    count = len(known)
    row = np.arange(count)[:, None]
    before = np.maximum.accumulate(np.where(known, row, -count), axis=0)
    after = np.minimum.accumulate(np.where(known, row, 3 * count)[::-1], axis=0)[::-1]
    nearest = np.where(row - before <= after - row, before, after)
    return np.where(known.any(axis=0), nearest, row)
