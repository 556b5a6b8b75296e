# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pictures that a running job shows in the panel. They are icons, so that the file gains nothing."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import bpy.utils.previews

from .tracking import PHOTOS

MAX_BYTES = 64 << 20
"""Of a picture; a larger one would hold up the window while it is read."""


class _Shown:
    """The collection of icons, and which picture the last one shows."""

    icons: Any = None
    stamp: tuple[str, int] = ("", 0)
    icon: int = 0


def icon_of(path: str) -> int:
    """Icon of the picture or movie at `path`, which the worker may write anew at any time; 0 where there is
    none.
    """
    if not path:
        return 0
    with suppress(OSError):
        facts = Path(path).stat()
        picture = path.lower().endswith(PHOTOS)
        if not facts.st_size or (picture and facts.st_size > MAX_BYTES):
            return 0
        stamp = (path, facts.st_mtime_ns)
        if stamp != _Shown.stamp:
            _Shown.icon, _Shown.stamp = _load(path, "IMAGE" if picture else "MOVIE"), stamp
        return _Shown.icon
    return 0


def clear() -> None:
    """Forget all pictures."""
    if _Shown.icons is not None:
        bpy.utils.previews.remove(_Shown.icons)
    _Shown.icons, _Shown.stamp, _Shown.icon = None, ("", 0), 0


def _load(path: str, kind: Literal["IMAGE", "MOVIE"]) -> int:
    # A file that changed is another picture to Blender only under another name.
    clear()
    _Shown.icons = bpy.utils.previews.new()
    with suppress(KeyError, RuntimeError):
        return int(_Shown.icons.load("preview", path, kind).icon_id)
    return 0


def unregister() -> None:
    """Leave nothing behind."""
    clear()


def register() -> None:
    """Nothing to put in place."""
