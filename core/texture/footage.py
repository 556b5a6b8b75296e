# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures that a performance was tracked in, at full resolution, by its samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ..capture import Capture
from ..performance import Performance
from ..track.pictures import Picture
from ..track.source import Source

Array = np.ndarray

MOST = 1920
"""Longest side in px of what is given: a face of 4K footage is not sharper than its texture."""


def footage_pictures(
    capture: Capture,
    performance: Performance,
    indices: Iterable[int] | None = None,
    most: int = MOST,
    media: str = "auto",
) -> Iterator[tuple[int, Array, float]]:
    """(sample, picture (H, W, 3) uint8, px as shown per px of the picture) in rising order, one at a time.

    A sample gets the picture that is nearest in time, within half a step; a photo's time is its number.
    Samples without one are left out. Only `indices` are given, where they are said; the others cost as
    little as the footage allows. CaptureError as `Source`.
    """
    wanted = np.zeros(performance.frame_count, bool)
    wanted[slice(None) if indices is None else list(indices)] = True
    if not wanted.any():
        return
    times = performance.time
    last = float(times[wanted][-1]) + _half_step(times)

    def asked(time: float) -> bool:
        return time > last or wanted[nearest(times, time)]

    with Source.of(capture, media).open(most=most, wanted=asked, plain=True) as pictures:
        yield from _matched(pictures, times, wanted, last)


def nearest(times: Array, time: float) -> int:
    """The sample nearest to a time; of two as near, the earlier."""
    after = int(np.searchsorted(times, time))
    if after == 0 or after == len(times):
        return min(after, len(times) - 1)
    return after if times[after] - time < time - times[after - 1] else after - 1


def _half_step(times: Array) -> float:
    """Half the usual step of samples, s."""
    return 0.5 * float(np.median(np.diff(times))) + 1e-6 if len(times) > 1 else 0.5


def _matched(
    pictures: Iterable[Picture], times: Array, wanted: Array, last: float
) -> Iterator[tuple[int, Array, float]]:
    """The nearest of the pictures around each wanted sample; ends behind the last of them."""
    best: tuple[float, int, Picture] | None = None
    reach = _half_step(times)
    for picture in pictures:
        if picture.time > last:
            break
        sample = nearest(times, picture.time)
        off = abs(float(times[sample]) - picture.time)
        if off > reach or not wanted[sample]:
            continue
        if best is not None and best[1] != sample:
            yield best[1], best[2].inside, best[2].scale
            best = None
        if best is None or off < best[0]:
            best = off, sample, picture
    if best is not None:
        yield best[1], best[2].inside, best[2].scale
