# SPDX-License-Identifier: GPL-3.0-or-later
"""Put trained splats onto a double, and take them off again."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import StringProperty

from ..addon import session, splatting
from ..addon.kinds import Context
from ..addon.runtime import SESSION
from ..addon.scene import splat_draw
from ..addon.scene.splat_object import remove_head
from .base import Action
from .ids import Op
from .polls import NeedsDouble


class AddSplats(NeedsDouble, Action, bpy.types.Operator):
    """Put the splats that were trained for this avatar onto the double, or read them again"""

    bl_idname = Op.ADD_SPLATS
    bl_label = "Add Gaussian Head"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(
        name="Splats",
        description="Another splats.npz; empty takes the avatar's own",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: Context) -> bool:
        """A double must be chosen that has splats, or it will say what is missing."""
        if not super().poll(context):
            return False
        root = session.active_root(context)
        if root is not None and root.likeness.folder:
            return True
        cls.poll_message_set("This double has no avatar on disk")  # type: ignore[attr-defined]
        return False

    def run(self, context: Context) -> str:
        """Load, then place."""
        root = session.require_root(context)
        path = Path(bpy.path.abspath(self.filepath)).absolute() if self.filepath else None
        head = splatting.add(context, root, path)
        if splat_draw.STATUS.trouble:
            splat_draw.retry()
        said = f"{head.name}: {splatting.sentence_of(head)}"
        if path is not None and splatting.is_foreign(head):
            self.report({"WARNING"}, f"{said}. Its own are back with Update")
            return ""
        return said


class RemoveSplats(Action, bpy.types.Operator):
    """Take the Gaussian head out of this file; the double has its own head back, the splats stay on disk"""

    bl_idname = Op.REMOVE_SPLATS
    bl_label = "Remove Gaussian Head"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Context) -> bool:
        """There must be one."""
        if SESSION.job.active:
            reason = f"{SESSION.job.label}: stop it or wait for it"
        elif splatting.head_of(context) is None:
            reason = "Train or add a Gaussian head first"
        else:
            return True
        cls.poll_message_set(reason)  # type: ignore[attr-defined]
        return False

    def run(self, context: Context) -> str:
        """Remove."""
        head = splatting.require_head(context)
        name = head.name
        remove_head(head)
        return f"{name} was removed"


CLASSES = (AddSplats, RemoveSplats)
