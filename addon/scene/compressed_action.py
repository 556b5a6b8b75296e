# SPDX-License-Identifier: GPL-3.0-or-later
"""One action for everything a compressed object does: the face's bones, the pose copied from the original's
armature, drivers that turned its bones as keys, and the curve of the error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import bpy
import numpy as np

from ...core.skin.trs import BonePair, Channels
from . import bpy_compat
from .compressed_state import FaceBones

_STILL = 1e-7
"""A channel that changes less gets one key."""
_KEY_FIELDS = {
    "co": (2, np.float32),
    "handle_left": (2, np.float32),
    "handle_right": (2, np.float32),
    "amplitude": (1, np.float32),
    "back": (1, np.float32),
    "period": (1, np.float32),
    "interpolation": (1, np.int32),
    "easing": (1, np.int32),
    "handle_left_type": (1, np.int32),
    "handle_right_type": (1, np.int32),
}


def play(action: bpy.types.Action, owner: bpy.types.Object) -> Any:
    """Let an object play its own slot of the action, made where it is missing; the slot's channelbag."""
    slot, bag = bpy_compat.channelbag(action, owner, owner.name)
    bpy_compat.assign_action(owner, action, slot)
    return bag


def bone_path(bone: str, channel: str) -> str:
    """Data path of a pose bone's channel."""
    return f'pose.bones["{bpy.utils.escape_identifier(bone)}"].{channel}'


def write_bones(bag: Any, bones: FaceBones, frames: np.ndarray, found: Channels | BonePair) -> list[str]:
    """Key the face's bones at `frames` (T,), linear between; the data paths written."""
    channels = {"location": found.location, "rotation_quaternion": found.quaternion, "scale": found.scale}
    paths = []
    for b, (bone, keyed) in enumerate(zip(bones.deforming, bones.keyed, strict=True)):
        for channel, values in channels.items():
            paths.append(_write(bag, keyed, channel, frames, values[:, b]))
        if isinstance(found, BonePair):
            paths.append(_write(bag, bone, "rotation_quaternion", frames, found.child[:, b]))
    return paths


def _write(bag: Any, bone: str, channel: str, frames: np.ndarray, values: np.ndarray) -> str:
    path = bone_path(bone, channel)
    for index, column in enumerate(values.T):
        kept = slice(None) if np.ptp(column) > _STILL else slice(1)
        bpy_compat.write_fcurve(bag, path, index, frames[kept], column[kept])
        _into_group(bag, bag.fcurves.find(path, index=index), bone)
    return path


def curves_of(owner: Any) -> list[Any]:
    """The F-Curves that a datablock plays."""
    data = owner.animation_data
    if data is None or data.action is None or data.action_slot is None:
        return []
    strips = [strip for layer in data.action.layers for strip in layer.strips if strip.type == "KEYFRAME"]
    bags = [strip.channelbag(data.action_slot) for strip in strips]
    return [curve for bag in bags if bag is not None for curve in bag.fcurves]


def copy_curves(bag: Any, owner: Any, left_out: Iterable[str] = ()) -> list[str]:
    """Copy what a datablock plays into a channelbag, in place of curves with the same paths; the paths."""
    skipped, paths = set(left_out), []
    for curve in curves_of(owner):
        if curve.data_path not in skipped:
            _copy_curve(bag, curve)
            paths.append(curve.data_path)
    return paths


def _copy_curve(bag: Any, curve: Any) -> None:
    path, index = curve.data_path, curve.array_index
    copy = bag.fcurves.find(path, index=index) or bag.fcurves.new(path, index=index)
    copy.keyframe_points.clear()
    count = len(curve.keyframe_points)
    copy.keyframe_points.add(count)
    for field, (width, kind) in _KEY_FIELDS.items():
        values = np.empty(count * width, kind)
        curve.keyframe_points.foreach_get(field, values)
        copy.keyframe_points.foreach_set(field, values)
    copy.extrapolation, copy.mute = curve.extrapolation, curve.mute
    for modifier in list(copy.modifiers):
        copy.modifiers.remove(modifier)
    for modifier in curve.modifiers:
        _copy_settings(copy.modifiers.new(modifier.type), modifier)
    if curve.group is not None:
        _into_group(bag, copy, curve.group.name)
    copy.update()


def _into_group(bag: Any, curve: Any, name: str) -> None:
    """Put a curve under a title; Blender complains when it is there already."""
    if curve.group is None or curve.group.name != name:
        curve.group = bag.groups.get(name) or bag.groups.new(name)


def _copy_settings(to: Any, of: Any) -> None:
    for prop in of.bl_rna.properties:
        if not prop.is_readonly and prop.type not in {"POINTER", "COLLECTION"}:
            setattr(to, prop.identifier, getattr(of, prop.identifier))


def driven_paths(armature: bpy.types.Object) -> list[str]:
    """Data paths of pose bones that drivers move."""
    data = armature.animation_data
    drivers = data.drivers if data is not None else ()
    return sorted({d.data_path for d in drivers if d.data_path.startswith("pose.bones[") and not d.mute})


def undrive(rig: bpy.types.Object, paths: Iterable[str]) -> None:
    """Take drivers off, so that keys count."""
    data, unwanted = rig.animation_data, set(paths)
    if data is not None:
        for curve in [curve for curve in data.drivers if curve.data_path in unwanted]:
            data.drivers.remove(curve)


def sample_paths(owner: bpy.types.Object, paths: Sequence[str], frames: np.ndarray) -> dict[str, np.ndarray]:
    """(T, width) values of an object's properties as drivers make them.

    They are played in a scene of their own: in the user's, hair and clothes would be evaluated with every
    frame, half a second each.
    """
    rows: dict[str, list[Any]] = {path: [] for path in paths}
    if not paths:
        return {}
    stage: Any = bpy.data.scenes.new("Compression")
    try:
        stage.collection.objects.link(owner)
        for frame in frames:
            stage.frame_set(int(np.floor(frame)), subframe=float(frame % 1.0))
            evaluated = owner.evaluated_get(stage.view_layers[0].depsgraph)
            for path in paths:
                rows[path].append(np.atleast_1d(np.array(evaluated.path_resolve(path), np.float64)))
    finally:
        bpy.data.scenes.remove(stage)
    return {path: np.array(values) for path, values in rows.items() if values}


def write_paths(bag: Any, frames: np.ndarray, values: Mapping[str, np.ndarray]) -> list[str]:
    """Key properties (T, width) by data path."""
    for path, rows in values.items():
        for index, column in enumerate(rows.T):
            kept = slice(None) if np.ptp(column) > _STILL else slice(1)
            bpy_compat.write_fcurve(bag, path, index, frames[kept], column[kept])
    return list(values)
