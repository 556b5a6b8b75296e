# SPDX-License-Identifier: GPL-3.0-or-later
"""Step 4: what it looks like."""

from __future__ import annotations

import bpy

from ..addon import session
from ..addon.kinds import Context
from ..ops.ids import Op
from .common import DoublePanel, split_column


class LookPanel(DoublePanel, bpy.types.Panel):
    """Materials and light."""

    bl_idname = "LIKENESS_PT_look"
    bl_label = "Look"
    bl_order = 3

    def draw_header_preset(self, context: Context) -> None:
        """Back to what suits the person."""
        self.layout.operator(Op.RESET_LOOK, text="", icon="LOOP_BACK", emboss=False)

    def draw(self, context: Context) -> None:
        """The two switches of the whole."""
        root = session.active_root(context)
        if root is None:
            return
        self.layout.row().prop(root.likeness.look, "materials", expand=True)
        split_column(self.layout).prop(context.scene.likeness, "lighting")


class SkinPanel(DoublePanel, bpy.types.Panel):
    """Skin, lips, eyes."""

    bl_idname = "LIKENESS_PT_skin"
    bl_label = "Skin and Eyes"
    bl_parent_id = LookPanel.bl_idname

    def draw(self, context: Context) -> None:
        """Sliders and the iris."""
        root = session.active_root(context)
        if root is None:
            return
        look, column = root.likeness.look, split_column(self.layout)
        group = column.column(align=True)
        for name in ("melanin", "redness", "freckles", "lip_amount"):
            group.prop(look, name, slider=True)
        column.prop(look, "eye_colour")


class HairPanel(DoublePanel, bpy.types.Panel):
    """Hair and stubble."""

    bl_idname = "LIKENESS_PT_hair"
    bl_label = "Hair"
    bl_parent_id = LookPanel.bl_idname
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Context) -> None:
        """Cut and colour."""
        root = session.active_root(context)
        if root is None:
            return
        look, column = root.likeness.look, split_column(self.layout)
        column.prop(look, "hair_style", text="Cut")
        group = column.column(align=True)
        group.prop(look, "hair_melanin", text="Pigment", slider=True)
        group.prop(look, "hair_redness", text="Redness", slider=True)
        column.prop(look, "stubble", slider=True)


class ClothesPanel(DoublePanel, bpy.types.Panel):
    """Clothes."""

    bl_idname = "LIKENESS_PT_clothes"
    bl_label = "Clothes"
    bl_parent_id = LookPanel.bl_idname
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Context) -> None:
        """What is worn, and its colours."""
        root = session.active_root(context)
        if root is None:
            return
        look, column = root.likeness.look, split_column(self.layout)
        column.prop(look, "top")
        column.prop(look, "top_colour")
        column.prop(look, "bottom_colour")


CLASSES = (LookPanel, SkinPanel, HairPanel, ClothesPanel)
