# SPDX-License-Identifier: GPL-3.0-or-later
"""Step 4: what it looks like."""

from __future__ import annotations

import bpy

from ..addon import session
from ..addon.kinds import Context, Root
from ..ops.ids import Op
from .common import DoublePanel, draw_text, split_column


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


class FacePanel(DoublePanel, bpy.types.Panel):
    """The person's own face."""

    bl_idname = "LIKENESS_PT_face"
    bl_label = "Face Texture"
    bl_parent_id = LookPanel.bl_idname

    def draw(self, context: Context) -> None:
        """What is shown, how strongly, and how much of it was seen."""
        root = session.active_root(context)
        if root is None:
            return
        look, can, (shown, note) = root.likeness.look, session.faces_of(root), session.face_of(root)
        row = self.layout.row(align=True)
        for face in session.FACES:
            cell = row.row(align=True)
            cell.enabled = face in can
            cell.prop_enum(look, "face", face)
        if note and shown != look.face:
            draw_text(self.layout.column(), context, note, "ERROR")
        elif flaws := session.flaws_of(root):
            draw_text(self.layout.column(), context, flaws, "ERROR")
        elif len(can) < len(session.FACES):
            first = next(face for face in session.FACES if face not in can)
            draw_text(self.layout.column(), context, session.lack_of(first), "INFO")
        column = split_column(self.layout)
        column.active = shown != "NONE"
        group = column.column(align=True)
        for name in ("face_strength", "face_relief", "face_eyes"):
            group.prop(look, name, slider=True)
        if shown in ("TRACK", "PREDICTED"):
            group.prop(look, "face_scalp", slider=True)
        self._draw_coverage(root)

    def _draw_coverage(self, root: Root) -> None:
        seen = session.coverage_of(root)
        row = self.layout.row()
        if seen is not None:
            row.label(text=f"Seen in the footage: {seen:.0%}")
            shows = session.shows_invented(root)
            row.operator(Op.SHOW_INVENTED, text="", icon="HIDE_OFF" if shows else "HIDE_ON", depress=shows)
        row.operator(
            Op.MAKE_TEXTURES, text="" if seen is not None else "Take from Footage", icon="FILE_REFRESH"
        )


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
        group.prop(look, "melanin", slider=True)
        group.prop(look, "skin_tint", text="Tint")
        painted = column.column(align=True)
        painted.active = session.face_of(root)[0] == "NONE"
        for name in ("redness", "freckles", "lip_amount"):
            painted.prop(look, name, slider=True)
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
        column.prop(look, "use_hair_colour")
        group = column.column(align=True)
        if look.use_hair_colour:
            group.prop(look, "hair_colour", text="Colour")
        else:
            group.prop(look, "hair_melanin", text="Pigment", slider=True)
            group.prop(look, "hair_redness", text="Redness", slider=True)
        column.prop(look, "brow_hairs")
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


CLASSES = (LookPanel, FacePanel, SkinPanel, HairPanel, ClothesPanel)
