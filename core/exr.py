# SPDX-License-Identifier: GPL-3.0-or-later
"""One plane of numbers out of a multilayer OpenEXR picture, with numpy alone.

Blender writes such files but gives scripts no way to read them back. Read is what Blender writes when it is
told not to compress: scanlines of one or several parts (https://openexr.com, "OpenEXR File Layout").
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .errors import SettingsError

Array = np.ndarray

_MAGIC = b"\x76\x2f\x31\x01"
_TILED, _DEEP, _MULTIPART = 0x200, 0x800, 0x1000
_TYPES = ("<u4", "<f2", "<f4")
_MAX_PIXELS = 1 << 28
_MAX_HEADERS = 1024


@dataclass(frozen=True)
class _Part:
    """One part: its channels in the order of the file, and where its pixels are."""

    channels: tuple[tuple[str, str], ...]
    """Name and numpy type of each."""
    window: tuple[int, int, int, int]
    """x and y of the first pixel that is stored, and of the last."""
    display: tuple[int, int, int, int]
    """The same of the whole picture."""

    @property
    def row_bytes(self) -> int:
        """Of one stored row, all channels."""
        width = self.window[2] - self.window[0] + 1
        return width * sum(np.dtype(kind).itemsize for _, kind in self.channels)


def read_planes(path: Path, ending: str, outside: float = 0.0) -> dict[str, Array]:
    """Every channel whose name ends so, (H, W) float32 each, row 0 on top; `outside` where none is stored.

    A file that is damaged, compressed or tiled is a SettingsError.
    """
    try:
        data = path.read_bytes()
        return _planes(data, ending, outside)
    except (OSError, ValueError, IndexError, struct.error, UnicodeDecodeError) as problem:
        raise SettingsError(
            f"{path.name} is no uncompressed OpenEXR picture: {problem}.", "Render that frame again."
        ) from problem


def _planes(data: bytes, ending: str, outside: float) -> dict[str, Array]:
    if data[:4] != _MAGIC:
        raise ValueError("it begins otherwise")
    (flags,) = struct.unpack_from("<i", data, 4)
    if flags & (_TILED | _DEEP):
        raise ValueError("it is tiled or deep")
    several = bool(flags & _MULTIPART)
    parts, at = _headers(data, several)
    found: dict[str, Array] = {}
    for number, part in enumerate(parts):
        rows = part.window[3] - part.window[1] + 1
        offsets = np.frombuffer(data, "<u8", rows, at)
        at += 8 * rows
        skipped = 0
        for name, kind in part.channels:
            if name.endswith(ending):
                found[name] = _plane(
                    data, part, offsets, (skipped, kind), number if several else None, outside
                )
            skipped += (part.window[2] - part.window[0] + 1) * np.dtype(kind).itemsize
    return found


def _plane(
    data: bytes, part: _Part, offsets: Array, channel: tuple[int, str], number: int | None, outside: float
) -> Array:
    """One channel (bytes of the row before it, type) in its place in the whole picture."""
    left, top, right, bottom = part.window
    shown = part.display
    picture = np.full((shown[3] - shown[1] + 1, shown[2] - shown[0] + 1), outside, np.float32)
    whole = np.empty((bottom - top + 1, right - left + 1), np.float32)
    head = 8 if number is None else 12
    for offset in offsets.tolist():
        *owner, y, size = struct.unpack_from(f"<{head // 4}i", data, offset)
        if size != part.row_bytes or (owner and owner[0] != number) or not top <= y <= bottom:
            raise ValueError("a row is not where it should be")
        whole[y - top] = np.frombuffer(data, channel[1], whole.shape[1], offset + head + channel[0])
    low = max(top, shown[1]), max(left, shown[0])
    high = min(bottom, shown[3]) + 1, min(right, shown[2]) + 1
    if high[0] > low[0] and high[1] > low[1]:
        picture[low[0] - shown[1] : high[0] - shown[1], low[1] - shown[0] : high[1] - shown[0]] = whole[
            low[0] - top : high[0] - top, low[1] - left : high[1] - left
        ]
    return picture


def _headers(data: bytes, several: bool) -> tuple[list[_Part], int]:
    """Every part, and where their tables of offsets begin."""
    at, parts = 8, []
    while len(parts) < _MAX_HEADERS:
        attributes, at = _attributes(data, at)
        if attributes:
            parts.append(_part(attributes))
        if not several or not attributes:
            return parts, at
    raise ValueError("it has too many parts")


def _attributes(data: bytes, at: int) -> tuple[dict[str, bytes], int]:
    found: dict[str, bytes] = {}
    while data[at] != 0:
        name, at = _text(data, at)
        _, at = _text(data, at)
        (size,) = struct.unpack_from("<i", data, at)
        if not 0 <= size <= len(data) - at - 4:
            raise ValueError("it ends too early")
        found[name] = data[at + 4 : at + 4 + size]
        at += 4 + size
    return found, at + 1


def _text(data: bytes, at: int) -> tuple[str, int]:
    end = data.index(b"\0", at, at + 256)
    return data[at:end].decode("utf-8"), end + 1


def _part(attributes: dict[str, bytes]) -> _Part:
    lacking = {"channels", "compression", "dataWindow", "displayWindow"} - set(attributes)
    if lacking:
        raise ValueError(f"it has no {sorted(lacking)[0]}")
    if attributes["compression"] != b"\0":
        raise ValueError("it is compressed")
    window: Any = struct.unpack("<4i", attributes["dataWindow"])
    display: Any = struct.unpack("<4i", attributes["displayWindow"])
    for box in (window, display):
        wide, high = box[2] - box[0] + 1, box[3] - box[1] + 1
        if wide <= 0 or high <= 0 or wide * high > _MAX_PIXELS:
            raise ValueError("its size is impossible")
    return _Part(tuple(_channels(attributes["channels"])), window, display)


def _channels(data: bytes) -> list[tuple[str, str]]:
    at, found = 0, []
    while data[at] != 0:
        name, at = _text(data, at)
        kind, _, across, down = struct.unpack_from("<4i", data, at)
        if not 0 <= kind < len(_TYPES) or (across, down) != (1, 1):
            raise ValueError(f"the channel {name} is of an unknown kind")
        found.append((name, _TYPES[kind]))
        at += 16
    return found
