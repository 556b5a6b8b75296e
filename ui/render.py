# SPDX-License-Identifier: GPL-3.0-or-later
"""Step 5: pictures and movie."""

from __future__ import annotations

import bpy

from ..addon.kinds import Context
from ..addon.runtime import SESSION
from ..ops.ids import Op
from ..ops.presets import SaveRenderPreset
from .common import DoublePanel, draw_job, split_column
from .menus import RenderPresetsMenu, draw_presets


class RenderPanel(DoublePanel, bpy.types.Panel):
    """Quality, frames, movie."""

    bl_idname = "LIKENESS_PT_render"
    bl_label = "Render"
    bl_order = 4

    def draw(self, context: Context) -> None:
        """Quality first, then the two verbs."""
        layout, scene = self.layout, context.scene
        chosen = scene.likeness
        layout.row(align=True).operator_enum(Op.APPLY_RENDER_PRESET, "preset")
        draw_presets(layout, RenderPresetsMenu, SaveRenderPreset.bl_idname)
        column = split_column(layout)
        column.prop(chosen, "output")
        group = column.column(align=True)
        group.prop(scene, "frame_start", text="Frames")
        group.prop(scene, "frame_end", text="To")
        group.prop(scene, "frame_step", text="Step")
        group = column.column(align=True)
        group.prop(scene.render, "resolution_x", text="Size X")
        group.prop(scene.render, "resolution_y", text="Y")
        group.prop(scene.render, "resolution_percentage", text="%")
        column.prop(chosen, "resume")
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


CLASSES = (RenderPanel, MoviePanel)
