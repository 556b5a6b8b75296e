# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a head shows bare skin, and where its brows and lips are: weights per row of the model.

Places are said on the model's default person, in chart coordinates (origin between the eyes, one unit the
distance between them), with lips and lids where the calibrated landmarks have them. So they hold for every
person of the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..fit.calibration.paint import brow_cover, hair_cover, lip_cover
from ..fit.calibration.regions import (
    LIPS_OUTER,
    LOWER_LID_LEFT,
    LOWER_LID_RIGHT,
    UPPER_LID_LEFT,
    UPPER_LID_RIGHT,
)
from ..head.embedding import load_embedding
from ..head.model import HeadModel

Array = np.ndarray

BEARD = 0.25
"""How surely the region of a beard is bare skin: half of all people shave, and shaved skin is bluish."""
NOSE_TIP, NOSTRIL, CHIN = 1, (98, 327), 152
"""Landmarks."""


@dataclass(frozen=True)
class SkinRegions:
    """(V,) float32 weights 0..1, soft at the borders."""

    plain: Array
    """Bare, even skin of the face: no brow, lip, lid, nostril or hair; little trust in a beard's region."""
    calm: Array
    """What of it shows a person's tone best: cheeks and forehead, away from the edges of the face."""
    brow: Array
    """Where brows grow."""
    lip: Array
    """The red of the lips, well inside its border."""
    scalp: Array
    """Where hair grows on most heads."""
    cheek: Array
    """(V, 2): the middle of the left and of the right cheek."""


@lru_cache(maxsize=2)
def _kept(key: _Key) -> SkinRegions:
    return _found(key.model)


def skin_regions(model: HeadModel) -> SkinRegions:
    """The regions of a model, found once. ModelError for a model without landmarks or eye joints."""
    return _kept(_Key(model))


class _Key:
    """A model, hashed by identity: it holds arrays, which cannot be."""

    def __init__(self, model: HeadModel) -> None:
        self.model = model

    def __hash__(self) -> int:
        return id(self.model)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.model is other.model


def _found(model: HeadModel) -> SkinRegions:
    rest = model.rest(model.identity_coefficients())
    eyes = rest.joint_heads[
        [model.joint_names.index(str(model.roles[f"eye_{s}"])) for s in ("left", "right")]
    ]
    unit = float(np.linalg.norm(eyes[0] - eyes[1]))
    chart = (rest.vertices - eyes.mean(axis=0)) / unit
    marks = (load_embedding(model).points(rest.vertices) - eyes.mean(axis=0)) / unit
    lips = marks[list(LIPS_OUTER), :2]
    brow = brow_cover(chart)
    bare = 1 - np.maximum.reduce([_widened_brows(chart), _hair(chart), lip_cover(chart, lips, 0.07)])
    bare *= (1 - _eyes(chart, marks)) * (1 - _nostrils(chart, marks)) * _face(chart, marks)
    bare *= 1 - (1 - BEARD) * _beard(chart, marks)
    cheek = np.stack([_blob(chart, (side * 0.72, -0.72, 0.1), (0.3, 0.25, 0.5)) for side in (1, -1)], axis=1)
    forehead = _blob(np.c_[np.abs(chart[:, 0]), chart[:, 1:]], (0.25, 0.68, 0.35), (0.4, 0.2, 0.5))
    calm = np.maximum(cheek.max(axis=1), forehead) * bare
    # Two outlines, drawn inwards: what lies at the border is blurred with what is beside it.
    inner = lip_cover(chart, lips.mean(axis=0) + 0.88 * (lips - lips.mean(axis=0)))
    weights = (bare, calm, brow, inner * (chart[:, 2] > 0), hair_cover(chart), cheek * bare[:, None])
    return SkinRegions(*(np.asarray(weight, np.float32) for weight in weights))


def _widened_brows(chart: Array) -> Array:
    """Brows and what moves with them: hairs stray, and no two people's sit alike."""
    shifted = [chart + np.array([0.0, up, 0.0]) for up in (-0.12, -0.06, 0.0, 0.06, 0.12)]
    return np.max([brow_cover(place) for place in shifted], axis=0)


def _hair(chart: Array) -> Array:
    return hair_cover(chart + np.array([0.0, 0.12, 0.0]))


def _eyes(chart: Array, marks: Array) -> Array:
    """Lids, lashes and the shadows beside the bridge of the nose."""
    cover = np.zeros(len(chart))
    for lids in (UPPER_LID_LEFT + LOWER_LID_LEFT, UPPER_LID_RIGHT + LOWER_LID_RIGHT):
        middle = marks[list(lids)].mean(axis=0)
        half = np.ptp(marks[list(lids)], axis=0)[0] / 2
        reach = np.hypot((chart[:, 0] - middle[0]) / (1.55 * half), (chart[:, 1] - middle[1]) / (1.15 * half))
        cover = np.maximum(cover, _ramp(reach, 1.15, 0.85) * (chart[:, 2] > -0.6))
    return cover


def _nostrils(chart: Array, marks: Array) -> Array:
    cover = np.zeros(len(chart))
    for mark in NOSTRIL:
        cover = np.maximum(cover, _ramp(np.linalg.norm(chart - marks[mark], axis=1), 0.22, 0.14))
    return cover


def _face(chart: Array, marks: Array) -> Array:
    """The front of the head from the chin up; ears, neck and the back are no part of it."""
    side = _ramp(np.abs(chart[:, 0]), 1.32, 1.15)
    return (
        _ramp(chart[:, 1], marks[CHIN, 1] - 0.05, marks[CHIN, 1] + 0.15)
        * side
        * _ramp(chart[:, 2], -1.0, -0.7)
    )


def _beard(chart: Array, marks: Array) -> Array:
    """Upper lip, chin and jaw."""
    mouth = marks[list(LIPS_OUTER)].mean(axis=0)
    line = np.interp(
        np.abs(chart[:, 0]), [0.0, 0.35, 0.55, 0.9, 1.1, 1.3], [0.38, 0.32, 0.02, 0.2, 0.7, 0.95]
    )
    return _ramp(chart[:, 1] - mouth[1] - line, 0.05, -0.08)


def _blob(points: Array, centre: tuple[float, float, float], size: tuple[float, float, float]) -> Array:
    return _ramp(np.linalg.norm((points - centre) / size, axis=1), 1.3, 0.6)


def _ramp(value: Array, low: float, high: float) -> Array:
    """0 at `low`, 1 at `high` (which may be the smaller), smooth between."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)
