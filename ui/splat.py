# SPDX-License-Identifier: GPL-3.0-or-later
"""The double's head as Gaussian splats: train it, see it, take it elsewhere."""

from __future__ import annotations

from typing import Any

import bpy

from ..addon import checks, session, splatting
from ..addon.kinds import Context, Layout, Root
from ..addon.runtime import SESSION
from ..addon.scene.splat_draw import STATUS
from ..addon.scene.splat_instances import cards_of
from ..addon.scene.splat_state import problem_of
from ..ops.ids import Op
from .common import DoublePanel, draw_checks, draw_job, draw_text, split_column
from .double import DoublePanelMain

_INSIDE = 4
"""Characters that a box takes from its lines."""


class SplatPanel(DoublePanel, bpy.types.Panel):
    """The head that stands there, then training."""

    bl_idname = "LIKENESS_PT_splat"
    bl_label = "Gaussian Head"
    bl_parent_id = DoublePanelMain.bl_idname
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: Context) -> None:
        """What is seen, and what can be trained."""
        root = session.active_root(context)
        if root is None:
            return
        head = splatting.head_of_root(root)
        if head is not None:
            self._draw_head(self.layout, context, head)
        elif splatting.is_trained(root) and not SESSION.job.active:
            row = self.layout.row()
            row.scale_y = 1.4
            row.operator(Op.ADD_SPLATS, icon="ADD").filepath = ""
        self._draw_training(self.layout, context, root)

    def _draw_head(self, layout: Layout, context: Context, head: Any) -> None:
        box = layout.box().column()
        draw_text(box, context, head.name, "OUTLINER_OB_POINTCLOUD", _INSIDE)
        problem = problem_of(head) or STATUS.trouble
        if problem:
            alert = box.column()
            alert.alert = True
            draw_text(alert, context, problem, "ERROR", _INSIDE)
        else:
            draw_text(box, context, splatting.sentence_of(head), reserve=_INSIDE)
        settings = head.likeness.splat
        box.row(align=True).prop(settings, "show", expand=True)
        column = split_column(box.column())
        column.active = settings.show != "MESH"
        column.prop(settings, "use_viewport")
        column.prop(settings, "quality", slider=True)
        column.prop(settings, "size", slider=True)
        row = box.row(align=True)
        row.operator(Op.ADD_SPLATS, text="Update", icon="FILE_REFRESH").filepath = ""
        row.operator(Op.EXPORT_SPLATS, text="Export...", icon="EXPORT")
        row.operator(Op.REMOVE_SPLATS, text="", icon="TRASH")
        made = cards_of(head) is not None
        text = "Remove Cards" if made else "Make Cards for Other Engines"
        box.operator(Op.SPLAT_INSTANCES, text=text, icon="MESH_GRID").remove = made

    def _draw_training(self, layout: Layout, context: Context, root: Root) -> None:
        if draw_job(layout):
            return
        draw_checks(layout, context, checks.of_splats())
        options = context.scene.likeness.splat
        column = split_column(layout)
        column.prop(options, "preset")
        unfinished, anew = splatting.is_unfinished(root), splatting.why_anew(root, options.preset)
        if anew:
            draw_text(layout, context, anew, "INFO")
        elif unfinished:
            column.prop(options, "resume")
        filmed = splatting.filmed_performance(root)
        if filmed is not None:
            column = layout.column(align=True)
            if filmed.name != root.likeness.performance:
                draw_text(column, context, f"From {filmed.name}", "RENDER_ANIMATION")
            draw_text(column, context, splatting.estimate_text(root, options.preset), "TIME")
        else:
            draw_text(layout, context, "Splats are learned from footage: import a movie or photos", "INFO")
        row = layout.row()
        trained = splatting.is_trained(root)
        row.scale_y = 1.2 if trained else 1.5
        going_on = unfinished and options.resume and not anew
        text = "Go On Training" if going_on else "Train Again" if trained else "Train"
        button = row.operator(Op.TRAIN_SPLATS, text=text, icon="OUTLINER_OB_POINTCLOUD")
        button.preset, button.resume = options.preset, options.resume


CLASSES = (SplatPanel,)
