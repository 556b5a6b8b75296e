# SPDX-License-Identifier: GPL-3.0-or-later
"""`Double`: the Blender objects of one person, found again by the tags that they carry."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import bpy

ID_KEY = "likeness_id"
ROLE_KEY = "likeness_role"

ROLES = ("root", "armature", "body", "focus", "camera")
"""Objects that every double has; hair, clothes and others come under their own roles."""
VENDOR_ROOT = "leap_root"
"""Role of the root of a person who came finished from Leap: no avatar of ours stands behind it."""


@dataclass(frozen=True)
class Double:
    """References to one person's objects.

    Short-lived: undo and loading invalidate them; `find_doubles` gives new ones.
    """

    id: str
    """Of the avatar; the same avatar built again updates the same double."""
    name: str
    collection: bpy.types.Collection
    root: bpy.types.Object
    """Empty on the floor: moving it moves the person, the camera and, for the first person, the lights."""
    armature: bpy.types.Object
    body: bpy.types.Object
    focus: bpy.types.Object | None = None
    """Empty between the eyes, on the head bone: what the camera focuses on."""
    camera: bpy.types.Object | None = None

    @property
    def shape_keys(self) -> bpy.types.Key:
        """The body's shape keys."""
        mesh: Any = self.body.data
        return mesh.shape_keys

    @property
    def objects(self) -> list[bpy.types.Object]:
        """Everything that belongs to the person, hair and clothes included."""
        return [obj for obj in self.collection.all_objects if obj.get(ID_KEY) == self.id]

    @property
    def visible_objects(self) -> list[bpy.types.Object]:
        """Those that can wear materials."""
        return [obj for obj in self.objects if obj.type in {"MESH", "CURVES"}]

    def part(self, role: str) -> bpy.types.Object | None:
        """The object with this role, None when there is none."""
        return next((obj for obj in self.objects if obj.get(ROLE_KEY) == role), None)


def tag(datablock: Any, id: str, role: str) -> Any:
    """Mark a datablock as a part of a double; gives it back."""
    datablock[ID_KEY], datablock[ROLE_KEY] = id, role
    return datablock


def tagged(candidates: Iterable[Any], id: str, role: str) -> Any | None:
    """The first of the candidates that carries these tags, None when there is none."""
    return next((c for c in candidates if c.get(ID_KEY) == id and c.get(ROLE_KEY) == role), None)


def role_of(datablock: Any) -> str:
    """The role tag, "" for what is not ours."""
    return str(datablock.get(ROLE_KEY, ""))


def person_roots(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The roots of everybody who stands in a scene, ours and those who came finished."""
    return [obj for obj in scene.objects if role_of(obj) in ("root", VENDOR_ROOT)]


def find_doubles(scene: bpy.types.Scene) -> list[Double]:
    """Every complete double of a scene, by name. One whose body or armature was deleted is left out."""
    found = (find_double(scene, str(obj[ID_KEY])) for obj in scene.objects if role_of(obj) == "root")
    return sorted((double for double in found if double is not None), key=lambda double: double.name)


def find_double(scene: bpy.types.Scene, id: str) -> Double | None:
    """The double of one avatar in a scene, None when it is absent or incomplete."""
    parts = {role_of(obj): obj for obj in scene.objects if obj.get(ID_KEY) == id}
    if any(role not in parts for role in ("root", "armature", "body")):
        return None
    if getattr(parts["body"].data, "shape_keys", None) is None:
        return None
    collection = next((c for c in parts["root"].users_collection if c.get(ID_KEY) == id), None)
    if collection is None:
        return None
    name = str(parts["root"].get("likeness_name", collection.name))
    return Double(
        id=id,
        name=name,
        collection=collection,
        root=parts["root"],
        armature=parts["armature"],
        body=parts["body"],
        focus=parts.get("focus"),
        camera=parts.get("camera"),
    )
