# SPDX-License-Identifier: GPL-3.0-or-later
"""The focal length that cameras write into their photos."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from ..capture import Member
from ..errors import LikenessError

FULL_FRAME = math.hypot(36.0, 24.0)
"""Diagonal in mm of the film that equivalent focal lengths refer to."""
_EXIF, _EQUIVALENT = 0x8769, 0xA405
_SANE = (0.4, 8.0)
"""Focal lengths in picture diagonals that are believed: super wide angle to long tele."""
_ALIKE = 0.02


def focal_px(photos: Sequence[Member]) -> float | None:
    """The focal length in px that all `photos` agree on, None where they say nothing or different things.

    Cropped photos keep the note of the whole one, so this is a start and not a measurement.
    """
    found = [_of(photo) for photo in photos]
    known = [focal for focal in found if focal is not None]
    if not known or len(known) < len(found) or max(known) > (1.0 + _ALIKE) * min(known):
        return None
    return sum(known) / len(known)


def _of(photo: Member) -> float | None:
    try:
        from PIL import Image
    except ImportError:
        return None
    try:
        with warnings.catch_warnings(), photo.open() as opened:
            warnings.simplefilter("ignore")  # about damaged notes, which then say nothing
            stream: Any = opened
            picture = Image.open(stream)
            diagonal = math.hypot(*picture.size)
            equivalent = float(picture.getexif().get_ifd(_EXIF).get(_EQUIVALENT, 0) or 0)
    except (OSError, ValueError, TypeError, SyntaxError, Image.DecompressionBombError, LikenessError):
        return None
    share = equivalent / FULL_FRAME
    return share * diagonal if _SANE[0] <= share <= _SANE[1] else None
