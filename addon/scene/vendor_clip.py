# SPDX-License-Identifier: GPL-3.0-or-later
"""Play a model's clip: Blender's importer may leave it on muted tracks, apart for bones and shapes.

What carries the same blend shapes as the head plays the head's, though no clip names it: lashes, teeth.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from . import bpy_compat
from .double import tag
from .vendor_parts import Parts

ROLE = "leap_clip"


def play_clip(parts: Parts, clip: str | None, id: str, title: str) -> None:
    """Make the clip of this name, else the longest, what bones and shapes play."""
    played = [_activate(owner, clip) for owner in _owners(parts)]
    for action in {a for a, _slot in filter(None, played)}:
        if action.get("likeness_id") != id:
            tag(action, id, ROLE)
            action.name = f"{title} {action.name}"
    share_shapes(parts)


def _owners(parts: Parts) -> Iterator[Any]:
    """What can be animated: objects and shape keys."""
    for obj in parts.objects:
        yield obj
        keys = getattr(obj.data, "shape_keys", None)
        if keys is not None:
            yield keys


def _activate(owner: Any, clip: str | None) -> tuple[Any, Any] | None:
    """Assign the action of the clip's track, else of the longest; the tracks stay, muted, to choose from."""
    data = owner.animation_data
    if data is None:
        return None
    strips = [(track.name == clip, s.action) for track in data.nla_tracks for s in track.strips if s.action]
    slots = {s.action: s.action_slot for track in data.nla_tracks for s in track.strips if s.action}
    for track in data.nla_tracks:
        track.mute = True
    if strips:
        _named, action = max(strips, key=lambda pair: (pair[0], pair[1].frame_range[1]))
        bpy_compat.assign_action(owner, action, slots[action])
    return (data.action, data.action_slot) if data.action is not None else None


def _is_played(owner: Any) -> bool:
    data = owner.animation_data if owner is not None else None
    return data is not None and data.action is not None and data.action_slot is not None


def share_shapes(parts: Parts) -> None:
    """Let meshes that have blend shapes and no keys of their own play the head's."""
    source = parts.head.data.shape_keys
    if not _is_played(source):
        return
    for mesh in parts.meshes:
        keys = mesh.data.shape_keys
        if keys is not None and not _is_played(keys):
            bpy_compat.assign_action(keys, source.animation_data.action, source.animation_data.action_slot)


def lend_clip(donor: Parts, parts: Parts) -> None:
    """Let a model without a clip play another's: bones and shapes have the same names."""
    for giver, taker in (
        (donor.armature, parts.armature),
        (donor.head.data.shape_keys, parts.head.data.shape_keys),
    ):
        if taker is not None and _is_played(giver):
            data = giver.animation_data
            bpy_compat.assign_action(taker, data.action, data.action_slot)
    share_shapes(parts)


def keyed_bones(armature: Any) -> set[str]:
    """Names of the bones that the clip moves."""
    if not _is_played(armature):
        return set()
    _slot, bag = bpy_compat.channelbag(armature.animation_data.action, armature)
    paths = {curve.data_path for curve in bag.fcurves}
    return {path.split('"')[1] for path in paths if path.startswith('pose.bones["')}


def _actions(parts: Parts) -> set[Any]:
    """What is played."""
    return {owner.animation_data.action for owner in _owners(parts) if _is_played(owner)}


def last_frame(parts: Parts) -> float | None:
    """Scene frame of the last key, None where nothing is played."""
    return max((float(action.frame_range[1]) for action in _actions(parts)), default=None)


def shift(parts: Parts, frames: int) -> None:
    """Move the keys so that time zero, where the importer puts it at frame 0, lies at this frame."""
    if not frames:
        return
    for action in _actions(parts):
        strips: list[Any] = [strip for layer in action.layers for strip in layer.strips]
        for curve in (curve for strip in strips for bag in strip.channelbags for curve in bag.fcurves):
            for place in ("co", "handle_left", "handle_right"):
                values = np.empty(2 * len(curve.keyframe_points), np.float32)
                curve.keyframe_points.foreach_get(place, values)
                values[0::2] += frames
                curve.keyframe_points.foreach_set(place, values)
            curve.update()
