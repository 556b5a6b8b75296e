# SPDX-License-Identifier: GPL-3.0-or-later
"""Step 3: what it does."""

from __future__ import annotations

from typing import Any

import bpy

from ..addon import session
from ..addon.kinds import Context
from ..ops.ids import Op
from ..ops.presets import SaveFilterPreset
from .common import DoublePanel, draw_text, split_column
from .menus import FilterPresetsMenu, draw_presets


class PerformancePanel(DoublePanel, bpy.types.Panel):
    """Which performance plays, with its facts."""

    bl_idname = "LIKENESS_PT_performance"
    bl_label = "Performance"
    bl_order = 2

    def draw(self, context: Context) -> None:
        """Chooser, facts, export."""
        layout = self.layout
        root = session.active_root(context)
        if root is None:
            return
        note = root.likeness
        row = layout.row(align=True)
        row.operator_menu_enum(Op.CHOOSE_PERFORMANCE, "name", text=note.performance or "None", icon="ACTION")
        row.operator(Op.ADD_PERFORMANCE, text="", icon="ADD")
        fact = note.performances.get(note.performance)
        if fact is None:
            draw_text(
                layout, context, "This double has no recorded performance. Add a Live Link Face take.", "INFO"
            )
            return
        column = layout.column(align=True)
        column.label(
            text=f"{fact.frame_count} samples, {fact.duration:.2f} s at {fact.rate:.4g}/s", icon="TIME"
        )
        known = (("head", fact.has_head), ("position", fact.has_position), ("gaze", fact.has_gaze))
        parts = [name for name, there in known if there]
        column.label(text=f"Weights{''.join(f', {part}' for part in parts)}", icon="SHAPEKEY_DATA")
        if fact.has_position:
            layout.prop(note, "head_position", slider=True)
        layout.operator(Op.RESAMPLE, text="Resample...", icon="MOD_TIME")
        row = layout.row(align=True)
        row.operator(Op.EXPORT_CSV, text="Export CSV...", icon="EXPORT")
        row.operator(Op.EXPORT_FIT, text="Export Fit...", icon="EXPORT")


class FiltersPanel(DoublePanel, bpy.types.Panel):
    """Cleaning; the header's box switches between filtered and recorded."""

    bl_idname = "LIKENESS_PT_filters"
    bl_label = "Filters"
    bl_parent_id = PerformancePanel.bl_idname

    @classmethod
    def poll(cls, context: Context) -> bool:
        """There must be something to filter."""
        root = session.active_root(context)
        return root is not None and bool(root.likeness.performance)

    def draw_header(self, context: Context) -> None:
        """The switch."""
        root = session.active_root(context)
        if root is not None:
            self.layout.prop(root.likeness.filters, "enabled", text="")

    def draw(self, context: Context) -> None:
        """Presets, smoothing, sides, keys, apply."""
        root = session.active_root(context)
        if root is None:
            return
        filters = root.likeness.filters
        draw_presets(self.layout, FilterPresetsMenu, SaveFilterPreset.bl_idname)
        column = split_column(self.layout)
        column.prop(filters, "smoothing")
        self._draw_smoothing(column, filters)
        column.prop(filters, "gain", slider=True)
        sides = column.column(heading="Correct")
        for name in ("limit_mouth_close", "swap_mouth", "mirror"):
            sides.prop(filters, name)
        row = column.row(heading="Reduce Keys")
        row.prop(filters, "decimate", text="")
        error = row.row()
        error.active = filters.decimate
        error.prop(filters, "decimate_error", text="")
        row = self.layout.row(align=True)
        row.scale_y = 1.2
        row.operator(Op.APPLY_FILTERS, icon="CHECKMARK")
        row.operator(Op.RESET_FILTERS, text="", icon="LOOP_BACK")

    def _draw_smoothing(self, column: Any, filters: Any) -> None:
        names = {"ONE_EURO": ("cutoff", "beta", "two_way"), "SAVITZKY_GOLAY": ("window", "order")}
        for name in names.get(filters.smoothing, ()):
            column.prop(filters, name)


class ShapesPanel(DoublePanel, bpy.types.Panel):
    """Gain, offset and limits of single shapes."""

    bl_idname = "LIKENESS_PT_shapes"
    bl_label = "Single Shapes"
    bl_parent_id = FiltersPanel.bl_idname
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Context) -> None:
        """The list, and the numbers of the chosen one."""
        root = session.active_root(context)
        if root is None:
            return
        filters = root.likeness.filters
        row = self.layout.row()
        row.template_list("LIKENESS_UL_shapes", "", filters, "shapes", filters, "shape_index", rows=3)
        buttons = row.column(align=True)
        buttons.operator(Op.ADD_SHAPE_LIMIT, text="", icon="ADD")
        buttons.operator(Op.REMOVE_SHAPE_LIMIT, text="", icon="REMOVE")
        if filters.shape_index < len(filters.shapes):
            shape = filters.shapes[filters.shape_index]
            column = split_column(self.layout).column(align=True)
            for name in ("gain", "offset", "minimum", "maximum"):
                column.prop(shape, name)


CLASSES = (PerformancePanel, FiltersPanel, ShapesPanel)
