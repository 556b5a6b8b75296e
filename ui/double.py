# SPDX-License-Identifier: GPL-3.0-or-later
"""Step 2: who it is."""

from __future__ import annotations

import bpy

from ..addon import checks, session
from ..addon.kinds import Context
from ..ops.ids import Op
from .common import DoublePanel, draw_checks, split_column


class DoublePanelMain(DoublePanel, bpy.types.Panel):
    """The chosen double, its findings, rebuild and remove."""

    bl_idname = "LIKENESS_PT_double"
    bl_label = "Double"
    bl_order = 1

    def draw(self, context: Context) -> None:
        """Chooser, findings, verbs."""
        layout = self.layout
        root = session.active_root(context)
        if root is None:
            return
        row = layout.row(align=True)
        row.prop(context.scene.likeness, "active", text="", icon="ARMATURE_DATA")
        row.operator(Op.REMOVE_DOUBLE, text="", icon="TRASH")
        draw_checks(layout, context, checks.of_double(context, root))
        layout.operator(Op.REBUILD_DOUBLE, icon="FILE_REFRESH")


class IdentityPanel(DoublePanel, bpy.types.Panel):
    """Phenotypes."""

    bl_idname = "LIKENESS_PT_identity"
    bl_label = "Shape"
    bl_parent_id = DoublePanelMain.bl_idname

    def draw_header_preset(self, context: Context) -> None:
        """Keep or undo the sliders as a whole."""
        row = self.layout.row(align=True)
        row.operator(Op.SAVE_AVATAR, text="", icon="FILE_TICK", emboss=False)
        row.operator(Op.RESET_IDENTITY, text="", icon="LOOP_BACK", emboss=False)

    def draw(self, context: Context) -> None:
        """The sliders, in groups."""
        root = session.active_root(context)
        if root is None:
            return
        identity = root.likeness.identity
        column = split_column(self.layout)
        group = column.column(align=True)
        for name in ("gender", "age", "height"):
            group.prop(identity, name, slider=True)
        group = column.column(align=True)
        for name in ("weight", "muscle", "proportions"):
            group.prop(identity, name, slider=True)
        group = column.column(align=True)
        for name in ("african", "asian", "caucasian"):
            group.prop(identity, name, slider=True)
        group = column.column(align=True)
        group.active = identity.gender > 0.3
        for name in ("cupsize", "firmness"):
            group.prop(identity, name, slider=True)


class ChangesPanel(DoublePanel, bpy.types.Panel):
    """Local changes of shape."""

    bl_idname = "LIKENESS_PT_changes"
    bl_label = "Local Changes"
    bl_parent_id = DoublePanelMain.bl_idname
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Context) -> None:
        """A list to search in; each row is a slider."""
        root = session.active_root(context)
        if root is not None:
            identity = root.likeness.identity
            self.layout.template_list(
                "LIKENESS_UL_changes", "", identity, "changes", identity, "change_index", rows=8
            )


CLASSES = (DoublePanelMain, IdentityPanel, ChangesPanel)
