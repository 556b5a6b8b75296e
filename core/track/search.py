# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking closer where a face is too small in its picture to be found.

MediaPipe's face detector sees the whole picture at 128 px, and misses faces under about a tenth of it, as in
a recording of the whole upper body. So where most pictures show no face, a few of them are searched in
overlapping tiles, and what is found says which region of all pictures to look at, in full detail.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from .detector import Detector
from .lanes import look_at
from .pictures import Picture, Region, picture_of
from .shape import box_size, boxes

SIDE = 1920
"""Longest side in px at which pictures are searched."""
_FRACTIONS = (0.5, 0.28)
"""Sides of the tiles in parts of the longer side of the picture; each overlaps half of the next."""
_REACH = 4.0
"""Face sizes from the largest face within which others are taken for the same one, moved."""
_MARGIN = 1.5
"""Face sizes around what was found that belong to the region."""
_GAIN = 0.75
"""A region of more than this part of the picture gains nothing."""


def find_region(pictures: Iterable[Picture], detector: Detector) -> Region | None:
    """Where the largest face in `pictures` moves, px as shown, or None where there is none or no gain.

    `detector` must be one for still pictures.
    """
    found: list[np.ndarray] = []
    size = (0, 0)
    for picture in pictures:
        size = picture.size
        found += _search(picture, detector)
    if not found:
        return None
    box = np.stack(found)
    extent = box_size(box)
    largest = int(np.argmax(extent))
    centre = (box[:, :2] + box[:, 2:]) / 2.0
    near = np.linalg.norm(centre - centre[largest], axis=1) <= _REACH * extent[largest]
    margin = _MARGIN * extent[largest]
    low = np.maximum(box[near, :2].min(axis=0) - margin, 0.0)
    high = np.minimum(box[near, 2:].max(axis=0) + margin, size)
    if np.max(high - low) > _GAIN * max(size):
        return None
    return int(low[0]), int(low[1]), int(np.ceil(high[0])), int(np.ceil(high[1]))


def _search(picture: Picture, detector: Detector) -> list[np.ndarray]:
    """Boxes (4,) px as shown of faces in the tiles of a picture; small tiles where large ones have none."""
    for fraction in _FRACTIONS:
        found = []
        for tile in tiles(*picture.extent, fraction):
            part = picture_of(picture.inside, picture.time, SIDE, tile)
            found += [boxes(face.landmarks) * picture.scale for face in look_at(part, detector).faces]
        if found:
            return found
    return []


def tiles(width: int, height: int, fraction: float) -> Iterator[Region]:
    """Squares of `fraction` of the longer side that cover a picture, each half over the next."""
    side = max(1, round(fraction * max(width, height)))
    for top in _starts(height, side):
        for left in _starts(width, side):
            yield left, top, min(left + side, width), min(top + side, height)


def _starts(length: int, side: int) -> list[int]:
    if length <= side:
        return [0]
    count = int(np.ceil(2.0 * (length - side) / side)) + 1
    return [int(value) for value in np.linspace(0, length - side, count)]
