# SPDX-License-Identifier: GPL-3.0-or-later
"""Grows the haircut and the eyebrows of a double. Same person and look, same hair: nothing here is random."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from .hair_brows import grow_brows
from .hair_object import curves_data, follow_skin, prepare_surface
from .hair_strands import Strands, grow_between, spread_subset, tapered
from .hair_styles import STYLES, grow_guides
from .hair_surface import Skin
from .materials.assign import material_of
from .materials.look import HAIR_STYLES, Look
from .materials.masks import skin_masks

TO_BLENDER = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


def grow_hair(
    collection: bpy.types.Collection,
    body: bpy.types.Object,
    armature: bpy.types.Object,
    model: Any,
    rest: Any,
    look: Look,
) -> list[bpy.types.Object]:
    """Make (or make anew, in place) the objects "hair" and "brows" of a double and give them back; about a
    second.

    Both are Curves on the surface of `body`, so expressions and bones move them. `look.hair_style` is one of
    `HAIR_STYLES`; "NONE" removes the haircut. Materials and further modifiers on existing objects stay.
    """
    if look.hair_style not in HAIR_STYLES:
        raise ValueError(f"hair style {look.hair_style!r}: expected one of {', '.join(HAIR_STYLES)}")
    skin, masks = Skin(model, rest), skin_masks(model)
    prepare_surface(body, model)
    fine = look.hair_style in ("BOB", "TIED")
    brows = grow_brows(skin, masks["brows"], 1000 if fine else 1400, fullness=0.75 if fine else 0.9)
    objects = [_place(collection, body, "brows", brows, look)]
    if look.hair_style == "NONE":
        _remove(collection, body, "hair")
        return objects
    hair = haircut(skin, masks["scalp"], look.hair_style)
    return [_place(collection, body, "hair", hair, look), *objects]


def haircut(skin: Skin, density: np.ndarray, style: str) -> Strands:
    """All strands of a style: guides that avoid the head, then hair between them."""
    numbers = STYLES[style]
    roots = skin.roots(density, numbers.strands, seed=1)
    chosen = spread_subset(roots.places, numbers.guides)
    guide_roots = roots[chosen]
    guides = grow_guides(style, guide_roots, skin.frame, skin.collider())
    lines = grow_between(
        roots, guides, guide_roots, clump=numbers.clump, loose=numbers.loose, seed=2, unit=skin.frame.unit
    )
    return Strands(lines, tapered(len(roots), numbers.points, numbers.radius, 0.3, 3), roots.uv)


def _existing(collection: bpy.types.Collection, body: bpy.types.Object, role: str) -> bpy.types.Object | None:
    person = body.get("likeness_id")
    candidates = (
        obj for obj in collection.objects if obj.type == "CURVES" and obj.get("likeness_role") == role
    )
    return next((obj for obj in candidates if obj.get("likeness_id") == person), None)


def _remove(collection: bpy.types.Collection, body: bpy.types.Object, role: str) -> None:
    obj = _existing(collection, body, role)
    if obj is not None:
        data: Any = obj.data
        bpy.data.objects.remove(obj)
        bpy.data.hair_curves.remove(data)


def _place(
    collection: bpy.types.Collection, body: bpy.types.Object, role: str, strands: Strands, look: Look
) -> bpy.types.Object:
    """The Curves object of a role with new strands; what else it carries is kept."""
    data = curves_data(f"{body.name} {role}", body, strands, TO_BLENDER)
    obj = _existing(collection, body, role)
    if obj is None:
        obj = bpy.data.objects.new(f"{body.name} {role}", data)
        collection.objects.link(obj)
        obj["likeness_role"] = role
        if "likeness_id" in body:
            obj["likeness_id"] = body["likeness_id"]
        data.materials.append(material_of(body, role.capitalize(), look))
    else:
        old: Any = obj.data
        for material in old.materials:
            data.materials.append(material)
        obj.data = data
        bpy.data.hair_curves.remove(old)
    obj.parent, obj.matrix_parent_inverse = body.parent, body.matrix_parent_inverse.copy()
    obj.matrix_basis = body.matrix_basis.copy()
    follow_skin(obj, as_mesh=role == "brows")
    return obj
