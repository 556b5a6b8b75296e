# SPDX-License-Identifier: GPL-3.0-or-later
"""Step 5: few bones in the place of shape keys, for engines; on any mesh that has some."""

from __future__ import annotations

from typing import Any

import bpy

from ..addon import checks, compressing
from ..addon.kinds import Context, Layout
from ..addon.property_compress import CUSTOM, copy_options, numbers_of
from ..addon.runtime import SESSION
from ..ops.ids import Op
from .common import LikenessPanel, draw_checks, draw_job, draw_text, split_column

_INSIDE = 4
"""Characters that a box takes from its lines."""


class CompressPanel(LikenessPanel, bpy.types.Panel):
    """Budget, button, what came out."""

    bl_idname = "LIKENESS_PT_compress"
    bl_label = "Compress to Bones"
    bl_order = 4
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: Context) -> bool:
        """There must be shape keys, or what was made of some."""
        return compressing.target_of(context) is not None or compressing.compressed_of(context) is not None

    def draw(self, context: Context) -> None:
        """What may be compressed, and what is."""
        layout = self.layout
        target, made = compressing.target_of(context), compressing.compressed_of(context)
        if target is not None:
            self._draw_budget(layout, context, target, made)
        if made is not None:
            self._draw_made(layout, context, made)

    def _draw_budget(self, layout: Layout, context: Context, target: Any, made: Any) -> None:
        options = context.scene.likeness.compress
        count = len(target.data.shape_keys.key_blocks) - 1
        column = layout.column(align=True)
        draw_text(column, context, target.name, "OUTLINER_OB_MESH")
        column.label(text=f"{count} shape keys", icon="SHAPEKEY_DATA")
        layout.row(align=True).prop(options, "preset", expand=True)
        if options.preset == CUSTOM:
            group = split_column(layout).column(align=True)
            for name in ("bones", "influences"):
                group.prop(options, name)
            group.prop(options, "coefficients", text="Numbers")
        else:
            bones, influences, _numbers = numbers_of(options)
            layout.label(text=f"About {bones} bones, {influences} per vertex", icon="BONE_DATA")
        column = split_column(layout)
        column.prop(options, "correctives", text="Correctives")
        column.prop(options, "two_bones")
        if made is not None:
            column.prop(options, "replace")
        self._draw_button(layout, context, options, made is None)

    def _draw_button(self, layout: Layout, context: Context, options: Any, first: bool) -> None:
        if draw_job(layout):
            return
        draw_checks(layout, context, checks.of_compressing())
        row = layout.row()
        row.scale_y = 1.5 if first else 1.2
        button = row.operator(
            Op.COMPRESS_TO_BONES, text="Compress to Bones" if first else "Compress Again", icon="BONE_DATA"
        )
        copy_options(options, button)

    def _draw_made(self, layout: Layout, context: Context, made: Any) -> None:
        box = layout.box().column()
        draw_text(box, context, made.name, "OUTLINER_OB_ARMATURE", _INSIDE)
        sentence = compressing.sentence_of(made)
        if sentence:
            draw_text(box, context, sentence, reserve=_INSIDE)
        row = box.row(align=True)
        row.operator(Op.UPDATE_COMPRESSED, icon="FILE_REFRESH")
        shown = compressing.shows_error(made)
        row.operator(Op.SHOW_COMPRESSION_ERROR, text="Show Error", icon="COLOR", depress=shown)
        if shown:
            top = compressing.error_scale(made)
            text = f"Dark blue is exact, red is {top:g} mm and more"
            draw_text(box, context, text, "COLORSET_01_VEC", _INSIDE)
        box.operator(Op.EXPORT_SKIN, text="Export...", icon="EXPORT")
        box.enabled = not SESSION.job.active


CLASSES = (CompressPanel,)
