# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a changed look onto a double: numbers are set on its materials, and only hair and clothes of another
cut are made anew, so that an artist's own work stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy

from ..core.avatar import Avatar
from ..core.head import HeadModel, Rest
from .person import token
from .scene import looks as scene_looks
from .scene import splat_object
from .scene.double import Double
from .scene.face_choice import wear_face
from .scene.materials import Look
from .scene.materials.assign import values_of
from .scene.materials.paint import note_painted, paint

_TOKEN_KEY = "likeness_look"


def note_look(double: Double, look: Look) -> None:
    """Remember that the double wears this look already, as after building it."""
    for material in _personal(double):
        note_painted(material, values_of(str(material["likeness_role"]), look))
    double.root[_TOKEN_KEY] = _geometry_token(look)


def change_look(double: Double, model: HeadModel, rest: Rest, avatar: Avatar, look: Look) -> None:
    """Repaint the materials and remake the hair and clothes that differ from the look worn now; hair takes
    a second.
    """
    for material in _personal(double):
        paint(material, values_of(str(material["likeness_role"]), look))
    if double.root.get(_TOKEN_KEY) != _geometry_token(look):
        scene_looks.apply_look(double, model, rest, avatar, look)
    else:
        scene_looks.set_material_mode(double, scene_looks.material_mode(double))
    wear_face(double, avatar, look)
    note_look(double, look)
    splat_object.refresh(double)


def _personal(double: Double) -> Iterator[bpy.types.Material]:
    """Materials of this person alone, each once."""
    seen: set[str] = set()
    for obj in double.visible_objects:
        data: Any = obj.data
        for material in data.materials:
            if material is None or material.name in seen or "likeness_id" not in material:
                continue
            seen.add(material.name)
            yield material


def _geometry_token(look: Look) -> str:
    return token(look.hair_style, look.top, look.bottom)
