# SPDX-License-Identifier: GPL-3.0-or-later
"""Which texels follow the footage from picture to picture, and where the still stays on top of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ModelError
from ..head import HeadModel
from ..head.atlas import SKIN, HeadAtlas
from . import face_regions
from .texels import TexelTable

Array = np.ndarray

RIM = 0.3
"""How far from its border a face may still turn out of sight gradually, in its widths. Farther in, what is
hard to see lies beside the nose or in a mouth and is no border."""
RAMP = 0.03
"""Width of the border between track and still, as a share of the face's width in the atlas. Neck, ears and
hair lie behind it: they are not tracked, and what is seen of them slides."""


@dataclass(frozen=True)
class TrackMask:
    """Maps of one size, S texels."""

    live: Array
    """(S, S) float32: 1 where the track shows, 0 where the still stays on top, soft between."""
    rim: Array
    """(S, S) float32: 1 on skin at the border of the face, 0 towards its middle and on lids, lips and brows:
    where a picture's colours are to meet the still's."""
    quick: Array
    """(S, S) bool: lids, eyes, lips and mouth, which come into sight within a picture or two."""

    @staticmethod
    def of(model: HeadModel, atlas: HeadAtlas, size: int) -> TrackMask:
        """By the regions of the face; for a model without landmarks everything is live."""
        table = TexelTable.of(atlas, size)
        try:
            region = face_regions.triangle_regions(model, atlas)
        except ModelError:
            every = table.inside.astype(np.float32)
            return TrackMask(every, every, np.zeros_like(table.inside))
        texels = np.where(table.inside, region[table.triangle], face_regions.NONE)
        quick = np.isin(texels, (face_regions.EYES, face_regions.LIPS))
        skin = face_regions.is_face(texels) & (table.chart == SKIN)
        away = _away(skin, texels == face_regions.BODY)
        rim = (1.0 - _smooth(away / RIM)) * (skin & ~quick & (texels != face_regions.BROWS))
        live = np.where(table.chart == SKIN, _smooth(away / RAMP - 0.15), 1.0)
        return TrackMask(_spread(live, table), rim.astype(np.float32), quick)

    def scalp(self, still: Array) -> Array:
        """(S, S, 4) uint8: the still (S, S, 3), and by how much it stays on top."""
        alpha = np.rint(255.0 * (1.0 - self.live)).astype(np.uint8)
        return np.dstack([still, alpha])


def _away(face: Array, body: Array) -> Array:
    """(S, S) float32: how far texels lie within the border of the face to the body, in widths of the face.
    Holes of the face, such as the opening between the lids, are no border.
    """
    import cv2

    across = np.flatnonzero(face.any(axis=0))
    if not body.any() or not len(across):
        return np.full(face.shape, 1.0, np.float32)
    width = float(across[-1] - across[0] + 1)
    away = cv2.distanceTransform(1 - body.astype(np.uint8), cv2.DIST_L2, 5) / width
    # Regions are whole triangles: their border is jagged.
    return cv2.GaussianBlur(away, (0, 0), max(0.25 * RAMP * width, 0.5))


def _smooth(t: Array) -> Array:
    t = np.clip(t, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _spread(values: Array, table: TexelTable) -> Array:
    """(S, S) float32 with the texels between charts as the nearest within one."""
    from scipy.ndimage import distance_transform_edt

    nearest: Any = distance_transform_edt(~table.inside, return_distances=False, return_indices=True)
    row, column = nearest
    return values[row, column].astype(np.float32)
