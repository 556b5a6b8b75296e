# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a face that are damaged or missing, noted on the root, and the sentence that names them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import bpy

PARTS = ("STILL", "TRACK", "PREDICTED", "MORE")
"""What a file is for: one of `materials.look.FACES`, or what comes on top of them."""
_KEY = "likeness_face_flaws_"


def flaw_of(path: Path) -> str:
    """What is wrong with a file that could not be used."""
    return f"{path.name} is {'damaged' if path.is_file() else 'missing'}"


def note_flaws(root: bpy.types.Object, part: str, flaws: Iterable[str] = ()) -> None:
    """Note what is wrong with the files of one of `PARTS`, in place of what was noted before."""
    root[_KEY + part] = "\n".join(flaws)


def has_flaws(root: bpy.types.Object, *parts: str) -> bool:
    """Whether files of these parts cannot be used. Cheap."""
    return any(root.get(_KEY + part) for part in parts)


def flaws_of(root: bpy.types.Object) -> str:
    """Which files of the face cannot be used and what to do, a sentence or nothing. Cheap."""
    flaws = [flaw for part in PARTS for flaw in str(root.get(_KEY + part, "")).splitlines()]
    return f"{', '.join(flaws)}: take the textures from the footage again." if flaws else ""
