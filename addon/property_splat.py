# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person sets of a Gaussian head, and how the next one is trained."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, PointerProperty, StringProperty

from ..core.splat.presets import PRESETS
from .kinds import Context, Group
from .scene import splat_instances, splat_object, splat_state

_RELATIVE: Any = {"PATH_SUPPORTS_BLEND_RELATIVE"}


def _show_changed(group: Group, _context: Context) -> None:
    """The double's own head comes or goes."""
    if splat_state.is_head(group.id_data):
        splat_object.apply_show(group.id_data)


def _other_shown(group: Group, context: Context) -> None:
    """The same for renders, in which cards would stand beside the mesh."""
    cards = splat_instances.cards_of(group.id_data) if splat_state.is_head(group.id_data) else None
    if cards is not None:
        cards.hide_render = not splat_object.shows_splats(group.id_data)
    _show_changed(group, context)


PRESET_ITEMS = tuple(
    (
        name.upper(),
        name.title(),
        f"{preset.iterations:,} steps, up to {preset.gaussians:,} splats, pictures of {preset.resolution} px",
    )
    for name, preset in PRESETS.items()
)
"""Enum items of the presets of training."""


class LikenessSplat(bpy.types.PropertyGroup):
    """On the object of a Gaussian head."""

    path: StringProperty(
        name="Splats",
        description="The splats.npz of the avatar",
        subtype="FILE_PATH",
        options=_RELATIVE,
        update=_show_changed,
    )
    body: PointerProperty(
        name="Body", description="The double's body that the splats ride on", type=bpy.types.Object
    )
    show: EnumProperty(
        name="Show",
        description="Which head of the double is seen. Splats are in the viewport and in the frames that "
        "Likeness renders; Blender's own Render Image has the mesh, or cards of the splats",
        items=(
            ("SPLATS", "Splats", "The splats, in place of the mesh's head and hair", 0),
            ("MESH", "Mesh", "The mesh's own head and hair, without splats", 1),
            ("BOTH", "Both", "The splats together with the mesh, to compare them", 2),
        ),
        default="SPLATS",
        update=_other_shown,
    )
    use_viewport: BoolProperty(
        name="In Viewport",
        description="Draw the splats in the viewport. Off: the viewport shows the mesh, renders the splats",
        default=True,
        update=_show_changed,
    )
    quality: FloatProperty(
        name="Quality",
        description="Share of the splats that is shown; these grow to cover for the others. Less is faster",
        subtype="FACTOR",
        min=0.01,
        max=1.0,
        default=1.0,
    )
    size: FloatProperty(
        name="Size",
        description="How large each splat is drawn: more closes gaps where few are shown",
        min=0.01,
        soft_min=0.1,
        max=10.0,
        soft_max=2.0,
        default=1.0,
    )


class LikenessSplatTraining(bpy.types.PropertyGroup):
    """On the scene: what the panel's button asks for."""

    preset: EnumProperty(
        name="Preset",
        description="How long to train, and how many splats",
        items=PRESET_ITEMS,
        default="DEFAULT",
    )
    resume: BoolProperty(
        name="Go On",
        description="Go on from where the last training of this avatar was stopped",
        default=True,
    )


CLASSES = (LikenessSplat, LikenessSplatTraining)
