# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the head is, kept exactly where a fit found it.

Neck and head turn about their own pivots, which moves the head frame's origin between the ears. The root
bone carries the whole person by what is missing to the place that the fit says, so that the rotation and the
position of the head are those of the fit, and a camera beside it sees what the footage shows.
"""

from __future__ import annotations

from collections.abc import Mapping

import bpy
import numpy as np

from ...core import rotation
from ...core.head import HeadModel, Rest
from ...core.performance import Performance
from .rig import role_bones

PLACE_ERROR = 0.0005
"""Metres by which decimation may move the head."""


def has_position(performance: Performance) -> bool:
    """Whether it is known where the head was."""
    return performance.head_translation is not None or performance.camera is not None


def carrier(model: HeadModel) -> str | None:
    """The bone that carries the whole person, None for a model without head and neck."""
    chain = _chain(model)
    return chain[-1] if chain else None


def location_path(bone: str) -> str:
    """Data path of a pose bone's location."""
    return f'pose.bones["{bpy.utils.escape_identifier(bone)}"].location'


def origin_drift(model: HeadModel, rest: Rest, turns: Mapping[str, np.ndarray], count: int) -> np.ndarray:
    """Where `turns` ((T, 4) by bone, about head-frame axes) alone take the head frame's origin: (T, 3)
    metres.
    """
    point = np.zeros((count, 3))
    for bone in _chain(model):  # from the head down: what is nearest to the head acts first
        if bone in turns:
            pivot = rest.joint_heads[model.joint_names.index(bone)]
            matrices = rotation.to_matrix(turns[bone])
            point = np.einsum("tij,tj->ti", matrices, point - pivot) + pivot
    return point


def carrier_locations(
    model: HeadModel, rest: Rest, turns: Mapping[str, np.ndarray], performance: Performance, amount: float
) -> np.ndarray:
    """(T, 3) `location` of the carrier in its own rest axes, metres; `amount` 0..1 of the way to the fit."""
    count = performance.frame_count
    wanted = np.zeros((count, 3)) if performance.head_translation is None else performance.head_translation
    offsets = amount * (wanted - origin_drift(model, rest, turns, count))
    bone = carrier(model)
    assert bone is not None
    return offsets @ rest.joint_rotations[model.joint_names.index(bone)]


def _chain(model: HeadModel) -> list[str]:
    """The head's bone (without one, the uppermost of the neck), its parent and so on down to the root."""
    top = role_bones(model, "head") or role_bones(model, "neck")[-1:]
    chain: list[str] = []
    index = model.joint_names.index(top[0]) if top else -1
    while index >= 0:
        chain.append(model.joint_names[index])
        index = int(model.joint_parents[index])
    return chain
