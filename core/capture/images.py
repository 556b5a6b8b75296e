# SPDX-License-Identifier: GPL-3.0-or-later
"""Size and rotation of a picture from its header, without a picture library."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from .member import Member
from .sniff import kind_of_bytes

_HEAD = 256 << 10
"""Bytes read: a phone's JPEG has its EXIF block, with a thumbnail in it, before its size."""
_ROTATIONS = {3: 180, 4: 180, 5: 90, 6: 90, 7: 270, 8: 270}


@dataclass(frozen=True)
class ImageFacts:
    """What a picture is; zero means unknown."""

    format: str
    width: int = 0
    """As stored, before rotation (px)."""
    height: int = 0
    rotation: int = 0
    """Degrees clockwise by which EXIF has the picture turned for showing."""


def image_facts(member: Member) -> ImageFacts:
    """Format, size and rotation of a picture; a header that cannot be understood leaves them at zero."""
    head = member.head(_HEAD)
    kind = kind_of_bytes(head)
    read = {"jpeg": _jpeg, "png": _png, "bmp": _bmp, "gif": _gif, "webp": _webp}.get(kind)
    try:
        return read(head) if read else ImageFacts(kind)
    except (struct.error, IndexError):
        return ImageFacts(kind)


def _png(head: bytes) -> ImageFacts:
    return ImageFacts("png", *struct.unpack_from(">II", head, 16))


def _gif(head: bytes) -> ImageFacts:
    return ImageFacts("gif", *struct.unpack_from("<HH", head, 6))


def _bmp(head: bytes) -> ImageFacts:
    width, height = struct.unpack_from("<ii", head, 18)
    return ImageFacts("bmp", width, abs(height))


def _webp(head: bytes) -> ImageFacts:
    if head[12:16] == b"VP8X":
        w, h = (int.from_bytes(head[a : a + 3], "little") + 1 for a in (24, 27))
    elif head[12:16] == b"VP8L":
        (bits,) = struct.unpack_from("<I", head, 21)
        w, h = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        w, h = (value & 0x3FFF for value in struct.unpack_from("<HH", head, 26))
    return ImageFacts("webp", w, h)


def _jpeg(head: bytes) -> ImageFacts:
    """Walk the segments to the frame header (SOF), noting the EXIF rotation on the way."""
    at, rotation = 2, 0
    while at + 9 < len(head):
        if head[at] != 0xFF:
            break
        marker = head[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        (length,) = struct.unpack_from(">H", head, at + 2)
        if marker in range(0xC0, 0xD0) and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", head, at + 5)
            return ImageFacts("jpeg", width, height, rotation)
        if marker == 0xE1 and head[at + 4 : at + 10] == b"Exif\0\0":
            rotation = _exif_rotation(head[at + 10 : at + 2 + length])
        at += 2 + max(2, length)
    return ImageFacts("jpeg", rotation=rotation)


def _exif_rotation(tiff: bytes) -> int:
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 0
    (first,) = struct.unpack_from(order + "I", tiff, 4)
    (count,) = struct.unpack_from(order + "H", tiff, first)
    for index in range(min(count, 200)):
        tag, _kind, _count, value = struct.unpack_from(order + "HHIH", tiff, first + 2 + 12 * index)
        if tag == 0x0112:
            return _ROTATIONS.get(value, 0)
    return 0
