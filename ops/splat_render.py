# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames in which Gaussian heads stand in the rendered scene."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty

from ..addon.kinds import Context
from ..addon.scene.splat_frames import has_rendered_heads
from ..addon.scene.splat_instances import add_cards, remove_cards
from ..addon.scene.splat_object import follow_cards
from ..addon.splatting import head_of
from .base import Action
from .ids import Op
from .render import FramesAction


class RenderSplats(FramesAction, bpy.types.Operator):
    """Render the frame range with the Gaussian heads in it as PNG pictures; finished frames are kept"""

    bl_idname = Op.RENDER_SPLATS
    bl_label = "Render Gaussian Heads"

    @classmethod
    def poll(cls, context: Context) -> bool:
        """Whether there is a head to render."""
        if not super().poll(context):
            return False
        if not has_rendered_heads(context.scene):
            cls.poll_message_set("No Gaussian head is shown: train one, or let it show its splats")
            return False
        return True


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
