# SPDX-License-Identifier: GPL-3.0-or-later
"""For benches in Blender: the extension that `build.py bench` has installed."""

from __future__ import annotations

import importlib
from types import ModuleType

MODULE = "bl_ext.user_default.likeness"


def extension(part: str = "") -> ModuleType:
    """The enabled extension, or a part of it ("addon.scene"), in an empty file."""
    import bpy

    # Blender's own modules are found only once bpy is loaded.
    addon_utils = importlib.import_module("addon_utils")
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    if addon_utils.check(MODULE) != (True, True):
        addon_utils.enable(MODULE, default_set=True)
    return importlib.import_module(f"{MODULE}.{part}".rstrip("."))
