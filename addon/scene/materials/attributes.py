# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what the materials read from the mesh: rest coordinates and region masks, as point attributes."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from .anchors import default_rest, eye_centres
from .lash_grid import lash_coordinates
from .masks import skin_masks, tooth_depth
from .surface import model_rows, part_rows, write_attribute

Array = np.ndarray

REST = "likeness_rest"
"""Position on the default person in metres; on eyes and corneas instead the place on the unit eye that
looks along
+Z, and on lash strips (along the lid, root to tip, upper)."""
MASKS_A = "likeness_masks_a"
"""lips, flush, depth in the mouth, nails."""
MASKS_B = "likeness_masks_b"
"""scalp (and half as much eyebrows), beard, eyelids, oily."""

BORDER = "likeness_border"
"""On clothes: metres from the garment's nearest border, for bands and seams."""


def write_surface_attributes(mesh: bpy.types.Mesh, model: Any) -> None:
    """Rest coordinates and masks for the vertices of a built body mesh. Walks the mesh: some 20 ms."""
    rows = model_rows(mesh)
    write_attribute(mesh, REST, "FLOAT_VECTOR", shading_coordinates(model)[rows])
    masks = skin_masks(model)
    depth = np.maximum(masks["mouth"], tooth_depth(model))
    write_attribute(
        mesh, MASKS_A, "FLOAT_COLOR", _stack(masks["lips"], masks["flush"], depth, masks["nails"])[rows]
    )
    hairy = np.maximum(masks["scalp"], 0.55 * masks["brows"])
    second = _stack(hairy, masks["beard"], masks["eyelids"], masks["oily"])
    write_attribute(mesh, MASKS_B, "FLOAT_COLOR", second[rows])
    # The first colours of a mesh become the ones that views paint it with; these are no colours to look at.
    mesh.attributes.active_color_name = mesh.attributes.default_color_name = ""


def shading_coordinates(model: Any) -> Array:
    """(V, 3) float32: where each row is on the model's default person (so pores and spots keep their place
    on every
    identity), with unit eye coordinates on eyes and corneas.
    """
    rest = default_rest(model)
    points = np.array(rest.vertices, np.float32)
    for side, centre in zip(("left", "right"), eye_centres(model, rest), strict=True):
        ball = part_rows(model, f"eye_{side}")
        if not len(ball):
            continue
        radius = float(np.median(np.linalg.norm(rest.vertices[ball] - centre, axis=1)))
        both = part_rows(model, f"eye_{side}", f"cornea_{side}")
        points[both] = (rest.vertices[both] - centre) / radius
    lashes, coordinates = lash_coordinates(model)
    points[lashes] = coordinates
    return points


def _stack(*columns: Array) -> Array:
    return np.stack(columns, axis=1).astype(np.float32)
