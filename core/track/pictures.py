# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures on their way to a detector: size, square form, and still pictures from files."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..capture import Member
from ..errors import CaptureError, WorkerError

DETECT_SIDE = 960
"""Longest side in px of what a detector is given. Its landmark model looks at 192 or 256 px of face, so only
faces under a quarter of a larger picture lose anything."""
PHOTO_SIDE = 1280
MAX_PIXELS = 89_000_000
"""Of one picture; pillow warns of larger ones. Unpacked that is 267 MB."""
_ORIENTATION = 0x0112
"""The EXIF tag."""
FRAME_RATE = 30.0
"""Of a folder of numbered frames, which says nothing about its own (1/s)."""

Region = tuple[int, int, int, int]
"""Left, top, right and bottom of a part of a picture as shown (px)."""
Wanted = Callable[[float], bool]
"""Whether the picture at a time (s) is to be given."""


@dataclass(frozen=True)
class Picture:
    """One picture, upright, ready to be looked at."""

    rgb: np.ndarray
    """(S, S, 3) uint8: the picture, scaled, in the upper left of a black square. Not square where the reader
    was asked for plain pictures.
    """
    time: float
    """s from the start of the media."""
    size: tuple[int, int]
    """px as shown, in full."""
    scale: float
    """px as shown per px of `rgb`."""
    extent: tuple[int, int]
    """px of `rgb` that are picture: width, height."""
    origin: tuple[float, float] = (0.0, 0.0)
    """Where its upper left lies in the picture as shown (px)."""

    @property
    def inside(self) -> np.ndarray:
        """The part of `rgb` that is picture."""
        return self.rgb[: self.extent[1], : self.extent[0]]


def picture_of(rgb: np.ndarray, time: float, most: int, region: Region | None = None) -> Picture:
    """A picture (H, W, 3) in full, or a region of it, made small enough for a detector."""
    import cv2

    size = (rgb.shape[1], rgb.shape[0])
    x0, y0, x1, y1 = region or (0, 0, *size)
    part = rgb[y0:y1, x0:x1]
    wanted = detection_size(part.shape[1], part.shape[0], most)
    if wanted != (part.shape[1], part.shape[0]):
        part = cv2.resize(np.ascontiguousarray(part), wanted, interpolation=cv2.INTER_AREA)
    return Picture(squared(part), time, size, max(x1 - x0, y1 - y0) / max(wanted), wanted, (x0, y0))


def detection_size(width: int, height: int, most: int = DETECT_SIDE) -> tuple[int, int]:
    """Size in px at which a picture is looked at: its own, or smaller in the same proportions."""
    scale = max(1.0, max(width, height) / most)
    return max(1, round(width / scale)), max(1, round(height / scale))


def squared(rgb: np.ndarray) -> np.ndarray:
    """(S, S, 3) with (H, W, 3) in its upper left.

    In a picture that is not square MediaPipe gives depth in another scale than width and height: 1.3 times
    too large in one of 1100 x 512 px.
    """
    height, width = rgb.shape[:2]
    if height == width:
        return np.ascontiguousarray(rgb)
    side = max(height, width)
    square = np.zeros((side, side, 3), np.uint8)
    square[:height, :width] = rgb
    return square


def refuse_size(name: str, width: int, height: int) -> None:
    """CaptureError for a picture that no camera makes."""
    if not (width > 0 and height > 0) or width * height > MAX_PIXELS or max(width, height) > 65_535:
        raise CaptureError(
            f"The pictures of {name} claim {width} x {height} px; "
            f"at most {MAX_PIXELS // 1_000_000} million are read.",
            "Scale them down.",
        )


class Stills:
    """Photos, or numbered frames as a movie of `FRAME_RATE`. Iterate once.

    Unreadable pictures are skipped and counted; each of the first few gives a sentence.
    """

    def __init__(
        self,
        members: Sequence[Member],
        *,
        ordered: bool,
        most: int = 0,
        region: Region | None = None,
        wanted: Wanted | None = None,
        plain: bool = False,
    ) -> None:
        """`most`: longest side of what is given, by default what suits a detector; `region`: only that;
        `wanted`: the others are not read; `plain`: pictures are not made square.
        """
        self.ordered, self.skipped = ordered, 0
        self._wanted, self._plain = wanted, plain
        self._most, self._region = most or (DETECT_SIDE if ordered else PHOTO_SIDE), region
        self.total = len(members)
        self.problems: list[str] = []
        self._members = members

    def __enter__(self) -> Stills:
        return self

    def __exit__(self, *_exception: object) -> None:
        """Nothing is open between pictures."""

    def __iter__(self) -> Iterator[Picture]:
        """Pictures in the order of the members; time is the index, by `FRAME_RATE` for frames."""
        for index, member in enumerate(self._members):
            time = index / FRAME_RATE if self.ordered else float(index)
            if self._wanted is not None and not self._wanted(time):
                continue
            try:
                rgb, size = read_photo(member, None if self._region else self._most)
            except CaptureError as problem:
                self.skipped += 1
                self.problems.append(str(problem))
                continue
            if self._region:
                yield picture_of(rgb, time, self._most, self._region)
                continue
            extent = (rgb.shape[1], rgb.shape[0])
            rgb = rgb if self._plain else squared(rgb)
            yield Picture(rgb, time, size, max(size) / max(extent), extent)


def read_photo(member: Member, most: int | None = None) -> tuple[np.ndarray, tuple[int, int]]:
    """A photo turned as its EXIF block says: (H, W, 3) uint8, longest side at most `most` px, and its full
    size.

    CaptureError when it cannot be read; WorkerError without pillow.
    """
    try:
        import PIL.Image
        import PIL.ImageOps
    except ImportError as problem:
        raise WorkerError(
            "Photos cannot be read: pillow is missing.",
            "Make the worker environment in the preferences, or run build.py setup.",
        ) from problem
    if member.suffix in (".heic", ".heif"):
        raise CaptureError(f"{member.name} is HEIC, which is not read here.", "Save it as JPEG or PNG.")
    data = io.BytesIO(member.read_bytes())
    try:
        with PIL.Image.open(data) as image:
            refuse_size(member.name, *image.size)
            sideways = image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
            width, height = reversed(image.size) if sideways else image.size
            full = (width, height)
            size = detection_size(width, height, most or max(full))
            image.draft(image.mode, (min(size), min(size)))  # JPEG is unpacked at a fraction of its size
            turned = PIL.ImageOps.exif_transpose(image)
            rgb = _eight_bit(turned).convert("RGB")
            if rgb.size != size:
                rgb = rgb.resize(size, PIL.Image.Resampling.BOX)
            return np.asarray(rgb), full
    except (OSError, ValueError, SyntaxError, ArithmeticError, LookupError, struct.error) as problem:
        raise CaptureError(
            f"The picture {member.name} cannot be read: it is damaged or of an unknown kind.",
            "Save it as JPEG or PNG.",
        ) from problem


def _eight_bit(image: Any) -> Any:
    """Pictures of 16 bits a channel with their upper eight."""
    if not image.mode.startswith("I"):
        return image
    import PIL.Image

    return PIL.Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
