# SPDX-License-Identifier: GPL-3.0-or-later
"""A performance as keys: one Action with a slot for the armature and one for the shape keys.

The recording is never changed. Where filters do something, the recorded keys are kept beside the filtered
ones as a second action ("... raw"), and `use_filtered` switches between them without reading anything. Keys
lie at `first_frame + time * rate`, between whole frames where the samples do; other F-Curves and slots in
our actions stay.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import bpy
import numpy as np

from ...core import filters as core_filters
from ...core import rotation
from ...core.arkit import ARKIT_NAMES
from ...core.filters import FilterSettings
from ...core.head import HeadModel, Rest
from ...core.performance import Performance
from . import bpy_compat, confidence, face_amounts
from .double import Double, tag
from .eyes import drive_eyes, eye_bones, rotation_path, undrive_eyes
from .head_motion import PLACE_ERROR, carrier, carrier_locations, has_position, location_path
from .rig import bone_turn, performed_bones, role_bones
from .timing import rate_of

_PERFORMANCE_KEY = "likeness_performance"
_HEAD_ERROR = np.radians(0.05)
"""Change of a part of a quaternion that decimation may cause: a tenth of a degree of the head."""


@dataclass(frozen=True)
class KeyOptions:
    """What turns a performance into keys."""

    first_frame: int = 0
    neck_share: float = 0.45
    eye_angle: float = 0.0
    decimate_error: float | None = None
    head_position: float = 1.0
    """How much of the head's known position is keyed: 0 leaves the person on the spot, 1 is exact."""


def write_performance(
    scene: bpy.types.Scene,
    double: Double,
    model: HeadModel,
    rest: Rest,
    performance: Performance,
    filters: FilterSettings,
    options: KeyOptions,
) -> bpy.types.Action:
    """Key a performance and play it; the action that plays. 4030 samples take about 0.1 s."""
    filtered = core_filters.apply(performance, filters)
    changes = filters != FilterSettings() or options.decimate_error is not None
    if changes:
        raw = _action(double, performance.name, "raw")
        _write(scene, double, model, rest, performance, replace(options, decimate_error=None), raw)
    else:
        _remove(double, performance.name, "raw")
    action = _action(double, performance.name, "action")
    _write(scene, double, model, rest, filtered, options, action)
    _follow_gaze(double, model, rest, performance, options)
    _widen_sliders(double.shape_keys, performance.weights, filtered.weights)
    return action


def use_filtered(double: Double, filtered: bool) -> bool:
    """Play the filtered or the recorded keys of the current performance; False when there is no such action.

    Without filters the two are the same, and either answer is True.
    """
    data = double.shape_keys.animation_data
    current = data.action if data is not None else None
    if current is None or _PERFORMANCE_KEY not in current:
        return False
    name = str(current[_PERFORMANCE_KEY])
    found = _find(double, name, "action" if filtered else "raw") or _find(double, name, "action")
    if found is None:
        return False
    _play(double, found)
    return True


def current_performance(double: Double) -> str | None:
    """Name of the performance that plays, None when none of ours does."""
    data = double.shape_keys.animation_data
    action = data.action if data is not None else None
    return None if action is None else action.get(_PERFORMANCE_KEY)


def _find(double: Double, name: str, role: str) -> bpy.types.Action | None:
    for action in bpy.data.actions:
        tags = (action.get("likeness_id"), action.get("likeness_role"), action.get(_PERFORMANCE_KEY))
        if tags == (double.id, role, name) and action.library is None:
            return action
    return None


def _action(double: Double, name: str, role: str) -> bpy.types.Action:
    found = _find(double, name, role)
    if found is None:
        title = f"Likeness {double.name} {name}" + (" raw" if role == "raw" else "")
        found = tag(bpy.data.actions.new(title), double.id, role)
        found[_PERFORMANCE_KEY] = name
        # Only one action plays; the others must outlive saving.
        found.use_fake_user = True
    return found


def _remove(double: Double, name: str, role: str) -> None:
    found = _find(double, name, role)
    if found is not None:
        bpy.data.actions.remove(found)


def _play(double: Double, action: bpy.types.Action) -> None:
    for owner in (double.armature, double.shape_keys):
        slot, _bag = bpy_compat.channelbag(action, owner)
        bpy_compat.assign_action(owner, action, slot)
    confidence.play(action, double)
    face_amounts.play(action, double)


def _write(
    scene: bpy.types.Scene,
    double: Double,
    model: HeadModel,
    rest: Rest,
    performance: Performance,
    options: KeyOptions,
    action: bpy.types.Action,
) -> None:
    _play(double, action)
    frames = options.first_frame + performance.time * rate_of(scene)
    _, keys_bag = bpy_compat.channelbag(action, double.shape_keys)
    _write_weights(keys_bag, frames, performance, options.decimate_error)
    _, bones_bag = bpy_compat.channelbag(action, double.armature)
    turns = bone_turns(model, performance, options.neck_share)
    _write_position(bones_bag, frames, double, model, rest, turns, performance, options)
    confidence.write(action, double, frames, performance)
    face_amounts.write(action, double, frames, performance)
    still = [bone for bone in performed_bones(model) if bone not in turns]
    bpy_compat.remove_fcurves(bones_bag, [rotation_path(bone) for bone in still])
    for bone, turn in turns.items():
        axes = rest.joint_rotations[model.joint_names.index(bone)]
        quaternions = rotation.continuous(bone_turn(axes, turn))
        kept: Any = slice(None)
        if options.decimate_error is not None:
            kept = core_filters.decimate(performance.time, quaternions, _HEAD_ERROR)
        for index, values in enumerate(quaternions[kept].T):
            bpy_compat.write_fcurve(bones_bag, rotation_path(bone), index, frames[kept], values)


def _write_position(
    bag: Any,
    frames: np.ndarray,
    double: Double,
    model: HeadModel,
    rest: Rest,
    turns: dict[str, np.ndarray],
    performance: Performance,
    options: KeyOptions,
) -> None:
    """Keys of the bone that carries the person; without a known position it stands where it belongs."""
    bone = carrier(model)
    if bone is None:
        return
    path = location_path(bone)
    if not has_position(performance) or options.head_position == 0.0:
        if bag.fcurves.find(path) is not None:
            bpy_compat.remove_fcurves(bag, [path])
            pose: Any = double.armature.pose
            pose.bones[bone].location = (0.0, 0.0, 0.0)
        return
    places = carrier_locations(model, rest, turns, performance, options.head_position)
    kept: Any = slice(None)
    if options.decimate_error is not None:
        kept = core_filters.decimate(performance.time, places, PLACE_ERROR)
    for index, values in enumerate(places[kept].T):
        bpy_compat.write_fcurve(bag, path, index, frames[kept], values)


def _write_weights(bag: Any, frames: np.ndarray, performance: Performance, error: float | None) -> None:
    kept: list[Any] = [slice(None)] * len(ARKIT_NAMES)
    if error is not None:
        kept = core_filters.decimate_channels(performance.time, performance.weights, error)
    for index, name in enumerate(ARKIT_NAMES):
        path = f'key_blocks["{name}"].value'
        bpy_compat.write_fcurve(bag, path, 0, frames[kept[index]], performance.weights[kept[index], index])


def bone_turns(model: HeadModel, performance: Performance, neck_share: float) -> dict[str, np.ndarray]:
    """Turns (T, 4) about the head frame's axes of each bone that the performance moves.

    The head's rotation is split into powers of itself, which commute: neck bones and head together make
    exactly the recorded rotation.
    """
    turns: dict[str, np.ndarray] = {}
    head, neck = role_bones(model, "head"), role_bones(model, "neck")
    if performance.head_rotation is not None and (head or neck):
        shares = dict.fromkeys(neck, (neck_share if head else 1.0) / max(len(neck), 1))
        shares |= dict.fromkeys(head, 1.0 - sum(shares.values()))
        vectors = rotation.to_rotation_vector(performance.head_rotation)
        turns |= {bone: rotation.from_rotation_vector(share * vectors) for bone, share in shares.items()}
    if performance.gaze is not None:
        for column, role in enumerate(("eye_left", "eye_right")):
            if role in eye_bones(model):
                yaw, pitch = performance.gaze[:, column].T
                turns[eye_bones(model)[role]] = rotation.from_angles(yaw, pitch, np.zeros(len(yaw)))
    return turns


def _follow_gaze(
    double: Double, model: HeadModel, rest: Rest, performance: Performance | None, options: KeyOptions
) -> None:
    """Keys turn the eyes where gaze was recorded; elsewhere the eyeLook keys do."""
    if performance is not None and performance.gaze is not None:
        undrive_eyes(double.armature, model)
    else:
        drive_eyes(double.armature, double.shape_keys, model, rest, options.eye_angle)


def rest_eyes(double: Double, model: HeadModel, rest: Rest, angle: float) -> None:
    """Without a performance the eyes follow the sliders."""
    _follow_gaze(double, model, rest, None, KeyOptions(eye_angle=angle))


def _widen_sliders(keys: bpy.types.Key, *weights: np.ndarray) -> None:
    """Blender clips a key to its slider's range; recorded weights may leave 0..1."""
    low = np.min([table.min(axis=0) for table in weights], axis=0)
    high = np.max([table.max(axis=0) for table in weights], axis=0)
    for index, name in enumerate(ARKIT_NAMES):
        block = keys.key_blocks[name]
        block.slider_min = max(-10.0, min(0.0, float(low[index])))
        block.slider_max = min(10.0, max(1.0, float(high[index])))
