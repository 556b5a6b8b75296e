# SPDX-License-Identifier: GPL-3.0-or-later
"""Make and check the worker's environment, each on request only."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import bpy
from bpy.props import StringProperty

from ..addon import environment, preferences
from ..addon.kinds import Context, Event, Result
from ..addon.runtime import SESSION
from ..core.errors import WorkerError
from .base import Action, JobAction, Work
from .ids import Op


class CreateEnvironment(JobAction, bpy.types.Operator):
    """Download the worker's packages into an environment of their own; nothing is installed into Blender"""

    bl_idname = Op.CREATE_ENVIRONMENT
    bl_label = "Create Environment"
    bl_options = {"REGISTER"}
    job_label = "Creating the environment"

    directory: StringProperty(
        name="Folder",
        description="Where the environment is made; empty keeps it beside the extension's other data",
        subtype="DIR_PATH",
    )

    @classmethod
    def poll(cls, context: Context) -> bool:
        """Online access must be allowed."""
        if not bpy.app.online_access:
            cls.poll_message_set("Online access is off: allow it in Preferences > System > Network")
        return bpy.app.online_access

    def invoke(self, context: Context, event: Event) -> Result:
        """Show what will be downloaded, and ask."""
        return context.window_manager.invoke_props_dialog(self, width=420, confirm_text="Download")

    def draw(self, context: Context) -> None:
        """The pinned list."""
        column = self.layout.column(align=True)
        column.label(text="These packages are downloaded from the Python package index:", icon="URL")
        for pin in environment.pins_for((sys.version_info[0], sys.version_info[1])):
            column.label(text=pin.replace("==", " "), icon="DOT")
        self.layout.label(text=f"Into {self._folder()}", icon="FILE_FOLDER")
        self.layout.prop(self, "directory")

    def _folder(self) -> Path:
        return Path(bpy.path.abspath(self.directory)) if self.directory else preferences.environment_folder()

    def start(self, context: Context) -> Work:
        """Begin, if it is allowed."""
        if not bpy.app.online_access:
            raise WorkerError("Online access is off.", "Allow it in Preferences > System > Network.")
        return environment.Creation(self._folder())

    def finish(self, context: Context, result: Any) -> str:
        """Use it from now on."""
        chosen = preferences.get(context)
        chosen.worker_python, chosen.worker_report = str(result.python), result.sentence()
        SESSION.lacking.clear()
        return result.sentence()


class CheckEnvironment(Action, bpy.types.Operator):
    """Ask the chosen environment for its Python and packages"""

    bl_idname = Op.CHECK_ENVIRONMENT
    bl_label = "Check"
    bl_options = {"REGISTER"}

    def run(self, context: Context) -> str:
        """Ask, and keep the answer for the preferences to show."""
        chosen = preferences.get(context)
        python = preferences.worker_python()
        try:
            report = environment.check(python or Path(sys.executable))
        except WorkerError as error:
            chosen.worker_report = error.message
            raise
        chosen.worker_report = report.sentence()
        preferences.look_again()
        SESSION.lacking.clear()
        if python is not None and report.missing:
            raise WorkerError(f"The environment has no {', '.join(report.missing)}.", "Create one anew.")
        return report.sentence()


class ShowPreferences(Action, bpy.types.Operator):
    """Open the preferences of Likeness"""

    bl_idname = Op.SHOW_PREFERENCES
    bl_label = "Likeness Preferences"
    bl_options = {"INTERNAL"}

    def run(self, context: Context) -> str:
        """Show them."""
        bpy.ops.preferences.addon_show(module=preferences.ADDON_ID)
        return ""


CLASSES = (CreateEnvironment, CheckEnvironment, ShowPreferences)
