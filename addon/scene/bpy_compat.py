# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between Blender 4.5, 5.0 and 5.2, in one place, and F-Curves written in bulk."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import bpy
import numpy as np

EEVEE = "BLENDER_EEVEE" if bpy.app.version >= (5, 0, 0) else "BLENDER_EEVEE_NEXT"
"""The engine's identifier in this version."""


NAMED_SLOTS = ("Confidence", "Face Texture")
"""Slots that are not for the first datablock of their kind that comes along."""


def _enum_value(owner: str, prop: str, item: str) -> int:
    return getattr(bpy.types, owner).bl_rna.properties[prop].enum_items[item].value


def use_nodes(owner: Any) -> None:
    """Turn nodes on where they can be off; from 5.0 they always are on, and the switch warns."""
    if bpy.app.version < (5, 0, 0):
        owner.use_nodes = True


def channelbag(action: bpy.types.Action, owner: Any, name: str = "") -> tuple[Any, Any]:
    """(slot, channelbag) of `action` for a datablock, made where they are missing.

    The slot is the one the datablock uses already, else the first of its kind, else a new one. With a
    `name` it is the slot of that name, which only those get who ask for it.
    """
    data = owner.animation_data
    slot = data.action_slot if data is not None and data.action == action else None
    if slot is None:
        slot = next((s for s in action.slots if _fits(s, owner, name)), None)
    if slot is None:
        slot = action.slots.new(id_type=owner.id_type, name=name or owner.name)
    layer = action.layers[0] if len(action.layers) else action.layers.new("Layer")
    strip: Any = layer.strips[0] if len(layer.strips) else layer.strips.new(type="KEYFRAME")
    return slot, strip.channelbag(slot, ensure=True)


def _fits(slot: Any, owner: Any, name: str) -> bool:
    title = slot.name_display
    return slot.target_id_type == owner.id_type and (title == name if name else title not in NAMED_SLOTS)


def assign_action(owner: Any, action: bpy.types.Action, slot: Any) -> None:
    """Make `owner` play this slot of the action."""
    data = owner.animation_data or owner.animation_data_create()
    data.action = action
    data.action_slot = slot


def write_fcurve(
    bag: Any, path: str, index: int, frames: np.ndarray, values: np.ndarray, interpolation: str = "LINEAR"
) -> None:
    """Replace the keys of one F-Curve: frames and values (n,), LINEAR or CONSTANT. Other F-Curves stay."""
    curve = bag.fcurves.find(path, index=index) or bag.fcurves.new(path, index=index)
    points, count = curve.keyframe_points, len(frames)
    if len(points) != count:
        points.clear()
        points.add(count)
    pairs = np.empty(2 * count, np.float32)
    pairs[0::2], pairs[1::2] = frames, values
    points.foreach_set("co", pairs)
    points.foreach_set("interpolation", np.full(count, _INTERPOLATION[interpolation], np.int32))
    for side in ("handle_left_type", "handle_right_type"):
        points.foreach_set(side, np.full(count, _AUTO, np.int32))
    curve.update()


def remove_fcurves(bag: Any, paths: Iterable[str]) -> None:
    """Take away the F-Curves with these data paths."""
    unwanted = set(paths)
    for curve in [curve for curve in bag.fcurves if curve.data_path in unwanted]:
        bag.fcurves.remove(curve)


def strip_start(strip: Any) -> float:
    """Scene frame at which a strip's content starts; 5.2 has another name for it and warns of the old one."""
    return float(strip.content_start if hasattr(strip, "content_start") else strip.frame_start)


def move_strip(strip: Any, frame: int) -> None:
    """Let a strip's content start at this scene frame."""
    setattr(strip, "content_start" if hasattr(strip, "content_start") else "frame_start", float(frame))


def set_strip_length(strip: Any, frames: int) -> None:
    """Show this many frames of a strip."""
    name = "duration" if hasattr(strip, "left_handle") else "frame_final_duration"
    setattr(strip, name, frames)


def set_movie_format(settings: Any) -> None:
    """Make image settings write a movie; 5.0 asks for the kind of media first."""
    if hasattr(settings, "media_type"):
        settings.media_type = "VIDEO"
    settings.file_format = "FFMPEG"


def set_png_format(settings: Any, depth: str = "8") -> None:
    """Make image settings write RGB PNG files of this depth."""
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format = "PNG"
    settings.color_mode = "RGB"
    settings.color_depth = depth
    settings.compression = 15


_INTERPOLATION = {name: _enum_value("Keyframe", "interpolation", name) for name in ("LINEAR", "CONSTANT")}
_AUTO = _enum_value("Keyframe", "handle_left_type", "AUTO_CLAMPED")
