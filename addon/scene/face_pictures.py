# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a face from the avatar's folder: by reference, read again when the file was made anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np

STAMP = "likeness_stamp"
"""On an image: when its file was written, nanoseconds, as text."""
DATA, COLOUR = "Non-Color", "sRGB"


def load_picture(path: Path, space: str) -> Any:
    """The image of a file, the one that is loaded already where there is one; `space`: DATA or COLOUR. None
    where Blender cannot read it as it is now.
    """
    image: Any = _loaded(path) or bpy.data.images.load(str(path), check_existing=True)
    if image.colorspace_settings.name != space:
        image.colorspace_settings.name = space
    stamp = str(path.stat().st_mtime_ns)
    if image.get(STAMP, stamp) != stamp or not image.size[0]:  # what was unreadable once is not read again
        image.reload()
    image[STAMP] = stamp
    return image if image.size[0] else None  # asking reads the file


def _loaded(path: Path) -> Any:
    """The image that was loaded here from a file. Blender itself takes no movie twice that is in use."""
    ours = (image for image in bpy.data.images if STAMP in image and image.library is None)
    return next((image for image in ours if file_of(image).resolve() == path), None)


def is_lost(image: Any) -> bool:
    """Whether an image's file is gone; a packed image needs none."""
    if image is None or image.source == "GENERATED" or image.packed_file is not None:
        return False
    return not file_of(image).is_file()


def file_of(image: Any) -> Path:
    """Absolute path of an image's file."""
    return Path(bpy.path.abspath(image.filepath, library=image.library))


def find_again(image: Any, folder: Path) -> bool:
    """Point a lost image to the file of its name in `folder`, as after an avatar was moved; whether it is
    there now.
    """
    path = folder / file_of(image).name
    if not path.is_file():
        return False
    image.filepath = str(path)
    image.reload()
    return True


def pixels_of(image: Any) -> np.ndarray:
    """(h, w, 4) float32 as stored, row 0 at the bottom, as Blender has it."""
    width, height = image.size
    values = np.empty(4 * width * height, np.float32)
    image.pixels.foreach_get(values)
    return values.reshape(height, width, 4)


def linear(encoded: np.ndarray) -> np.ndarray:
    """SRGB (0..1) to linear light, IEC 61966-2-1."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
