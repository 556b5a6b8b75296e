# SPDX-License-Identifier: GPL-3.0-or-later
"""What panels share: the tab, the running job, findings with their cure."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from ..addon import session
from ..addon.checks import Check
from ..addon.kinds import Context
from ..addon.runtime import SESSION
from ..ops.ids import Op

CATEGORY = "Likeness"


class LikenessPanel:
    """Mix-in: a panel of the Likeness tab."""

    if TYPE_CHECKING:
        layout: Any

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = CATEGORY


class DoublePanel(LikenessPanel):
    """Mix-in: a panel that shows only while a double is chosen."""

    @classmethod
    def poll(cls, context: Context) -> bool:
        """Whether a double is chosen."""
        return session.active_root(context) is not None


def split_column(layout: Any) -> Any:
    """A column with labels on the left, as in Blender's own panels."""
    layout.use_property_split = True
    layout.use_property_decorate = False
    return layout.column()


def width_in_characters(context: Context) -> int:
    """How much text fits into one line of this region."""
    region = context.region
    pixels = region.width if region is not None else 280
    scale = context.preferences.system.ui_scale or 1.0  # 0 without a window
    return max(20, int(pixels / (6.4 * scale)) - 4)


def draw_text(layout: Any, context: Context, text: str, icon: str = "NONE", reserve: int = 0) -> None:
    """A sentence over as many lines as the panel is narrow. `reserve`: characters kept free at its right."""
    column = layout.column(align=True)
    column.scale_y = 0.85
    room = width_in_characters(context) - reserve - (3 if icon != "NONE" else 0)
    for index, line in enumerate(wrap(text, max(12, room)) or [""]):
        if icon == "NONE":
            column.label(text=line)
        else:
            column.label(text=line, icon=icon if index == 0 else "BLANK1")


def draw_job(layout: Any) -> bool:
    """The running job with its Stop button in the place of Start; False while nothing runs."""
    job = SESSION.job
    if not job.active:
        return False
    column = layout.column(align=True)
    if job.icon:
        column.template_icon(icon_value=job.icon, scale=6.0)
    column.progress(factor=job.progress, text=f"{job.progress:.0%}  {job.text}", type="BAR")
    row = column.row(align=True)
    row.scale_y = 1.4
    row.alert = True
    row.operator(Op.STOP_JOB, text="Stop", icon="CANCEL")
    return True


def draw_checks(layout: Any, context: Context, checks: Iterable[Check]) -> None:
    """Each finding with its cure as a button: what is wrong in a box of its own, a note as one quiet row."""
    for check in checks:
        if check.serious:
            column = layout.box().column()
            text = column.column()
            text.alert = True
            draw_text(text, context, check.text, "ERROR")
            row = column.row()
            row.alignment = "RIGHT"
            if check.key == "ENVIRONMENT":
                row.operator(Op.SHOW_PREFERENCES, text=check.button, icon="PREFERENCES")
            else:
                row.operator(Op.FIX_CHECK, text=check.button, icon="CHECKMARK").key = check.key
            continue
        row = layout.row()
        draw_text(row.column(), context, check.text, "INFO", reserve=4)
        if check.key == "ENVIRONMENT":
            row.operator(Op.SHOW_PREFERENCES, text="", icon="PREFERENCES", emboss=False)
        else:
            if check.key == "SILENT":
                row.operator(Op.ADD_SOUND, text="", icon="SPEAKER", emboss=False)
            row.operator(Op.FIX_CHECK, text="", icon="X", emboss=False).key = check.key
