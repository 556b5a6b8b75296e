# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes with a face: clothes, eyes and teeth on the same armature, hair on its skin. Copies of them go
with its compressed copy, or it would stand there bald, with holes where clothes were.
"""

from __future__ import annotations

from typing import Any

import bpy

from .compressed_rig import link_beside
from .compressed_state import RIG_SOURCE, armature_modifier, compressed_objects, is_compressed, source_of
from .double import ID_KEY, ROLE_KEY
from .splat_hiding import release
from .splat_state import is_head

_COMPANION = "likeness_skin_companion"
"""Of an object: the armature that it came with."""


def copy_companions(
    scene: bpy.types.Scene, source: bpy.types.Object, copy: bpy.types.Object, rig: bpy.types.Object
) -> list[bpy.types.Object]:
    """Copies of what belongs to the original, on the copy and its armature. Meshes share their data."""
    armature = next((m.object for m in source.modifiers if m.type == "ARMATURE" and m.object), None)
    found = [obj for obj in scene.objects if obj != source and _belongs(obj, source, armature)]
    return [_copy(obj, {source: copy, armature: rig}, rig) for obj in found]


def _belongs(obj: Any, source: Any, armature: Any) -> bool:
    if is_compressed(obj) or _COMPANION in obj or obj.type not in {"MESH", "CURVES"} or is_head(obj):
        return False
    if _has_shapes(obj):
        return False  # it is compressed by itself
    bound = any(m.type == "ARMATURE" and m.object == armature for m in obj.modifiers)
    carried = obj.parent is not None and obj.parent in (source, armature)
    return (armature is not None and bound) or carried or getattr(obj.data, "surface", None) == source


def _copy(obj: Any, instead: dict[Any, Any], rig: bpy.types.Object) -> bpy.types.Object:
    new: Any = obj.copy()
    new.name = f"{obj.name} Compressed"
    for key in (ID_KEY, ROLE_KEY):
        if key in new:
            del new[key]
    new[_COMPANION] = rig
    release(new)
    link_beside(new, obj)
    if getattr(obj.data, "surface", None) in instead:
        new.data = obj.data.copy()
        new.data.surface = instead[obj.data.surface]
    for modifier in new.modifiers:
        if getattr(modifier, "object", None) in instead:
            modifier.object = instead[modifier.object]
    if new.parent in instead:
        kept = obj.parent_type, obj.parent_bone, obj.matrix_parent_inverse.copy()
        new.parent = instead[obj.parent]
        new.parent_type, new.parent_bone, new.matrix_parent_inverse = kept
    return new


def companions_of(rig: bpy.types.Object) -> list[bpy.types.Object]:
    """The copies that came with an armature."""
    return [obj for obj in bpy.data.objects if obj.get(_COMPANION) == rig]


def left_to_compress(made: bpy.types.Object) -> list[str]:
    """Names of the meshes that have shape keys of their own on the armature whose copy a compressed mesh
    stands on, and do not stand there yet: compressed as well, they do. Cheap.
    """
    bound = armature_modifier(made)
    armature = bound.object.get(RIG_SOURCE) if bound is not None else None
    if not isinstance(armature, bpy.types.Object):
        return []
    there: set[Any] = set()
    left: list[Any] = []
    for scene in made.users_scene:
        there |= {source_of(obj) for obj in compressed_objects(scene) if _holder(obj) == bound.object}
        left += [obj for obj in scene.objects if _has_shapes(obj) and _holder(obj) == armature]
    return sorted({obj.name for obj in left if obj not in there and not is_compressed(obj)})


def _holder(obj: bpy.types.Object) -> bpy.types.Object | None:
    bound = armature_modifier(obj)
    return None if bound is None else bound.object


def _has_shapes(obj: Any) -> bool:
    return obj.type == "MESH" and obj.data.shape_keys is not None and len(obj.data.shape_keys.key_blocks) > 1


def release_companions(rig: bpy.types.Object) -> None:
    """Remove the copies that came with an armature on which no compressed mesh is left, and their data
    where nobody else uses it.
    """
    bound = (armature_modifier(obj) for obj in bpy.data.objects if is_compressed(obj))
    if any(modifier is not None and modifier.object == rig for modifier in bound):
        return
    for obj in companions_of(rig):
        data: Any = obj.data
        bpy.data.objects.remove(obj)
        if data.users == 0:
            bpy.data.batch_remove([data])
