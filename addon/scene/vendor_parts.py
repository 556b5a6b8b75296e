# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell the parts of an imported Leap or MetaPerson model apart, and give them names and tags.

Blender's importer names an animated, skinned part after its mesh and leaves an empty of its name behind, so
parts are known by their materials first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import bpy

from ...core.capture.results import HEAD, has_eye_name
from ...core.errors import CaptureError
from .double import tag

_PART_KEY = "leap_part_name"
PART, ARMATURE, HEAD_ROLE = "leap_part", "leap_armature", "leap_head"


@dataclass(frozen=True)
class Parts:
    """The objects of one model."""

    armature: Any
    head: Any
    meshes: tuple[Any, ...]
    """The head among them."""
    leftovers: tuple[Any, ...]
    """Empties that stand for nothing."""

    @property
    def eyes(self) -> tuple[Any, ...]:
        """Eyes that are meshes of their own; empty where they are painted."""
        return tuple(mesh for mesh in self.meshes if has_eye_name(part_name(mesh)))

    @property
    def objects(self) -> tuple[Any, ...]:
        """All that stay."""
        return (self.armature, *self.meshes)


def plain(name: str) -> str:
    """A name without the number by which Blender keeps it unique."""
    return re.sub(r"\.\d{3,}$", "", name)


def part_name(mesh: Any) -> str:
    """What a mesh is: the name of its first material, else its own, as it came."""
    if _PART_KEY in mesh:
        return str(mesh[_PART_KEY])
    first = next((slot.material for slot in mesh.material_slots if slot.material is not None), None)
    return plain(first.name if first is not None else mesh.name)


def sort_parts(created: Iterable[Any]) -> Parts:
    """The parts among new datablocks; CaptureError when there is no head or no skeleton."""
    objects = [block for block in created if isinstance(block, bpy.types.Object)]
    meshes = [obj for obj in objects if obj.type == "MESH"]
    heads = [mesh for mesh in meshes if HEAD in _names(mesh)]
    if not heads:
        raise CaptureError(f"The model has no part named {HEAD}.", "Choose the model that Leap exported.")
    head = max(heads, key=lambda mesh: (_shape_count(mesh), len(mesh.data.vertices)))
    armature = head.find_armature() or next((obj for obj in objects if obj.type == "ARMATURE"), None)
    if armature is None:
        raise CaptureError("The model has no skeleton.", "Choose the model that Leap exported.")
    leftovers = [obj for obj in objects if obj.type == "EMPTY" and not obj.children]
    return Parts(armature, head, tuple(meshes), tuple(leftovers))


def _names(mesh: Any) -> set[str]:
    used = {plain(slot.material.name) for slot in mesh.material_slots if slot.material is not None}
    return used | {plain(mesh.name)}


def _shape_count(mesh: Any) -> int:
    keys = mesh.data.shape_keys
    return len(keys.key_blocks) if keys is not None else 0


def adopt(parts: Parts, collection: bpy.types.Collection, root: Any, id: str, title: str) -> None:
    """Put the parts into the collection under the root, with our tags and with names of their own."""
    names = {obj: part_name(obj) for obj in parts.objects}  # before materials are renamed
    for obj in parts.objects:
        name, role = f"{title} {names[obj]}", PART
        if obj == parts.armature:
            name, role = f"{title} Rig", ARMATURE
        elif obj == parts.head:
            role = HEAD_ROLE
        tag(obj, id, role)[_PART_KEY] = names[obj]
        obj.name = obj.data.name = name
        for slot in obj.material_slots:
            if slot.material is not None and not slot.material.name.startswith(title):
                slot.material.name = f"{title} {plain(slot.material.name)}"
        for holder in list(obj.users_collection):
            holder.objects.unlink(obj)
        collection.objects.link(obj)
        if obj.parent is None:
            obj.parent = root
    for obj in parts.leftovers:
        bpy.data.objects.remove(obj)
