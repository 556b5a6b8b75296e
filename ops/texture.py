# SPDX-License-Identifier: GPL-3.0-or-later
"""Take the face's textures from the footage again."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty

from ..addon import preferences, session
from ..addon.kinds import Context, Event, Result
from ..addon.tracking import PACKAGES
from ..addon.work import WorkerJob
from .base import JobAction, Work
from .ids import Op
from .polls import NeedsFootage


class MakeTextures(NeedsFootage, JobAction, bpy.types.Operator):
    """Take the face's textures from the footage again"""

    bl_idname = Op.MAKE_TEXTURES
    bl_label = "Take Textures from Footage"
    bl_options = {"REGISTER", "UNDO"}
    bl_description = (
        "Take the face's textures from the footage again, as after a refit or to make them larger. "
        "The avatar on disk keeps them"
    )
    job_label = "Texturing"

    size: EnumProperty(
        name="Size",
        description="Side of the still texture in pixels",
        items=(
            ("0", "As the Footage", "By how large the face is in the footage"),
            ("1024", "1024", ""),
            ("2048", "2048", ""),
            ("4096", "4096", ""),
        ),
    )
    use_track: BoolProperty(
        name="Face Track", description="Make a movie of the face as well, one picture per frame", default=True
    )

    def invoke(self, context: Context, event: Event) -> Result:
        """Ask how large."""
        return context.window_manager.invoke_props_dialog(self, width=300, confirm_text="Take")

    def start(self, context: Context) -> Work:
        """Let the worker write the textures into the avatar."""
        root = session.require_root(context)
        self._root_name = root.name
        arguments = ["texture", str(session.avatar_of(root).folder.absolute())]
        arguments += ["--texture-size", self.size, "--texture", "track" if self.use_track else "still"]
        arguments += [f"--performance={root.likeness.performance}"]
        return WorkerJob(arguments, preferences.job_python(PACKAGES), preferences.job_environ())

    def finish(self, context: Context, result: Any) -> str:
        """Put them on, unless the double was removed meanwhile."""
        root = bpy.data.objects.get(self._root_name)
        if root is None:
            return "The textures were made; their double is gone"
        session.renew(context, root, root.likeness.performance)
        return f"{len(result.get('textures', {}))} textures were taken from the footage"


CLASSES = (MakeTextures,)
