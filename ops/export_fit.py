# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a performance as CAP4D's `fit.npz`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bpy.props import StringProperty
from bpy_extras.io_utils import ExportHelper

from ..addon import preferences, session
from ..addon.kinds import Context, Event, Result
from ..addon.work import WorkerJob
from ..core.avatar import safe_file_name
from .base import JobAction, Work
from .ids import Op
from .polls import NeedsPerformance


class ExportFit(NeedsPerformance, JobAction, bpy.types.Operator, ExportHelper):
    """Write camera, head and FLAME parameters of the performance as fit.npz, which CAP4D reads"""

    bl_idname = Op.EXPORT_FIT
    bl_label = "Export CAP4D Fit"
    bl_options = {"REGISTER"}
    job_label = "Exporting"
    filename_ext = ".npz"

    filter_glob: StringProperty(default="*.npz", options={"HIDDEN"})

    @classmethod
    def poll(cls, context: Context) -> bool:
        """FLAME parameters must be there, or what they can be made of: a camera and a FLAME model."""
        if not super().poll(context):
            return False
        note = session.require_root(context).likeness
        fact = note.performances.get(note.performance)
        if fact is None:
            return False
        if fact.has_flame or (fact.has_camera and preferences.has_flame(preferences.models_folder())):
            return True
        if fact.has_camera:
            reason = (
                "FLAME's expressions need your own FLAME model, 2023 without a jaw, in the folder of models"
            )
        else:
            reason = "No camera was fitted to this performance: import a movie or photos"
        cls.poll_message_set(reason)
        return False

    def invoke(self, context: Context, event: Event) -> Result:
        """Suggest the performance's name."""
        root = session.active_root(context)
        if root is not None and not self.filepath:
            folder = Path(bpy.data.filepath).parent if bpy.data.filepath else Path.home()
            self.filepath = str(folder / f"{safe_file_name(root.likeness.performance)}_fit.npz")
        return ExportHelper.invoke(self, context, event)

    def start(self, context: Context) -> Work:
        """Let the worker write it."""
        root = session.require_root(context)
        self._path = Path(bpy.path.abspath(self.filepath)).absolute()
        arguments = ["export-fit", str(session.avatar_of(root).folder.absolute()), "-o", str(self._path)]
        arguments += [f"--performance={root.likeness.performance}"]
        return WorkerJob(arguments, preferences.job_python(), preferences.job_environ())

    def finish(self, context: Context, result: Any) -> str:
        """Say so."""
        return f"Wrote {self._path.name}"


CLASSES = (ExportFit,)
