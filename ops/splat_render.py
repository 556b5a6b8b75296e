# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames in which Gaussian heads stand in the rendered scene."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bpy.props import BoolProperty, StringProperty

from ..addon.kinds import Context, Event, Result
from ..addon.scene.splat_frames import has_rendered_heads
from ..addon.scene.splat_instances import add_cards, remove_cards
from ..addon.scene.splat_object import follow_cards
from ..addon.splat_queue import SplatQueue, render_splat_frames
from ..addon.splatting import head_of
from ..core.errors import LikenessError
from .base import Action, JobAction, Work, is_interactive
from .ids import Op
from .render import NeedsCamera, output_folder


class RenderSplats(NeedsCamera, JobAction, bpy.types.Operator):
    """Render the frame range with the Gaussian heads in it as PNG pictures; finished frames are kept"""

    bl_idname = Op.RENDER_SPLATS
    bl_label = "Render Gaussian Heads"
    bl_options = {"REGISTER"}
    job_label = "Rendering"

    folder: StringProperty(
        name="Folder",
        description="Where the frames go; empty takes the output folder of the scene",
        subtype="DIR_PATH",
    )
    resume: BoolProperty(
        name="Skip Finished Frames", description="Keep frames that are there already", default=True
    )

    @classmethod
    def poll(cls, context: Context) -> bool:
        """Whether there is a head to render."""
        if not super().poll(context):
            return False
        if not has_rendered_heads(context.scene):
            cls.poll_message_set("No Gaussian head is shown: train one, or let it show its splats")
            return False
        return True

    def invoke(self, context: Context, event: Event) -> Result:
        """The panel's settings, then modal."""
        if not self.properties.is_property_set("resume"):
            self.resume = context.scene.likeness.resume
        return self.execute(context)

    def _folder(self, context: Context) -> Path:
        return Path(bpy.path.abspath(self.folder)) if self.folder else output_folder(context) / "frames"

    def execute(self, context: Context) -> Result:
        """In scripts frame after frame here; for people as Blender's own render jobs."""
        if is_interactive(self):
            return JobAction.execute(self, context)
        try:
            done = render_splat_frames(context.scene, self._folder(context), resume=self.resume)
        except LikenessError as error:
            return self._failed(error)
        for note in done.notes:
            self.report({"WARNING"}, note)
        self.report(
            {"INFO"}, f"{done.rendered} frames rendered, {done.skipped} were finished, {done.seconds:.1f} s"
        )
        return {"FINISHED"}

    def start(self, context: Context) -> Work:
        """Begin the queue."""
        return SplatQueue(context.scene, self._folder(context), self.resume, interactive=True)

    def finish(self, context: Context, result: Any) -> str:
        """Say what was done."""
        return str(result)


class SplatInstances(Action, bpy.types.Operator):
    """Make a card of each splat, for other render engines and for Blender's own Render Image"""

    bl_idname = Op.SPLAT_INSTANCES
    bl_label = "Make Splat Cards"
    bl_options = {"REGISTER", "UNDO"}

    remove: BoolProperty(name="Remove", description="Take the cards away instead", default=False)

    @classmethod
    def poll(cls, context: Context) -> bool:
        """Whether there is a head."""
        if head_of(context) is None:
            cls.poll_message_set("There is no Gaussian head: train one")
            return False
        return True

    def run(self, context: Context) -> str:
        """Make, renew or remove them."""
        head = head_of(context)
        if self.remove:
            had = remove_cards(head)
            follow_cards(head)
            return "Removed the splat cards" if had else "There were no splat cards"
        cards = add_cards(context.scene, head)
        follow_cards(head)
        if context.scene.view_settings.view_transform != "Standard":
            self.report({"WARNING"}, "The view transform changes the colours of cards; Standard keeps them")
        return f"{cards.name}: {len(cards.data.polygons)} cards that face the scene's camera"


CLASSES = (RenderSplats, SplatInstances)
