# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives the body mesh its materials: made once per person (or once for all), found again on every rebuild."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import bpy
import numpy as np

from .attributes import write_surface_attributes
from .cloth import build_fabric
from .eye import build_cornea, build_eye, build_tear
from .fibre import build_hair, build_lashes, hair_colour
from .look import Look
from .mouth import build_mouth_part
from .pair import activate, material_mode, set_material_mode
from .skin import build_skin
from .surface import polygon_parts

SLOTS = ("Skin", "Eye", "Cornea", "Tear", "Lashes", "Teeth", "Gums", "Tongue")
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
    """The named material of a slot, built when the file has none."""
    personal = slot in PERSONAL
    name = f"Likeness {slot} {person_name(avatar)}" if personal else f"Likeness {slot}"
    existing = bpy.data.materials.get(name)
    if existing is not None and existing.get("likeness_role") == slot:
        return existing
    material = bpy.data.materials.new(name)
    if material.node_tree is None:
        material.use_nodes = True
    material.node_tree.nodes.clear()
    _builders(look)[slot](material)
    material["likeness_role"] = slot
    if personal:
        material["likeness_id"] = person_name(avatar)
    return material


def material_of(body: bpy.types.Object, slot: str, look: Look) -> bpy.types.Material:
    """The material of a slot for the person whose body mesh this is, in the set that the body wears."""
    skin = slot_material(body.data, "Skin")
    person = str(skin.get("likeness_id", "")) if skin is not None else ""
    material = material_for(slot, SimpleNamespace(name=person), look)
    if skin is not None:
        activate(material, material_mode(skin) or "EEVEE")
    return material


def person_name(avatar: Any) -> str:
    """What a person's materials are named after."""
    return str(getattr(avatar, "name", "") or "Person")


def _builders(look: Look) -> dict[str, Callable[[bpy.types.Material], None]]:
    roots = hair_colour(look.hair_melanin, look.hair_redness)
    return {
        "Skin": lambda material: build_skin(material, look, roots),
        "Eye": lambda material: build_eye(material, look),
        "Cornea": build_cornea,
        "Tear": build_tear,
        "Lashes": lambda material: build_lashes(material, look),
        "Teeth": lambda material: build_mouth_part(material, "Teeth"),
        "Gums": lambda material: build_mouth_part(material, "Gums"),
        "Tongue": lambda material: build_mouth_part(material, "Tongue"),
        "Hair": lambda material: build_hair(material, look),
        "Brows": lambda material: build_hair(material, look, brows=True),
        "Top": lambda material: build_fabric(material, look.top_colour),
        "Bottom": lambda material: build_fabric(material, look.bottom_colour, denim=True),
        "Shoes": lambda material: build_fabric(material, (0.012, 0.012, 0.013)),
    }
