# SPDX-License-Identifier: GPL-3.0-or-later
"""Dresses a double: top, trousers or skirt, and shoes, cut from the head model's helper surfaces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from .clothes_cut import Piece, kept, split, whole
from .clothes_fit import fitted
from .clothes_object import add_modifiers, cover_body, write_garment, write_weights
from .clothes_pattern import GARMENTS, Body
from .hair_surface import Collider, triangulated
from .materials.assign import material_of
from .materials.look import Look
from .materials.surface import model_rows

_TUCK = 0.042
"""Skin this far inside a garment's border is hidden, metres."""


@dataclass(frozen=True)
class Fit:
    """How one garment sits."""

    ease: float
    """Metres between skin and cloth."""
    hang: float
    smooth: int
    thickness: float
    seams: tuple[float, ...]
    """Metres from the border at which an edge runs along it: rib, hem, sole."""


FITS = {
    "TEE": Fit(0.012, 0.6, 10, 0.0016, (0.014,)),
    "SCOOP": Fit(0.009, 0.35, 5, 0.0014, (0.014,)),
    "LONG_SLEEVE": Fit(0.013, 0.55, 10, 0.0018, (0.014,)),
    "TROUSERS": Fit(0.009, 0.0, 10, 0.0018, ()),
    "SKIRT": Fit(0.008, 0.0, 3, 0.0018, ()),
    "SHOES": Fit(0.006, 0.0, 4, 0.0030, (0.012,)),
}


def dress(
    collection: bpy.types.Collection,
    body: bpy.types.Object,
    armature: bpy.types.Object,
    model: Any,
    rest: Any,
    look: Look,
) -> list[bpy.types.Object]:
    """Make (or make anew, in place) the objects "top", "bottom" and "shoes" of a double and give them back.

    The skin under them is hidden by a mask modifier on the body. A head model without helper surfaces, a
    bare head, gets no clothes and an empty list.
    """
    if "tights" not in model.part_names:
        return []
    wanted = (look.bottom, look.top, "SHOES")
    for garment in wanted:
        if garment not in FITS:
            raise ValueError(f"garment {garment!r}: expected one of {', '.join(FITS)}")
    pattern = Body(model)
    collider = Collider(
        np.asarray(rest.vertices, np.float64), triangulated(model.faces[model.part_faces("body")])
    )
    objects, covered = [], np.zeros(len(rest.vertices), bool)
    for garment in wanted:
        depth = pattern.pattern(garment)
        piece = cut(model, garment, depth)
        fit = FITS[garment]
        ease = fit.ease * (pattern.leg_width() if garment == "TROUSERS" else np.where(pattern.arm, 1.6, 1.0))
        points = fitted(piece, rest, collider, ease, ~pattern.arm, fit.hang, fit.smooth)
        objects.append(_place(collection, body, armature, model, garment, piece, points, look))
        covered |= depth > _TUCK
    mesh: Any = body.data
    cover_body(body, model_rows(mesh), covered)
    return objects


def cut(model: Any, garment: str, depth: np.ndarray) -> Piece:
    """The garment's surface on the model's rows."""
    source = "skirt" if garment == "SKIRT" and "skirt" in model.part_names else "tights"
    faces = model.faces[model.part_faces(source)]
    used = np.where(faces >= 0, depth[faces], np.inf)
    near = used.max(axis=1, where=faces >= 0, initial=-np.inf) > -0.05
    piece = kept(split(whole(faces[near], depth), 0.0), 0.0)
    for seam in FITS[garment].seams:
        piece = split(piece, seam)
    return piece


def _place(
    collection: bpy.types.Collection,
    body: bpy.types.Object,
    armature: bpy.types.Object,
    model: Any,
    garment: str,
    piece: Piece,
    points: np.ndarray,
    look: Look,
) -> bpy.types.Object:
    role = GARMENTS[garment]
    person = body.get("likeness_id")
    mine = (
        o for o in collection.objects if o.get("likeness_role") == role and o.get("likeness_id") == person
    )
    obj = next((o for o in mine if o.type == "MESH"), None)
    if obj is None:
        obj = bpy.data.objects.new(f"{body.name} {role}", bpy.data.meshes.new(f"{body.name} {role}"))
        collection.objects.link(obj)
        obj["likeness_role"] = role
        if person is not None:
            obj["likeness_id"] = person
    mesh: Any = obj.data
    write_garment(mesh, piece, points, model)
    if not mesh.materials:
        mesh.materials.append(material_of(body, role.capitalize(), look))
    write_weights(obj, piece, model)
    obj.parent, obj.matrix_parent_inverse = body.parent, body.matrix_parent_inverse.copy()
    obj.matrix_basis = body.matrix_basis.copy()
    add_modifiers(obj, armature, FITS[garment].thickness)
    return obj
