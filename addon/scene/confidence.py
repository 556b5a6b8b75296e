# SPDX-License-Identifier: GPL-3.0-or-later
"""How sure the tracking was of each frame, as a curve: the property `confidence` of the root. It drives
nothing.

The curve has a slot of its own in the performance's action. Where the user has animated the root, it lies
beside those keys instead, because an object plays one action at a time.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ...core.performance import Performance
from . import bpy_compat
from .double import ID_KEY, Double

PROPERTY = "confidence"
PATH = f'["{PROPERTY}"]'
SLOT = bpy_compat.NAMED_SLOTS[0]


def is_known(performance: Performance) -> bool:
    """Whether the source says something about confidence: recorded weights are 1 throughout."""
    return performance.camera is not None or bool(np.any(performance.confidence != 1.0))


def write(action: bpy.types.Action, double: Double, frames: np.ndarray, performance: Performance) -> None:
    """Key the confidence at scene `frames` (T,), or take the curve away where there is nothing to show."""
    if not is_known(performance):
        _remove(action, double)
        return
    root: Any = double.root
    if PROPERTY not in root:
        root[PROPERTY] = 1.0
        text = "How sure the tracking was of this frame, 0 where the face was lost"
        root.id_properties_ui(PROPERTY).update(min=0.0, max=1.0, description=text)
    theirs = _foreign_action(double)
    slot, bag = bpy_compat.channelbag(theirs or action, root, "" if theirs else SLOT)
    bpy_compat.write_fcurve(bag, PATH, 0, frames, performance.confidence)
    if theirs is None:
        bpy_compat.assign_action(root, action, slot)


def play(action: bpy.types.Action, double: Double) -> None:
    """Let the root show the curve of this action, where it has one and the user has not animated the root."""
    slot = next((slot for slot in action.slots if slot.name_display == SLOT), None)
    if slot is not None and _foreign_action(double) is None:
        bpy_compat.assign_action(double.root, action, slot)


def _foreign_action(double: Double) -> bpy.types.Action | None:
    """The user's own action of the root."""
    data = double.root.animation_data
    action = data.action if data is not None else None
    return action if action is not None and action.get(ID_KEY) != double.id else None


def _remove(action: bpy.types.Action, double: Double) -> None:
    slot = next((slot for slot in action.slots if slot.name_display == SLOT), None)
    if slot is not None:
        action.slots.remove(slot)
    theirs = _foreign_action(double)
    if theirs is not None:
        bpy_compat.remove_fcurves(bpy_compat.channelbag(theirs, double.root)[1], [PATH])
    elif double.root.animation_data is not None:
        double.root.animation_data.action = None
    root: Any = double.root
    if PROPERTY in root:
        del root[PROPERTY]
