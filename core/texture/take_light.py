# SPDX-License-Identifier: GPL-3.0-or-later
"""The light of a take out of its unprojected pictures: samples at the vertices of the face, whose mesh is its
own mirror image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..head.atlas import SKIN, HeadAtlas
from .colour import to_linear
from .light_fit import TakeLighting, estimate_take_lighting
from .plain_skin import skin_regions
from .posed import PosedHead

Array = np.ndarray

PLAIN = 0.02
"""Rows that are less surely bare skin are left out."""
REACH = 0.0012
"""Half the side of the square of the atlas that is averaged around a vertex: pores and noise are no light."""


class Shot(NamedTuple):
    """One sample of the performance laid out in the atlas."""

    index: int
    rgb: Array
    """(S, S, 3) uint8 sRGB."""
    weight: Array
    """(S, S) uint8, 0 where not seen."""


def light_of_shots(head: PosedHead, atlas: HeadAtlas, shots: Sequence[Shot]) -> TakeLighting:
    """One light for all shots, and the gain of each; `albedo` is by `face_rows`. Five to fifteen shots whose
    heads are turned differently are plenty; for photos in different light, call it once for each.
    """
    rows, uv = face_rows(head, atlas)
    regions = skin_regions(head.model)
    seen = [shot_colours(shot, uv) for shot in shots]
    normals = np.stack([head.normals(shot.index)[rows] for shot in shots])
    places = head.model.rest(head.model.identity_coefficients()).vertices[rows]
    colours, weights = (np.stack(values) for values in zip(*seen, strict=True))
    return estimate_take_lighting(colours, normals, weights, regions.plain[rows], places)


def face_rows(head: PosedHead, atlas: HeadAtlas) -> tuple[Array, Array]:
    """(M,) rows of the model that show bare skin, and (M, 2) where they are in the atlas."""
    plain = skin_regions(head.model).plain
    own = np.flatnonzero(atlas.triangle_chart == SKIN)
    rows, first = np.unique(atlas.triangles[own], return_index=True)
    kept = plain[rows] > PLAIN
    return rows[kept], atlas.uv[own].reshape(-1, 2)[first[kept]]


def shot_colours(shot: Shot, uv: Array) -> tuple[Array, Array]:
    """(M, 3) linear colours and (M,) weights 0..1 around places `uv` ((M, 2)) of the atlas."""
    size = shot.weight.shape[0]
    reach = round(REACH * size)
    x = np.clip((uv[:, 0] * size).astype(int), reach, size - 1 - reach)
    y = np.clip(((1 - uv[:, 1]) * size).astype(int), reach, size - 1 - reach)
    steps = np.arange(-reach, reach + 1)
    window = y[:, None, None] + steps[:, None], x[:, None, None] + steps
    weight = shot.weight[window].reshape(len(uv), -1).astype(np.float32) / 255.0
    colours = to_linear(shot.rgb[window]).reshape(len(uv), -1, 3)
    total = weight.sum(axis=1)
    mean = (weight[..., None] * colours).sum(axis=1) / np.maximum(total, 1e-6)[:, None]
    return mean, total / weight.shape[1]
