# SPDX-License-Identifier: GPL-3.0-or-later
"""Just enough PNG to tell a finished frame from a broken one, and to write one, with numpy and the standard
library alone.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"


def size_of(path: Path) -> tuple[int, int] | None:
    """(width, height) of a complete PNG file, None for anything else."""
    try:
        with path.open("rb") as file:
            head = file.read(24)
            if len(head) < 24 or head[:8] != _SIGNATURE or head[12:16] != b"IHDR":
                return None
            file.seek(-len(_END), 2)
            if file.read() != _END:
                return None
    except OSError:
        return None
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def write(path: Path, pixels: np.ndarray, note: str = "") -> None:
    """Write (H, W, 3) RGB or (H, W, 4) RGBA uint8, row 0 on top, in sRGB. `note`: for `has_note`."""
    height, width, channels = pixels.shape
    rows = np.empty((height, 1 + width * channels), np.uint8)
    # Each row as differences to the one above, which compress better: filter 2.
    rows[:, 0] = 2
    rows[0, 1:] = pixels[0].ravel()
    rows[1:, 1:] = (pixels[1:] - pixels[:-1]).reshape(height - 1, -1)
    kind = {3: 2, 4: 6}[channels]
    data = _SIGNATURE + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
    data += _chunk(b"sRGB", b"\0") + (_chunk(b"tEXt", _NOTE + note.encode("latin-1")) if note else b"")
    path.write_bytes(data + _chunk(b"IDAT", zlib.compress(rows.tobytes(), 4)) + _chunk(b"IEND", b""))


def has_note(path: Path, note: str) -> bool:
    """Whether `write` wrote this file with this note."""
    try:
        with path.open("rb") as file:
            return _chunk(b"tEXt", _NOTE + note.encode("latin-1")) in file.read(256)
    except OSError:
        return False


_NOTE = b"Likeness\0"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
