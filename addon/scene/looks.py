# SPDX-License-Identifier: GPL-3.0-or-later
"""What a double wears: materials, hair, clothes, and which of the two sets of materials."""

from __future__ import annotations

from ...core.avatar import Avatar
from ...core.head import HeadModel, Rest
from .clothes import dress
from .double import Double
from .hair import grow_hair
from .materials import Look, assign_materials
from .materials import set_material_mode as set_object_materials

_MATERIALS_KEY = "likeness_materials"


def set_material_mode(double: Double, mode: str) -> None:
    """Let the whole double wear the EEVEE or the CYCLES set of materials."""
    set_object_materials(double.visible_objects, mode)
    double.root[_MATERIALS_KEY] = mode


def material_mode(double: Double) -> str:
    """The set of materials that a double wears."""
    return str(double.root.get(_MATERIALS_KEY, "EEVEE"))


def apply_look(
    double: Double,
    model: HeadModel,
    rest: Rest,
    avatar: Avatar,
    look: Look | None = None,
    mode: str | None = None,
    hair: bool = True,
    clothes: bool = True,
) -> None:
    """Give the double materials, hair and clothes; what is there is brought up to date. Hair takes a second.

    `look`: by default what suits the avatar. `mode`: EEVEE or CYCLES, by default what the double wears.
    """
    look, mode = look or Look.of(avatar), mode or material_mode(double)
    assign_materials(double.body, model, avatar, mode, look)
    if hair:
        grow_hair(double.collection, double.body, double.armature, model, rest, look)
    if clothes:
        dress(double.collection, double.body, double.armature, model, rest, look)
    set_material_mode(double, mode)
