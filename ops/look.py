# SPDX-License-Identifier: GPL-3.0-or-later
"""Set the look from scripts and F9; the panel's properties do the same as they change."""

from __future__ import annotations

import bpy
from bpy.props import EnumProperty

from ..addon import session
from ..addon.kinds import Context
from ..addon.property_person import FACE_ITEMS
from .base import Action
from .ids import Op
from .polls import NeedsDouble


def _lighting_items(_operator: object, _context: Context | None) -> tuple[tuple[str, str, str], ...]:
    return session.lighting_items()


class SetMaterials(NeedsDouble, Action, bpy.types.Operator):
    """Let the whole double wear the materials for EEVEE or those for ray tracing"""

    bl_idname = Op.SET_MATERIALS
    bl_label = "Set Materials"
    bl_options = {"REGISTER", "UNDO"}

    mode: EnumProperty(
        name="Materials",
        description="Which set of materials the double wears",
        items=(
            ("EEVEE", "EEVEE", "Fast materials for EEVEE and the viewport", 0),
            ("CYCLES", "Ray Traced", "Full subsurface skin and refracting corneas for Cycles", 1),
        ),
    )

    def run(self, context: Context) -> str:
        """Switch."""
        session.set_materials(context, session.require_root(context), self.mode)
        return ""


class SetFace(NeedsDouble, Action, bpy.types.Operator):
    """Choose where the colour of the face comes from"""

    bl_idname = Op.SET_FACE
    bl_label = "Set Face"
    bl_options = {"REGISTER", "UNDO"}

    face: EnumProperty(name="Face", description="Where the colour of the face comes from", items=FACE_ITEMS)

    def run(self, context: Context) -> str:
        """Show it, or say what there is instead."""
        return session.set_face(context, session.require_root(context), self.face)


class ShowInvented(NeedsDouble, Action, bpy.types.Operator):
    """Paint in blue what the footage never showed and the texture had to invent, or stop that"""

    bl_idname = Op.SHOW_INVENTED
    bl_label = "Show Invented Skin"
    bl_options = {"REGISTER", "UNDO"}

    def run(self, context: Context) -> str:
        """Switch."""
        root = session.require_root(context)
        session.show_invented(root, not session.shows_invented(root))
        return ""


class SetLighting(Action, bpy.types.Operator):
    """Light the scene with one of the lighting sets; your own lights stay"""

    bl_idname = Op.SET_LIGHTING
    bl_label = "Set Lighting"
    bl_options = {"REGISTER", "UNDO"}

    lighting: EnumProperty(
        name="Lighting", description="Set of lights around the doubles", items=_lighting_items
    )

    def run(self, context: Context) -> str:
        """Switch."""
        session.set_lighting(context, self.lighting)
        return ""


class ResetLook(NeedsDouble, Action, bpy.types.Operator):
    """Set skin, eyes, hair and clothes back to what suits the person"""

    bl_idname = Op.RESET_LOOK
    bl_label = "Reset Look"
    bl_options = {"REGISTER", "UNDO"}

    def run(self, context: Context) -> str:
        """Refill the properties, then apply once."""
        session.reset_look(context, session.require_root(context))
        return ""


CLASSES = (SetMaterials, SetFace, ShowInvented, SetLighting, ResetLook)
