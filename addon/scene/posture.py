# SPDX-License-Identifier: GPL-3.0-or-later
"""How a double stands: arms hanging, feet under the hips. Base rotations of pose bones, which no action
touches.

Bodies are modelled with arms and legs held out, where skin weights are painted most easily. The turn is
shared by collar bone, shoulder and upper arm, as in life, so that no single crease takes all of it.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ...core import rotation
from ...core.head import HeadModel, Rest
from .rig import bone_turn

_SHARES = {"clavicle": 0.12, "shoulder01": 0.28, "upperarm01": 0.60}
_ARM = (*_SHARES, "upperarm02", "lowerarm01", "lowerarm02", "wrist")
_LEG = ("upperleg01", "foot")
_STANCE = np.radians(1.5)
"""How far outwards a leg points from hip to ankle."""
_CLEARANCE = 0.045
"""Metres between elbow joint and flank: half an arm."""
_HANG = (np.radians(7.0), np.radians(24.0))
"""Least and largest angle of the upper arm from the vertical."""
_ELBOW = np.radians(14.0)
"""How far the forearm of a relaxed arm points forward."""
_PALM = np.radians(10.0)
"""How far forearm and hand turn so that the palm faces the thigh."""


def relax(armature: bpy.types.Object, model: HeadModel, rest: Rest) -> None:
    """Set the base pose of arms and legs; a model without them, or with other names, stays as it is."""
    pose: Any = armature.pose
    for bone, turn in relaxed_turns(model, rest).items():
        axes = rest.joint_rotations[model.joint_names.index(bone)]
        posed = pose.bones[bone]
        posed.rotation_mode = "QUATERNION"
        posed.rotation_quaternion = bone_turn(axes, turn).tolist()


def relaxed_turns(model: HeadModel, rest: Rest) -> dict[str, np.ndarray]:
    """Turn of each arm and leg bone about the head frame's axes, (4,) quaternions by joint name."""
    turns: dict[str, np.ndarray] = {}
    for side, sign in (("L", 1.0), ("R", -1.0)):
        if all(f"{bone}.{side}" in model.joint_names for bone in _ARM):
            turns |= _one_arm(model, rest, side, sign)
        if all(f"{bone}.{side}" in model.joint_names for bone in _LEG):
            turns |= _one_leg(model, rest, side, sign)
    return turns


def relaxed_vertices(model: HeadModel, rest: Rest) -> np.ndarray:
    """(V, 3) rows of the relaxed person in the head frame, metres."""
    turns = {bone: rotation.to_matrix(turn) for bone, turn in relaxed_turns(model, rest).items()}
    return model.pose(rest, np.zeros(1, np.float32), turns)


def _one_leg(model: HeadModel, rest: Rest, side: str, sign: float) -> dict[str, np.ndarray]:
    """Thigh inwards, and the foot as much outwards, so that its sole stays on the floor."""
    hip, ankle = (rest.joint_heads[model.joint_names.index(f"{bone}.{side}")] for bone in _LEG)
    x, y, _ = ankle - hip
    turn = max(0.0, float(np.arctan2(sign * x, -y)) - _STANCE)
    inwards = np.array([0.0, 0.0, -sign * turn])
    return {
        f"{bone}.{side}": rotation.from_rotation_vector(vector)
        for bone, vector in zip(_LEG, (inwards, -inwards), strict=True)
    }


def _one_arm(model: HeadModel, rest: Rest, side: str, sign: float) -> dict[str, np.ndarray]:
    place = {bone: rest.joint_heads[model.joint_names.index(f"{bone}.{side}")] for bone in _ARM}
    upper = place["lowerarm01"] - place["upperarm01"]
    lower = place["wrist"] - place["lowerarm01"]
    hang = _hang_angle(model, rest, place, sign)
    down = np.array([sign * np.sin(hang), -np.cos(hang), 0.0])
    total = rotation.to_rotation_vector(_between(upper, down))
    turns = {f"{bone}.{side}": rotation.from_rotation_vector(w * total) for bone, w in _SHARES.items()}
    carried = rotation.from_rotation_vector(total)
    forward = np.array([sign * np.sin(0.3 * hang), -np.cos(_ELBOW), np.sin(_ELBOW)])
    # Turns are about the head frame's axes in the rest pose, before the joints above carry them along.
    local = rotation.to_matrix(rotation.conjugate(carried)) @ forward
    turns[f"lowerarm01.{side}"] = _between(lower, local)
    along = lower / np.linalg.norm(lower)
    for bone, share in (("lowerarm02", 0.55), ("wrist", 0.45)):
        turns[f"{bone}.{side}"] = rotation.from_rotation_vector(-share * sign * _PALM * along)
    return turns


def _hang_angle(model: HeadModel, rest: Rest, place: dict[str, np.ndarray], sign: float) -> float:
    """The steepest hang that keeps the elbow clear of the flank."""
    shoulder, reach = place["upperarm01"], np.linalg.norm(place["lowerarm01"] - place["upperarm01"])
    trunk = [i for i, name in enumerate(model.joint_names) if name.startswith(("spine", "root", "pelvis"))]
    of_trunk = (np.isin(model.skin_joints, trunk) * model.skin_weights).sum(axis=1) > 0.9
    x, y, _ = rest.vertices.T
    beside = of_trunk & (np.abs(y - (shoulder[1] - reach)) < 0.12)
    flank = float(np.max(sign * x[beside], initial=0.0))
    sine = (flank + _CLEARANCE - sign * shoulder[0]) / reach
    return float(np.clip(np.arcsin(np.clip(sine, -1.0, 1.0)), *_HANG))


def _between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The smallest turn (4,) that takes direction a to direction b, which are not opposite."""
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    return rotation.normalized(np.concatenate([[1.0 + a @ b], np.cross(a, b)]))
