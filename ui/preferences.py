# SPDX-License-Identifier: GPL-3.0-or-later
"""The preferences as they are drawn."""

from __future__ import annotations

from typing import Any

import bpy

from ..addon.kinds import Context
from ..addon.preferences import BUNDLE, has_landmarks, models_folder
from ..addon.runtime import SESSION
from ..ops.ids import Op
from .common import draw_job, split_column


def draw(preferences: Any, context: Context) -> None:
    """Environment first, since it may need an act; then folders and placement."""
    layout = preferences.layout
    _draw_environment(layout, context, preferences)
    header, body = layout.panel("LIKENESS_prefs_folders")
    header.label(text="Folders")
    if body:
        column = split_column(body)
        column.prop(preferences, "avatars_folder")
    _draw_models(layout, context, preferences)
    header, body = layout.panel("LIKENESS_prefs_new")
    header.label(text="New Doubles")
    if body:
        column = split_column(body)
        column.prop(preferences, "gender")
        column.prop(preferences, "placement_location")
        column.prop(preferences, "placement_rotation")


def _draw_models(layout: Any, context: Context, preferences: Any) -> None:
    header, body = layout.panel("LIKENESS_prefs_models")
    header.label(text="Models")
    if not body:
        return
    split_column(body).prop(preferences, "model_folder")
    if has_landmarks(models_folder()):
        body.label(text=f"{BUNDLE} is there: tracking uses its landmarks and scores", icon="CHECKMARK")
        return
    column = body.column(align=True)
    column.scale_y = 0.85
    column.label(text=f"{BUNDLE} is not there: tracking uses the model", icon="INFO")
    column.label(text="that comes with the environment, which has no expression scores.", icon="BLANK1")
    _draw_online(body, context)
    body.operator(Op.GET_LANDMARK_MODEL, text="Get Landmark Model...", icon="IMPORT")


def _draw_online(layout: Any, context: Context) -> None:
    if bpy.app.online_access:
        return
    row = layout.row()
    row.label(text="Downloading needs online access", icon="INTERNET_OFFLINE")
    row.prop(context.preferences.system, "use_online_access", text="Allow Online Access")


def _draw_environment(layout: Any, context: Context, preferences: Any) -> None:
    box = layout.box()
    box.label(text="Worker Environment", icon="CONSOLE")
    column = box.column(align=True)
    column.scale_y = 0.85
    column.label(text="Heavy jobs run in a Python environment of their own, outside Blender.")
    column.label(text="Movies and photos need it, to track their faces, and so does Compress to Bones.")
    column.label(text="Captures with recorded weights need none: Blender's own Python reads them.")
    split_column(box).prop(preferences, "worker_python")
    if preferences.worker_report:
        box.label(text=preferences.worker_report, icon="INFO")
    elif not preferences.worker_python:
        box.label(text="None chosen: Blender's Python is used", icon="INFO")
    else:
        box.label(text="Not checked yet", icon="QUESTION")
    if SESSION.job.active:
        draw_job(box)
        return
    _draw_online(box, context)
    row = box.row(align=True)
    row.operator(Op.CREATE_ENVIRONMENT, text="Create...", icon="IMPORT")
    row.operator(Op.CHECK_ENVIRONMENT, icon="CHECKMARK")
