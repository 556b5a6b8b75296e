# SPDX-License-Identifier: GPL-3.0-or-later
"""Mattes that lie with the footage, as in CAP4D's reference folders (`bg/cam0/*.png`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..capture import Capture, Member
from ..capture.naming import is_matte, natural_key
from ..performance import Performance
from ..track.pictures import FRAME_RATE, read_photo
from .head_region import Box

Array = np.ndarray

_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")


@dataclass(frozen=True)
class GivenMattes:
    """Grey pictures, white where the person is, by sample."""

    members: Mapping[int, Member]

    @staticmethod
    def of(footage: Capture, take: Performance) -> GivenMattes | None:
        """Those of a take's pictures, in the order of their names; None where there is not one for each."""
        mattes = [m for m in footage.members if is_matte(m) and m.suffix in _PICTURES]
        mattes.sort(key=natural_key)
        if footage.movie is not None:
            numbers, count = np.arange(take.frame_count), take.frame_count
        else:  # the time of a photo is its number
            rate = FRAME_RATE if footage.kind == "frames" else 1.0
            numbers, count = np.rint(take.time * rate).astype(int), len(footage.photos)
        if not mattes or len(mattes) != count or numbers.max() >= count:
            return None
        return GivenMattes({sample: mattes[number] for sample, number in enumerate(numbers.tolist())})


def person_of(matte: Member, size: tuple[int, int], box: Box) -> Array:
    """(h, w) float32 0..1 of a crop of a matte whose picture is used at `size` (height, width). CaptureError
    where it cannot be read.
    """
    import cv2

    grey = read_photo(matte)[0][..., 0]
    if grey.shape != size:
        grey = cv2.resize(grey, size[::-1], interpolation=cv2.INTER_AREA)
    return box.of(grey).astype(np.float32) * np.float32(1 / 255)
