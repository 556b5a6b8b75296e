# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives the body mesh its materials: made once per person (or once for all), found again on every rebuild."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import bpy
import numpy as np

from .attributes import write_surface_attributes
from .cloth import build_fabric, fabric_values
from .eye import build_cornea, build_eye, build_tear, eye_values
from .fibre import build_hair, build_lashes, hair_values, lash_values
from .look import Look
from .mouth import build_mouth_part
from .paint import Values, paint
from .pair import activate, material_mode, set_material_mode
from .skin import build_skin, skin_values
from .surface import polygon_parts

SLOTS = ("Skin", "Eye", "Cornea", "Tear", "Lashes", "Teeth", "Gums", "Tongue")
AVATAR = "likeness_avatar"
"""On a personal material: id of its avatar."""
PERSONAL = ("Skin", "Eye", "Lashes", "Hair", "Brows", "Top", "Bottom", "Shoes")
"""Materials each person has an own copy of; the others are shared by all."""
_PREFIXES = (
    ("eye", "Eye"),
    ("cornea", "Cornea"),
    ("tear", "Tear"),
    ("lash", "Lashes"),
    ("teeth", "Teeth"),
    ("gum", "Gums"),
    ("tongue", "Tongue"),
)


def assign_materials(
    obj: bpy.types.Object, model: Any, avatar: Any, mode: str = "EEVEE", look: Look | None = None
) -> list[bpy.types.Material]:
    """Write the shading attributes, materials and polygon slots of a body mesh built from `model`.

    Materials that are there already are kept as they are, with all an artist changed. `mode`: "EEVEE" or
    "CYCLES".
    """
    mesh: Any = obj.data
    look = look or Look.of(avatar)
    write_surface_attributes(mesh, model)
    parts = polygon_parts(mesh, model)
    wanted = np.array([SLOTS.index(slot_of(name)) for name in model.part_names], np.int32)[parts]
    used = [name for i, name in enumerate(SLOTS) if np.any(wanted == i)] or ["Skin"]
    kept = [slot_material(mesh, name) for name in used]
    materials = [found or material_for(name, avatar, look) for name, found in zip(used, kept, strict=True)]
    _fill_slots(mesh, materials)
    order = np.zeros(len(SLOTS), np.int32)
    order[[SLOTS.index(name) for name in used]] = np.arange(len(used))
    mesh.polygons.foreach_set("material_index", order[wanted])
    mesh.update()
    set_material_mode([obj], mode)
    return materials


def slot_of(part: str) -> str:
    """The slot of one of the head model's parts."""
    return next((slot for prefix, slot in _PREFIXES if part.startswith(prefix)), "Skin")


def slot_material(mesh: Any, slot: str) -> bpy.types.Material | None:
    """The material a mesh already carries for a slot, also under a name an artist gave it."""
    return next((m for m in mesh.materials if m is not None and m.get("likeness_role") == slot), None)


def _fill_slots(mesh: Any, materials: list[bpy.types.Material]) -> None:
    if list(mesh.materials) == materials:
        return
    mesh.materials.clear()
    for material in materials:
        mesh.materials.append(material)


def material_for(slot: str, avatar: Any, look: Look) -> bpy.types.Material:
    """The material of a slot, built when the file has none for this person."""
    name = f"Likeness {slot} {person_name(avatar)}" if slot in PERSONAL else f"Likeness {slot}"
    existing = _existing(slot, avatar)
    if existing is not None:
        return existing
    material: Any = bpy.data.materials.new(name)
    if material.node_tree is None:
        material.use_nodes = True
    material.node_tree.nodes.clear()
    _BUILDERS[slot](material)
    material["likeness_role"] = slot
    if slot in PERSONAL:
        material["likeness_id"] = person_name(avatar)
        material[AVATAR] = avatar_id(avatar)
        paint(material, values_of(slot, look))
    return material


def _existing(slot: str, avatar: Any) -> bpy.types.Material | None:
    """The file's material of this slot and person; files of before know persons by name alone."""
    mine = avatar_id(avatar)
    for material in bpy.data.materials:
        if material.get("likeness_role") != slot or material.library is not None:
            continue
        if slot not in PERSONAL:
            return material
        if material.get("likeness_id") == person_name(avatar) and material.get(AVATAR, mine) == mine:
            return material
    return None


def material_of(body: bpy.types.Object, slot: str, look: Look) -> bpy.types.Material:
    """The material of a slot for the person whose body mesh this is, in the set that the body wears."""
    skin = slot_material(body.data, "Skin")
    known: Any = skin if skin is not None else {}
    person = SimpleNamespace(name=str(known.get("likeness_id", "")), id=str(known.get(AVATAR, "")))
    material = material_for(slot, person, look)
    if skin is not None:
        activate(material, material_mode(skin) or "EEVEE")
    return material


def avatar_id(avatar: Any) -> str:
    """What tells persons of the same name apart; empty for one that is no avatar."""
    return str(getattr(avatar, "id", "") or "")


def person_name(avatar: Any) -> str:
    """What a person's materials are named after."""
    return str(getattr(avatar, "name", "") or "Person")


def values_of(slot: str, look: Look) -> Values:
    """What a look paints onto the material of a slot."""
    found = _VALUES.get(slot)
    return found(look) if found is not None else {}


_BUILDERS: dict[str, Callable[[bpy.types.Material], None]] = {
    "Skin": build_skin,
    "Eye": build_eye,
    "Cornea": build_cornea,
    "Tear": build_tear,
    "Lashes": build_lashes,
    "Teeth": lambda material: build_mouth_part(material, "Teeth"),
    "Gums": lambda material: build_mouth_part(material, "Gums"),
    "Tongue": lambda material: build_mouth_part(material, "Tongue"),
    "Hair": build_hair,
    "Brows": lambda material: build_hair(material, brows=True),
    "Top": build_fabric,
    "Bottom": lambda material: build_fabric(material, denim=True),
    "Shoes": build_fabric,
}
_VALUES: dict[str, Callable[[Look], Values]] = {
    "Skin": skin_values,
    "Eye": eye_values,
    "Lashes": lash_values,
    "Hair": hair_values,
    "Brows": lambda look: hair_values(look, brows=True),
    "Top": lambda look: fabric_values(look.top_colour),
    "Bottom": lambda look: fabric_values(look.bottom_colour),
    "Shoes": lambda _look: fabric_values((0.012, 0.012, 0.013)),
}
