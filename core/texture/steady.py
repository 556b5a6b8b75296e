# SPDX-License-Identifier: GPL-3.0-or-later
"""Steadiness in time: what comes into sight fades in, colours drift slowly, lost pictures are bridged.

All of it works on sequences as they come and holds only the few items that lie within its window.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

Array = np.ndarray
T = TypeVar("T")

FADE = 0.07
"""Seconds to either side over which weights fade."""
_MOST = 4


def reach_of(times: Array) -> int:
    """Samples within `FADE`, at least 1, for times (T,) s."""
    step = float(np.median(np.diff(times))) if len(times) > 1 else FADE
    return int(np.clip(round(FADE / max(step, 1e-6)), 1, _MOST))


def windowed(items: Iterable[T], reach: int) -> Iterator[tuple[T, list[T]]]:
    """Each item with those up to `reach` before and after it (itself included; cut at the ends)."""
    held: deque[T] = deque(maxlen=2 * reach + 1)
    ahead = 0
    for item in items:
        held.append(item)
        ahead += 1
        if ahead > reach:
            yield held[-1 - reach], list(held)
            ahead -= 1
    for after in range(ahead - 1, -1, -1):
        yield held[-1 - after], list(held)[-(after + reach + 1) :]


def lasting(weights: Sequence[Array]) -> Array:
    """The least of some weights (uint8)."""
    return np.minimum.reduce(list(weights))


def mean(arrays: Sequence[Array]) -> Array:
    """Float32 mean."""
    return np.add.reduce([np.asarray(a, np.float32) for a in arrays]) * np.float32(1 / len(arrays))


def faded(items: Iterable[tuple[T, Array]], reach: int) -> Iterator[tuple[T, Array]]:
    """Each item with a calmer weight, float32: the mean over the window of what lasts in the window around
    each step. All these windows hold the step itself, so nothing weighs more than it was given (uint8).
    """
    least = (
        (item, lasting([weight for _item, weight in window]))
        for (item, _weight), window in windowed(items, reach)
    )
    for (item, _least), window in windowed(least, reach):
        yield item, mean([weight for _item, weight in window])


def bridged(pictures: Iterable[tuple[int, Array]], times: Array) -> Iterator[tuple[int, Array]]:
    """A picture (uint8) for every one of the samples at `times` (T,), from (sample, picture) in rising order:
    between two of them by time, before the first and after the last as these. Nothing for no pictures.
    """
    import cv2

    last: tuple[int, Array] | None = None
    for sample, picture in pictures:
        for lost in range(last[0] + 1 if last else 0, sample):
            if last is None:
                yield lost, picture
                continue
            u = float((times[lost] - times[last[0]]) / (times[sample] - times[last[0]]))
            yield lost, cv2.addWeighted(last[1], 1.0 - u, picture, u, 0.0)
        yield sample, picture
        last = sample, picture
    if last is not None:
        for lost in range(last[0] + 1, len(times)):
            yield lost, last[1]


def steady_times(times: Array) -> Array:
    """Times (T,) s for a movie of these samples: on an even grid where they stray from one by less than a
    quarter of a step, else as they are.

    Players count a steady movie's pictures by its rate. A picture that begins a millisecond late would be
    missed by that count, and the one before it shown again.
    """
    times = np.asarray(times, np.float64)
    if len(times) < 3:
        return times
    n = np.arange(len(times))
    step = float(times[-1] - times[0]) / (len(times) - 1)
    grid = times[0] + step * n
    grid += float(np.median(times - grid))
    return np.maximum(grid, 0.0) if np.abs(times - grid).max() < 0.25 * step else times
