# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetch the landmark model, on request only."""

from __future__ import annotations

from typing import Any

import bpy

from ..addon import preferences
from ..addon.kinds import Context, Event, Result
from ..addon.work import WorkerJob
from ..core.errors import WorkerError
from ..core.track.fetch import URL
from .base import JobAction, Work
from .ids import Op

SIZE = "3.8 MB"
OFFLINE = "Online access is off"


class GetLandmarkModel(JobAction, bpy.types.Operator):
    """Download MediaPipe's landmark model, which also gives expression scores; tracking is better with it"""

    bl_idname = Op.GET_LANDMARK_MODEL
    bl_label = "Get Landmark Model"
    bl_options = {"REGISTER"}
    job_label = "Getting the landmark model"

    @classmethod
    def poll(cls, context: Context) -> bool:
        """Online access must be allowed."""
        if not bpy.app.online_access:
            cls.poll_message_set(f"{OFFLINE}: allow it in Preferences > System > Network")
        return bpy.app.online_access

    def invoke(self, context: Context, event: Event) -> Result:
        """Say what comes from where, and ask."""
        return context.window_manager.invoke_props_dialog(self, width=520, confirm_text="Download")

    def draw(self, context: Context) -> None:
        """Size, address, place."""
        column = self.layout.column(align=True)
        column.label(text=f"{preferences.BUNDLE}, {SIZE}, Apache-2.0, is downloaded from", icon="URL")
        host, _, path = URL.rpartition("/face_landmarker/")
        column.label(text=f"{host}/", icon="BLANK1")
        column.label(text=f"face_landmarker/{path}", icon="BLANK1")
        self.layout.label(text=f"Into {preferences.models_folder()}", icon="FILE_FOLDER")

    def start(self, context: Context) -> Work:
        """Begin, if it is allowed."""
        if not bpy.app.online_access:
            raise WorkerError(f"{OFFLINE}.", "Allow it in Preferences > System > Network.")
        arguments = ["fetch-landmarker", "--folder", str(preferences.models_folder().absolute())]
        return WorkerJob(arguments, preferences.job_python(), preferences.job_environ())

    def finish(self, context: Context, result: Any) -> str:
        """Use it from now on."""
        preferences.look_again()
        return f"The landmark model is in {preferences.models_folder()}"


CLASSES = (GetLandmarkModel,)
