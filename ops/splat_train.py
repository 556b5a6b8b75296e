# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the Gaussians of a double's head in its footage."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty

from ..addon import preferences, session, splatting
from ..addon.kinds import Context
from ..addon.property_splat import PRESET_ITEMS
from ..addon.runtime import SESSION
from .base import JobAction, Work
from .ids import Op
from .polls import NeedsDouble


class TrainSplats(NeedsDouble, JobAction, bpy.types.Operator):
    """Learn a head of Gaussian splats from the footage, with hair and the inside of the mouth"""

    bl_idname = Op.TRAIN_SPLATS
    bl_label = "Train Gaussian Head"
    # Without REGISTER: the redo panel would train anew at each change, and the window wait for it.
    bl_options = {"UNDO"}
    job_label = "Training"

    preset: EnumProperty(
        name="Preset",
        description="How long to train, and how many splats",
        items=PRESET_ITEMS,
        default="DEFAULT",
    )
    resume: BoolProperty(
        name="Go On",
        description="Go on where the last training of this avatar was stopped, if it had the same preset",
        default=True,
    )

    @classmethod
    def poll(cls, context: Context) -> bool:
        """There must be footage that the head was fitted to."""
        if not super().poll(context):
            return False
        root = session.active_root(context)
        if root is not None and splatting.filmed_performance(root) is not None:
            return True
        cls.poll_message_set("Splats are learned from footage: import a movie or photos")  # type: ignore[attr-defined]
        return False

    def start(self, context: Context) -> Work:
        """Let the worker train; what it lacks stays in the panel, with the way to mend it."""
        root = session.require_root(context)
        self._root, self._folder = root.session_uid, splatting.folder_of(root)
        SESSION.lacking.pop("splats", None)
        anew = splatting.why_anew(root, self.preset) if self.resume else ""
        if anew:
            self.report({"WARNING"}, f"{anew}.")
        try:
            return splatting.train_job(root, self.preset, self.resume and not anew)
        except preferences.EnvironmentMissing as error:
            SESSION.lacking["splats"] = error.message
            raise

    def stopped_hint(self) -> str:
        """Whether there is something to go on from."""
        # What is there may be of an earlier one with another preset.
        own = splatting.begun_with(self._folder)[0] in ("", self.preset)
        kept = own and splatting.has_checkpoint(self._folder)
        return "What was learned is kept: train to go on." if kept else JobAction.stopped_hint(self)

    def finish(self, context: Context, result: Any) -> str:
        """Put them on, unless the double was removed meanwhile."""
        root = next((obj for obj in session.roots() if obj.session_uid == self._root), None)
        if root is None:
            return "The splats were trained; their double is gone"
        head = splatting.add(context, root)
        return f"{head.name}: {splatting.sentence_of(head)}"


CLASSES = (TrainSplats,)
