# SPDX-License-Identifier: GPL-3.0-or-later
"""Mattes that lie with the footage, as CAP4D's reference folders have them (`bg/cam0/*.png`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..capture import Capture, Member
from ..capture.reference_folder import reference_folder
from ..performance import Performance
from ..track.pictures import read_photo
from .head_region import Box

Array = np.ndarray


@dataclass(frozen=True)
class GivenMattes:
    """Grey pictures, white where the person is, by sample."""

    members: Mapping[int, Member]

    @staticmethod
    def of(footage: Capture, take: Performance) -> GivenMattes | None:
        """Those of a take's pictures; None where not every sample has one."""
        folder = reference_folder(footage)
        if folder is None or not folder.mattes:
            return None
        if footage.movie is not None:  # one for each picture of the movie, or they cannot be told apart
            mattes = next(iter(folder.mattes.values()))
            found = dict(enumerate(mattes)) if len(mattes) == take.frame_count else {}
        else:
            own = {
                picture.name: matte
                for camera, pictures in folder.images.items()
                for picture, matte in zip(pictures, folder.mattes.get(camera, ()), strict=False)
            }
            numbers = [int(time) for time in take.time]  # a photo's time is its number
            names = [footage.photos[n].name if n < len(footage.photos) else "" for n in numbers]
            found = {sample: own[name] for sample, name in enumerate(names) if name in own}
        return GivenMattes(found) if len(found) == take.frame_count else None

    def person(self, sample: int, size: tuple[int, int], box: Box) -> Array:
        """(h, w) float32 0..1 of a crop of the picture of `size` (height, width). CaptureError."""
        return person_of(self.members[sample], size, box)


def person_of(matte: Member, size: tuple[int, int], box: Box) -> Array:
    """(h, w) float32 0..1 of a crop of a matte, whose picture is used at `size` (height, width)."""
    import cv2

    grey = read_photo(matte)[0][..., 0]
    if grey.shape != size:
        grey = cv2.resize(grey, size[::-1], interpolation=cv2.INTER_AREA)
    return box.of(grey).astype(np.float32) * np.float32(1 / 255)
