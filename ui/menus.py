# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries in Blender's menus, and the menus of presets."""

from __future__ import annotations

from typing import Any

import bpy

from ..addon.kinds import Context
from ..ops.ids import Op
from ..ops.presets import FILTER_MENU, FILTER_PRESETS, RENDER_MENU, RENDER_PRESETS


def draw_import(self: Any, _context: Context) -> None:
    """File > Import."""
    self.layout.operator(Op.IMPORT_CAPTURE, text="Face Capture (.zip/.csv/movie/photo)")
    self.layout.operator(Op.IMPORT_RESULTS, text="Leap Result (folder/.glb)")
    self.layout.operator(Op.IMPORT_SKIN, text="Compressed Skin (result.npz)")


def draw_export(self: Any, _context: Context) -> None:
    """File > Export."""
    self.layout.operator(Op.EXPORT_CSV, text="Live Link Face (.csv)")
    self.layout.operator(Op.EXPORT_FIT, text="CAP4D Fit (.npz)")
    self.layout.operator(Op.EXPORT_SPLATS, text="Gaussian Head (.ply/.spz/.glb)")
    self.layout.operator(Op.EXPORT_SKIN, text="Compressed Skin (.glb/.fbx)")


class FilterPresetsMenu(bpy.types.Menu):
    """Presets of the filters."""

    bl_idname = FILTER_MENU
    bl_label = "Filter Presets"
    preset_subdir = FILTER_PRESETS
    preset_operator = "script.execute_preset"
    draw = bpy.types.Menu.draw_preset  # type: ignore[assignment]


class RenderPresetsMenu(bpy.types.Menu):
    """Presets of the render settings."""

    bl_idname = RENDER_MENU
    bl_label = "Render Presets"
    preset_subdir = RENDER_PRESETS
    preset_operator = "script.execute_preset"
    draw = bpy.types.Menu.draw_preset  # type: ignore[assignment]


def draw_presets(layout: Any, menu: type[bpy.types.Menu], operator: str) -> None:
    """The usual row of a preset menu with plus and minus."""
    row = layout.row(align=True)
    row.menu(menu.bl_idname, text=menu.bl_label)
    row.operator(operator, text="", icon="ADD")
    row.operator(operator, text="", icon="REMOVE").remove_active = True


CLASSES = (FilterPresetsMenu, RenderPresetsMenu)
