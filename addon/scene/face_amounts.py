# SPDX-License-Identifier: GPL-3.0-or-later
"""The predicted texture follows the face: keyed with a performance, and worked out anew for a posed face.

The amounts of the components are values of nodes (see `face_components`). Their curves have a slot of their
own in the performance's action; where the user has animated the nodes, they lie beside those keys.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ...core import rotation
from ...core.arkit import ARKIT_NAMES
from ...core.head import TO_BLENDER
from ...core.performance import Performance
from . import bpy_compat
from .double import ID_KEY, Double
from .face_components import amounts_of, bones_of, is_installed, show_amounts
from .materials.face_components import amount_path, find_components_group

SLOT = bpy_compat.NAMED_SLOTS[1]


def write(action: bpy.types.Action, double: Double, frames: np.ndarray, performance: Performance) -> None:
    """Key the amounts at scene `frames` (T,), or take the curves away where there is no predicted texture."""
    amounts = amounts_of(double.id, performance.weights, performance.head_rotation, performance.gaze)
    if amounts is None:
        _remove(action)
        return
    show_amounts(double.id, amounts[0])
    tree = find_components_group(double.id)
    theirs = _foreign_action(double.id)
    slot, bag = bpy_compat.channelbag(theirs or action, tree, "" if theirs else SLOT)
    for number, values in enumerate(amounts.T):
        bpy_compat.write_fcurve(bag, amount_path(number), 0, frames, values)
    if theirs is None:
        bpy_compat.assign_action(tree, action, slot)


def play(action: bpy.types.Action, double: Double) -> None:
    """Let the face show the curves of this action, unless the user has animated the nodes."""
    slot, tree = _slot_of(action), find_components_group(double.id)
    if slot is not None and tree is not None and _foreign_action(double.id) is None:
        bpy_compat.assign_action(tree, action, slot)


def is_keyed(double: Double) -> bool:
    """Whether curves tell the amounts that the face shows."""
    tree = find_components_group(double.id)
    data = tree.animation_data if tree is not None else None
    if data is None or data.action is None or data.action_slot is None:
        return False
    _, bag = bpy_compat.channelbag(data.action, tree)
    return bag.fcurves.find(amount_path(0), index=0) is not None


def follow(double: Double) -> bool:
    """Bring the amounts to the face as it is posed now; whether that changed anything."""
    if not is_installed(double.id):
        return False
    weights = np.array([_value(double.shape_keys, name) for name in ARKIT_NAMES])
    turn, gaze = _posed(double.armature, *bones_of(double.id))
    amounts = amounts_of(double.id, weights, turn, gaze)
    return amounts is not None and show_amounts(double.id, amounts[0])


def _value(keys: Any, name: str) -> float:
    block = keys.key_blocks.get(name)
    return float(block.value) if block is not None and not block.mute else 0.0


def _posed(
    armature: bpy.types.Object, head: str, eyes: tuple[str, ...]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Turn of the head (1, 4) and gaze (1, 2, 2) as the bones are posed; None for what the rig lacks."""
    pose: Any = armature.pose
    if head not in pose.bones:
        return None, None
    whole = _turn(pose.bones[head])
    if len(eyes) != 2 or any(name not in pose.bones for name in eyes):
        return rotation.from_matrix(whole[None]), None
    turns = [rotation.from_matrix((whole.T @ _turn(pose.bones[name]))[None]) for name in eyes]
    gaze = np.array([[float(angle[0]) for angle in rotation.to_angles(turn)[:2]] for turn in turns])
    return rotation.from_matrix(whole[None]), gaze[None]


def _turn(bone: Any) -> np.ndarray:
    """(3, 3) how far a bone is turned from its rest, about the head frame's axes."""
    turned = np.array(bone.matrix)[:3, :3] @ np.array(bone.bone.matrix_local)[:3, :3].T
    axes = np.asarray(TO_BLENDER, np.float64)
    return axes.T @ turned @ axes


def _slot_of(action: bpy.types.Action) -> Any:
    return next((slot for slot in action.slots if slot.name_display == SLOT), None)


def _foreign_action(id: str) -> bpy.types.Action | None:
    """The user's own action of the nodes."""
    tree = find_components_group(id)
    data = tree.animation_data if tree is not None else None
    action = data.action if data is not None else None
    return action if action is not None and action.get(ID_KEY) != id else None


def _remove(action: bpy.types.Action) -> None:
    slot = _slot_of(action)
    if slot is not None:
        action.slots.remove(slot)
