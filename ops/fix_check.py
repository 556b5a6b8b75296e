# SPDX-License-Identifier: GPL-3.0-or-later
"""The Fix button of a failed check."""

from __future__ import annotations

import bpy
from bpy.props import StringProperty

from ..addon import checks, session
from ..addon.kinds import Context
from ..core.errors import CaptureError, SettingsError
from .base import Action
from .ids import Op
from .polls import NeedsDouble


class FixCheck(NeedsDouble, Action, bpy.types.Operator):
    """Set right what this check found"""

    bl_idname = Op.FIX_CHECK
    bl_label = "Fix"
    bl_options = {"REGISTER", "UNDO"}

    key: StringProperty(name="Check", description="Which check is to be set right", options={"SKIP_SAVE"})

    @classmethod
    def description(cls, context: Context, properties: bpy.types.OperatorProperties) -> str:
        """What this very button does."""
        return checks.CURES.get(properties.key, cls.__doc__ or "")

    def run(self, context: Context) -> str:
        """Do what the check says."""
        root = session.require_root(context)
        if self.key == "RATE":
            session.play(context, root)
        elif self.key == "SOUND":
            if not session.add_sound(context, root):
                raise CaptureError(
                    "The capture's movie has no sound that Blender can read.", "Add another sound."
                )
        elif self.key == "PARTS":
            session.rebuild(context, root)
        elif self.key in {"HEAD", "SILENT", "LOG"}:
            checks.dismiss(root, self.key)
        else:
            raise SettingsError(
                f"There is no check {self.key!r}.", f"Choose one of {', '.join(checks.CURES)}."
            )
        return ""


CLASSES = (FixCheck,)
