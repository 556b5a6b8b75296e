# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a changed look onto a double: only what the change concerns is made anew, so an artist's other work
stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy

from ..core.avatar import Avatar
from ..core.head import HeadModel, Rest
from .person import token
from .scene import looks as scene_looks
from .scene.double import Double
from .scene.materials import Look, material_for

_TOKEN_KEY = "likeness_look"
_SLOT_FIELDS: dict[str, tuple[str, ...]] = {
    "Skin": (
        "melanin", "redness", "freckles", "age", "lip_colour", "lip_amount", "stubble", "hair_melanin",
        "hair_redness",
    ),
    "Eye": ("eye_colour",),
    "Lashes": ("hair_melanin", "hair_redness"),
    "Hair": ("hair_melanin", "hair_redness"),
    "Top": ("top_colour",),
    "Bottom": ("bottom_colour",),
}  # fmt: skip
"""What each personal material is painted from."""


def note_look(double: Double, look: Look) -> None:
    """Remember that the double wears this look already, as after building it."""
    for material in _personal(double):
        material[_TOKEN_KEY] = _slot_token(str(material["likeness_role"]), look)
    double.root[_TOKEN_KEY] = _geometry_token(look)


def change_look(double: Double, model: HeadModel, rest: Rest, avatar: Avatar, look: Look) -> None:
    """Repaint the materials and remake the hair and clothes that differ from the look worn now; hair takes
    a second.
    """
    for material in list(_personal(double)):
        slot = str(material["likeness_role"])
        if material.get(_TOKEN_KEY) != _slot_token(slot, look):
            _repaint(material, slot, look)[_TOKEN_KEY] = _slot_token(slot, look)
    if double.root.get(_TOKEN_KEY) != _geometry_token(look):
        scene_looks.apply_look(double, model, rest, avatar, look)
    else:
        scene_looks.set_material_mode(double, scene_looks.material_mode(double))
    note_look(double, look)


def _personal(double: Double) -> Iterator[bpy.types.Material]:
    """Materials of this person alone, each once."""
    seen: set[str] = set()
    for obj in double.visible_objects:
        data: Any = obj.data
        for material in data.materials:
            if material is None or material.name in seen or "likeness_id" not in material:
                continue
            seen.add(material.name)
            if material.get("likeness_role") in _SLOT_FIELDS:
                yield material


def _repaint(material: bpy.types.Material, slot: str, look: Look) -> bpy.types.Material:
    """Put a freshly made material in the place of this one, under its name."""
    kept, person = material.name, str(material["likeness_id"])
    material.name = f"{kept} (before)"
    fresh = material_for(slot, _Person(person), look)
    material.user_remap(fresh)
    bpy.data.materials.remove(material)
    fresh.name = kept
    return fresh


class _Person:
    """What `material_for` asks of an avatar: the name that materials carry."""

    def __init__(self, name: str) -> None:
        self.name = name


def _slot_token(slot: str, look: Look) -> str:
    values = [getattr(look, name, None) for name in _SLOT_FIELDS.get(slot, ())]
    return token([_rounded(value) for value in values])


def _rounded(value: Any) -> Any:
    """Sliders hold single precision, so the last digits say nothing."""
    if isinstance(value, tuple):
        return [_rounded(part) for part in value]
    return round(value, 4) if isinstance(value, float) else value


def _geometry_token(look: Look) -> str:
    return token(look.hair_style, look.top, look.bottom)
