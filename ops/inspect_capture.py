# SPDX-License-Identifier: GPL-3.0-or-later
"""Show what is in a capture and how good it is."""

from __future__ import annotations

from pathlib import Path
from textwrap import wrap

import bpy
from bpy.props import StringProperty

from ..addon import session
from ..addon.kinds import Context, Event, Result
from ..core.capture import inspect, open_capture
from ..core.errors import LikenessError, SettingsError
from .base import Action
from .ids import Op

LINE = 90
"""Characters that fit into a line of the pop-up."""


class InspectCapture(Action, bpy.types.Operator):
    """Show what is in the capture, what is missing and how good the recording is"""

    bl_idname = Op.INSPECT_CAPTURE
    bl_label = "Quality Report"
    bl_options = {"REGISTER"}

    filepath: StringProperty(
        name="Capture",
        description="The capture to look at; empty takes that of the chosen double",
        subtype="FILE_PATH",
    )

    @classmethod
    def poll(cls, context: Context) -> bool:
        """There must be a double whose capture can be looked at."""
        root = session.active_root(context)
        if root is None:
            cls.poll_message_set("Import a capture first")
        return root is not None

    def invoke(self, context: Context, event: Event) -> Result:
        """Read, then show the lines in a pop-up."""
        try:
            self._lines = self._read(context)
        except LikenessError as error:
            return self._failed(error)
        return context.window_manager.invoke_popup(self, width=600)

    def draw(self, context: Context) -> None:
        """The lines as they were read."""
        column = self.layout.column(align=True)
        column.label(text="Quality Report", icon="VIEWZOOM")
        column.separator()
        for line in self._lines:
            for part in wrap(line, LINE, subsequent_indent="      ", drop_whitespace=False) or [""]:
                column.label(text=part)

    def _read(self, context: Context) -> list[str]:
        path = self.filepath or session.require_root(context).likeness.source
        if not path:
            raise SettingsError(
                "It is not known which capture this double came from.", "Import the capture again."
            )
        lines = list(inspect(open_capture(Path(bpy.path.abspath(path)))).lines())
        root = session.active_root(context)
        tracked = root.likeness.tracking.splitlines() if root is not None and not self.filepath else []
        return [*lines, *(["Tracking"] if tracked else []), *(f"  {line}" for line in tracked)]

    def run(self, context: Context) -> str:
        """In scripts: the lines become the report."""
        return "\n".join(self._read(context))


CLASSES = (InspectCapture,)
