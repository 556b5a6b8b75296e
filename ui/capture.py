# SPDX-License-Identifier: GPL-3.0-or-later
"""Step 1: bring a capture in."""

from __future__ import annotations

from pathlib import PurePath

import bpy

from ..addon import checks, session
from ..addon.kinds import Context, Layout, Root
from ..ops.ids import Op
from .common import LikenessPanel, draw_checks, draw_job, draw_text


class CapturePanel(LikenessPanel, bpy.types.Panel):
    """Import, sample, what came in."""

    bl_idname = "LIKENESS_PT_capture"
    bl_label = "Capture"
    bl_order = 0

    def draw(self, context: Context) -> None:
        """One large button first; the rest once there is something."""
        layout = self.layout
        root = session.active_root(context)
        if not draw_job(layout):
            self._draw_start(layout, context, root is None)
        draw_checks(layout, context, (check for check in checks.of_capture() if check.serious))
        if root is not None:
            self._draw_source(layout, root)
        elif checks.log_lines():
            draw_text(layout, context, checks.log_lines()[0], "ERROR")

    def _draw_start(self, layout: Layout, context: Context, first: bool) -> None:
        column = layout.column(align=True)
        row = column.row(align=True)
        row.scale_y = 2.0 if first else 1.2
        row.operator(Op.IMPORT_CAPTURE, text="Import Capture...", icon="IMPORT")
        row = column.row(align=True)
        row.scale_y = 1.4 if first else 1.0
        row.operator(Op.LOAD_SAMPLE, icon="USER")
        row.operator(Op.OPEN_AVATAR, text="Open Avatar...", icon="FILE_FOLDER")
        column.operator(Op.IMPORT_RESULTS, text="Import Leap Result...", icon="OUTLINER_OB_ARMATURE")
        if first:
            hint = (
                "Leap archive, Live Link Face take, movie or photos. You can also drop a file into the view."
            )
            draw_text(layout, context, hint)

    def _draw_source(self, layout: Layout, root: Root) -> None:
        note = root.likeness
        row = layout.row()
        row.label(text=PurePath(note.source).name or "Unknown capture", icon="FILE_MOVIE")
        row.operator(Op.INSPECT_CAPTURE, text="", icon="VIEWZOOM")


class FootagePanel(LikenessPanel, bpy.types.Panel):
    """How well the double fits the footage, to look at and to improve."""

    bl_idname = "LIKENESS_PT_footage"
    bl_label = "Footage"
    bl_parent_id = CapturePanel.bl_idname

    @classmethod
    def poll(cls, context: Context) -> bool:
        """Only for what was tracked."""
        root = session.active_root(context)
        return root is not None and (session.can_show_footage(root) or bool(root.likeness.tracking))

    def draw(self, context: Context) -> None:
        """The comparison, the figures, the cure."""
        layout, root = self.layout, session.active_root(context)
        if root is None:
            return
        shown = session.is_footage_shown(context.scene, root)
        layout.operator(Op.SHOW_ON_FOOTAGE, icon="OVERLAY", depress=shown)
        if shown:
            footage = context.scene.likeness.footage
            layout.row(align=True).prop(footage, "style", expand=True)
            row = layout.row()
            row.active = footage.style == "BLEND"
            row.prop(footage, "alpha", slider=True)
        column = layout.column(align=True)
        column.scale_y = 0.85
        for line in root.likeness.tracking.splitlines():
            column.label(text=line)
        layout.operator(Op.REFIT_NEUTRAL, icon="FILE_REFRESH")


class CaptureNotesPanel(LikenessPanel, bpy.types.Panel):
    """What the import had to say."""

    bl_idname = "LIKENESS_PT_capture_notes"
    bl_label = "Notes"
    bl_parent_id = CapturePanel.bl_idname
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: Context) -> bool:
        """Only when there is something to say."""
        root = session.active_root(context)
        return root is not None and (bool(root.likeness.warnings) or bool(checks.of_capture()))

    def draw_header_preset(self, context: Context) -> None:
        """How many."""
        root = session.active_root(context)
        if root is not None and root.likeness.warnings:
            self.layout.label(text=str(len(root.likeness.warnings)))

    def draw(self, context: Context) -> None:
        """One sentence each."""
        root = session.active_root(context)
        for warning in root.likeness.warnings if root is not None else ():
            draw_text(self.layout, context, warning.name, "INFO")
        draw_checks(self.layout, context, (check for check in checks.of_capture() if not check.serious))


CLASSES = (CapturePanel, FootagePanel, CaptureNotesPanel)
