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

RAMP = 0.075
"""Width of the border between track and still, as a share of the face's width in the atlas. Neck, ears and
hair lie behind it: they are not tracked, and what is seen of them slides."""


@dataclass(frozen=True)
class TrackMask:
    """Maps of one size, S texels."""

    live: Array
    """(S, S) float32: 1 where the track shows, 0 where the still stays on top, soft between."""
    plain: Array
    """(S, S) bool: skin of the face without lids, lips and brows, where colours of pictures compare."""
    quick: Array
    """(S, S) bool: lids, eyes, lips and mouth, which come into sight within a picture or two."""

    @staticmethod
    def of(model: HeadModel, atlas: HeadAtlas, size: int) -> TrackMask:
        """By the regions of the face; for a model without landmarks everything is live."""
        table = TexelTable.of(atlas, size)
        try:
            region = face_regions.triangle_regions(model, atlas)
        except ModelError:
            every = table.inside
            return TrackMask(every.astype(np.float32), every, np.zeros_like(every))
        texels = np.where(table.inside, region[table.triangle], face_regions.NONE)
        quick = np.isin(texels, (face_regions.EYES, face_regions.LIPS))
        plain = face_regions.is_face(texels) & ~quick & (texels != face_regions.BROWS)
        return TrackMask(_ramped(table, texels), plain & (table.chart == SKIN), quick)

    def scalp(self, still: Array) -> Array:
        """(S, S, 4) uint8: the still (S, S, 3), and by how much it stays on top."""
        alpha = np.rint(255.0 * (1.0 - self.live)).astype(np.uint8)
        return np.dstack([still, alpha])


def _ramped(table: TexelTable, region: Array) -> Array:
    """(S, S) float32: on the skin 0 at the border of the face, 1 from `RAMP` within; 1 in the other charts.
    Holes of the face, such as the opening between the lids, are no border. Between charts as in the nearest.
    """
    import cv2
    from scipy.ndimage import distance_transform_edt

    skin, body = table.chart == SKIN, (region == face_regions.BODY).astype(np.uint8)
    across = np.flatnonzero((skin & (body == 0)).any(axis=0))
    if not body.any() or not len(across):
        return table.inside.astype(np.float32)
    width = max(RAMP * (across[-1] - across[0] + 1), 1.0)
    away = cv2.distanceTransform(1 - body, cv2.DIST_L2, 5)
    away = cv2.GaussianBlur(away, (0, 0), 0.25 * width)  # regions are whole triangles, their border is jagged
    t = np.clip(away / width - 0.15, 0.0, 1.0)
    live = np.where(skin, t * t * (3.0 - 2.0 * t), 1.0)
    nearest: Any = distance_transform_edt(~table.inside, return_distances=False, return_indices=True)
    row, column = nearest
    return live[row, column].astype(np.float32)
