# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of the view on the footage: what the user sets, and what was there before."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, PointerProperty, StringProperty

from . import session
from .kinds import Context, Group


def _appearance_changed(group: Group, _context: Context) -> None:
    session.dress_footage(group.id_data)


class LikenessFootage(bpy.types.PropertyGroup):
    """On the scene: the double that is shown on its footage, how, and what comes back afterwards."""

    shown: PointerProperty(
        name="Shown", description="Root of the double that is shown on its footage", type=bpy.types.Object
    )
    alpha: FloatProperty(
        name="Footage",
        description="How much of the footage covers the double, from none, 0, to all, 1",
        min=0.0,
        max=1.0,
        default=0.5,
        subtype="FACTOR",
        update=_appearance_changed,
    )
    style: EnumProperty(
        name="Compare",
        description="How double and footage are laid over each other",
        items=(
            ("BLEND", "Blend", "The footage lies half transparent over the double", "IMAGE_ALPHA", 0),
            ("WIRE", "Wire", "The body is drawn as wire over the footage", "SHADING_WIRE", 1),
        ),
        update=_appearance_changed,
    )
    camera: PointerProperty(
        name="Camera", description="The scene's camera before", type=bpy.types.Object, options={"HIDDEN"}
    )
    width: IntProperty(name="Width", description="Width of the picture before", options={"HIDDEN"})
    height: IntProperty(name="Height", description="Height of the picture before", options={"HIDDEN"})
    aspect_x: FloatProperty(name="Aspect X", description="Pixel aspect before", options={"HIDDEN"})
    aspect_y: FloatProperty(name="Aspect Y", description="Pixel aspect before", options={"HIDDEN"})
    view: StringProperty(name="View", description="Perspective of the 3D view before", options={"HIDDEN"})
    overlays: BoolProperty(
        name="Overlays", description="Whether the 3D view showed overlays before", options={"HIDDEN"}
    )


CLASSES = (LikenessFootage,)
