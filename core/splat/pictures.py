# SPDX-License-Identifier: GPL-3.0-or-later
"""What was drawn as pictures people can open: PNG of 8 or 16 bits, with straight alpha where it is asked for,
and the small one that is shown while work goes on.
"""

from __future__ import annotations

import atexit
import contextlib
import re
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..errors import SettingsError
from ..files import atomic_path
from ..progress import Previews
from .raster_result import Rendered

Array = np.ndarray

BITS = (8, 16)
SIDE = 256
"""px: longest side of the small picture."""
_NAMED = {"white": (1.0, 1.0, 1.0), "black": (0.0, 0.0, 0.0), "transparent": None}
_HEX = re.compile(r"#([0-9a-fA-F]{6})")


def background_colour(text: str) -> tuple[float, float, float] | None:
    """A colour (sRGB, 0..1) of white, black or #rrggbb; None for transparent. SettingsError for another."""
    if text in _NAMED:
        return _NAMED[text]
    found = _HEX.fullmatch(text)
    if not found:
        raise SettingsError(
            f"{text!r} is no background.", "Choose white, black, transparent or a colour such as #8090a0."
        )
    red, green, blue = bytes.fromhex(found[1])
    return red / 255, green / 255, blue / 255


def opaque(drawn: Rendered) -> Array:
    """(H, W, 3) uint8 of what was drawn over a background."""
    return np.rint(np.clip(drawn.image, 0.0, 1.0) * 255).astype(np.uint8)


def straight(drawn: Rendered, bits: int = 8) -> Array:
    """(H, W, 4) uint8 or uint16, colour not multiplied by alpha, of what was drawn over black."""
    alpha = drawn.alpha[..., None]
    colour = drawn.image / np.maximum(alpha, 1e-6)
    both = np.concatenate([np.clip(colour, 0.0, 1.0), np.clip(alpha, 0.0, 1.0)], axis=2)
    return np.rint(both * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)


def write_png(path: Path, picture: Array) -> None:
    """Write (H, W, 3) RGB or (H, W, 4) RGBA, uint8 or uint16, beside its place and rename it; OSError."""
    import cv2

    order = cv2.COLOR_RGB2BGR if picture.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
    stored = cv2.cvtColor(np.ascontiguousarray(picture), order)
    _, data = cv2.imencode(".png", stored, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    with atomic_path(path) as beside:
        beside.write_bytes(data.tobytes())


def show(picture: Array) -> None:
    """Show a picture (H, W, 3 or 4) uint8 to whoever watches; transparent parts are grey. It is no reason to
    fail.
    """
    if Previews.show is None:
        return
    import cv2

    height, width = picture.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    if small.shape[2] == 4:
        alpha = small[..., 3:] / np.float32(255)
        small = (small[..., :3] * alpha + 128 * (1 - alpha)).astype(np.uint8)
    with contextlib.suppress(OSError):
        path = _folder() / "preview.jpg"
        done, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        if done:
            scratch = path.with_suffix(".part")
            scratch.write_bytes(data.tobytes())
            scratch.replace(path)
            Previews.show(str(path))


@lru_cache(maxsize=1)
def _folder() -> Path:
    """A face is personal data: its picture lives no longer than the work on it."""
    folder = tempfile.TemporaryDirectory(prefix="likeness-preview-")
    atexit.register(folder.cleanup)
    return Path(folder.name)
