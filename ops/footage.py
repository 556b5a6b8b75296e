# SPDX-License-Identifier: GPL-3.0-or-later
"""Lay the footage over the double, to judge how well it fits."""

from __future__ import annotations

import bpy

from ..addon import session
from ..addon.kinds import Context, Root
from ..addon.runtime import SESSION
from .base import Action
from .ids import Op
from .polls import NeedsPerformance


def _reason(root: Root | None) -> str:
    """Why there is nothing to look through."""
    fitted = [fact.name for fact in root.likeness.performances if fact.has_camera] if root is not None else []
    if fitted:
        return f"No camera was fitted to this performance: choose {fitted[-1]}"
    return "No camera was fitted to this performance: import a movie or photos"


class ShowOnFootage(NeedsPerformance, Action, bpy.types.Operator):
    """Look through the camera that was fitted to the footage, with the footage over the double, or go back"""

    bl_idname = Op.SHOW_ON_FOOTAGE
    bl_label = "Show on Footage"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Context) -> bool:
        """A camera must have been fitted, unless it is shown already."""
        root = session.active_root(context)
        if root is not None and not SESSION.job.active and session.is_footage_shown(context.scene, root):
            return True
        if not super().poll(context):
            return False
        if root is None or not session.can_show_footage(root):
            cls.poll_message_set(_reason(root))
            return False
        return True

    def run(self, context: Context) -> str:
        """Toggle."""
        root = session.require_root(context)
        if session.is_footage_shown(context.scene, root):
            session.hide_footage(context)
        else:
            session.show_footage(context, root)
        return ""


CLASSES = (ShowOnFootage,)
