# SPDX-License-Identifier: GPL-3.0-or-later
"""Step 5: pictures and movie."""

from __future__ import annotations

import bpy

from ..addon.kinds import Context, Group, Layout
from ..addon.properties import PRESET_ITEMS
from ..addon.runtime import SESSION
from ..ops.ids import Op
from ..ops.presets import SaveRenderPreset
from .common import DoublePanel, draw_job, split_column
from .menus import RenderPresetsMenu, draw_presets


class RenderPanel(DoublePanel, bpy.types.Panel):
    """Quality, frames, movie."""

    bl_idname = "LIKENESS_PT_render"
    bl_label = "Render"
    bl_order = 5

    def draw(self, context: Context) -> None:
        """Quality, range, then the two verbs."""
        layout, scene = self.layout, context.scene
        self._draw_quality(layout, scene.likeness)
        column = split_column(layout)
        group = column.column(align=True)
        group.prop(scene, "frame_start", text="Frames")
        group.prop(scene, "frame_end", text="To")
        group.prop(scene, "frame_step", text="Step")
        if SESSION.job.active:
            draw_job(layout)
            return
        column = layout.column(align=True)
        row = column.row(align=True)
        row.scale_y = 1.5
        row.operator(Op.RENDER_FRAMES, icon="RENDER_ANIMATION")
        row = column.row(align=True)
        row.scale_y = 1.2
        row.operator(Op.ENCODE_MOVIE, icon="FILE_MOVIE")
        row.operator(Op.OPEN_FOLDER, text="", icon="FILE_FOLDER")

    def _draw_quality(self, layout: Layout, settings: Group) -> None:
        """Two by two, the one in use pressed."""
        chosen = settings.preset if settings.is_property_set("preset") else ""
        column = layout.column(align=True)
        for index, (key, title, _description) in enumerate(PRESET_ITEMS):
            if index % 2 == 0:
                row = column.row(align=True)
            row.operator(Op.APPLY_RENDER_PRESET, text=title, depress=key == chosen).preset = key


class OutputPanel(DoublePanel, bpy.types.Panel):
    """Where to, how large, what is kept."""

    bl_idname = "LIKENESS_PT_output"
    bl_label = "Output"
    bl_parent_id = RenderPanel.bl_idname
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Context) -> None:
        """Presets of your own, folder, size."""
        scene = context.scene
        draw_presets(self.layout, RenderPresetsMenu, SaveRenderPreset.bl_idname)
        column = split_column(self.layout)
        column.prop(scene.likeness, "output", text="Folder")
        group = column.column(align=True)
        group.prop(scene.render, "resolution_x", text="Width")
        group.prop(scene.render, "resolution_y", text="Height")
        group.prop(scene.render, "resolution_percentage", text="Scale")
        column.prop(scene.likeness, "resume", text="Skip Finished")


class MoviePanel(DoublePanel, bpy.types.Panel):
    """How the movie is made."""

    bl_idname = "LIKENESS_PT_movie"
    bl_label = "Movie"
    bl_parent_id = RenderPanel.bl_idname
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Context) -> None:
        """Codec and encoder."""
        column = split_column(self.layout)
        column.prop(context.scene.likeness, "codec")
        column.prop(context.scene.likeness, "encoder")


CLASSES = (RenderPanel, OutputPanel, MoviePanel)
