# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop the running job."""

from __future__ import annotations

import bpy

from ..addon.kinds import Context, Result
from ..addon.runtime import SESSION
from .ids import Op


class StopJob(bpy.types.Operator):
    """Stop the running job and leave the scene as it was"""

    bl_idname = Op.STOP_JOB
    bl_label = "Stop"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: Context) -> bool:
        """Only while something runs."""
        if not SESSION.job.active:
            cls.poll_message_set("Nothing is running")
        return SESSION.job.active

    def execute(self, context: Context) -> Result:
        """Ask; the operator that owns the job obeys at its next tick."""
        SESSION.job.stop_requested = True
        return {"FINISHED"}


CLASSES = (StopJob,)
