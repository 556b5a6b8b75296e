# SPDX-License-Identifier: GPL-3.0-or-later
"""Panels in working order, lists and menus. draw() reads facts already at hand."""

from __future__ import annotations

import bpy

from ..addon.preferences import LikenessPreferences
from . import capture, compress, double, lists, look, menus, performance, preferences, render, splat

MODULES = (lists, menus, capture, double, splat, performance, look, compress, render)

CLASSES: tuple[type, ...] = tuple(cls for module in MODULES for cls in module.CLASSES)
"""Every class of the package, in the order of registration; panels stand in the sidebar in this order."""


def register() -> None:
    """Add the menu entries and draw the preferences."""
    LikenessPreferences.drawer = preferences.draw
    bpy.types.TOPBAR_MT_file_import.append(menus.draw_import)
    bpy.types.TOPBAR_MT_file_export.append(menus.draw_export)


def unregister() -> None:
    """Take them off again."""
    bpy.types.TOPBAR_MT_file_export.remove(menus.draw_export)
    bpy.types.TOPBAR_MT_file_import.remove(menus.draw_import)
    LikenessPreferences.drawer = None
