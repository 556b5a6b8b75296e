# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape keys of any mesh as arrays: what each adds to the neutral, and how far each is on at each frame.

Coordinates are the object's own. A key counts as Blender evaluates it: from the key that it is relative to,
weighted by its vertex group.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from ...core.errors import ModelError, SettingsError


@dataclass(frozen=True)
class ShapeSource:
    """A neutral mesh and its shapes."""

    names: tuple[str, ...]
    """(S,) of the keys, without the one that holds the neutral."""
    rest: np.ndarray
    """(N, 3) float32"""
    deltas: np.ndarray
    """(S, N, 3) float32: a shape at 1 minus the neutral."""
    faces: np.ndarray
    """(F, k) int32 vertices of each polygon, shorter ones padded with -1."""


def read_shapes(obj: bpy.types.Object) -> ShapeSource:
    """The shapes of a mesh object, muted ones too. Raises LikenessError where there are none to read."""
    keys = shape_keys_of(obj)
    reference = keys.reference_key
    blocks = [block for block in keys.key_blocks if block != reference]
    rest = _points(reference)
    deltas = np.empty((len(blocks), *rest.shape), np.float32)
    known = {reference.name: rest}
    for delta, block in zip(deltas, blocks, strict=True):
        from_name = block.relative_key.name
        if from_name not in known:
            known[from_name] = _points(block.relative_key)
        np.subtract(_points(block), known[from_name], out=delta)
        weights = _group_weights(obj, block.vertex_group)
        if weights is not None:
            delta *= weights[:, None]
    return ShapeSource(tuple(block.name for block in blocks), rest, deltas, faces_of(obj.data))


def shape_keys_of(obj: bpy.types.Object | None) -> Any:
    """The Key of a mesh that can be compressed; a sentence why not otherwise."""
    if obj is None or obj.type != "MESH":
        raise SettingsError("No mesh is chosen.", "Select a mesh that has shape keys.")
    mesh: Any = obj.data
    keys = mesh.shape_keys
    if keys is None or len(keys.key_blocks) < 2:
        raise ModelError(f"{obj.name} has no shape keys.", "Select a mesh that has some beside its Basis.")
    if not keys.use_relative:
        raise ModelError(
            f"The shape keys of {obj.name} are absolute: they follow each other in time.",
            "Turn Relative on in the properties of its shape keys.",
        )
    if obj.mode == "EDIT":
        raise SettingsError(f"{obj.name} is being edited.", "Leave edit mode first.")
    return keys


def faces_of(mesh: Any) -> np.ndarray:
    """(F, k) int32 polygons of a mesh, padded with -1; (0, 3) where there are none."""
    starts, totals = (np.empty(len(mesh.polygons), np.int32) for _ in range(2))
    mesh.polygons.foreach_get("loop_start", starts)
    mesh.polygons.foreach_get("loop_total", totals)
    corners = np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("vertex_index", corners)
    columns = np.arange(totals.max(initial=3))
    inside = columns < totals[:, None]
    faces = np.full(inside.shape, -1, np.int32)
    faces[inside] = corners[(starts[:, None] + columns)[inside]]
    return faces


def sample_values(
    scene: bpy.types.Scene, obj: bpy.types.Object, names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """(T,) frames, and (T, S) float32 how far each of these keys is on, as Blender plays them.

    The frames are the whole ones of the keys' action, or of the scene where nothing is keyed. Curves are
    evaluated by themselves; drivers and NLA strips need the scene to be played once, after which it shows
    the frame that it did before.
    """
    keys = shape_keys_of(obj)
    gone = [name for name in names if name not in keys.key_blocks]
    if gone:
        raise ModelError(
            f"{obj.name} has no shape key {gone[0]} any more.", "Name it as before, or compress anew."
        )
    frames = _frames(scene, keys)
    if needs_playing(keys):
        return frames, _played(scene, keys, names, frames)
    return frames, _from_curves(keys, names, frames)


def needs_playing(keys: Any) -> bool:
    """Whether F-Curves of values alone do not tell the values: there are drivers, NLA tracks, or animated
    limits and mutes.
    """
    data = keys.animation_data
    if data is None:
        return False
    strips = len(data.nla_tracks) > 0 and data.use_nla
    return strips or len(data.drivers) > 0 or any(not _is_value(c.data_path) for c in _curves(keys))


def _frames(scene: bpy.types.Scene, keys: Any) -> np.ndarray:
    data = keys.animation_data
    if data is not None and data.action is not None and _curves(keys):
        first, last = data.action.frame_range
    else:
        first, last = scene.frame_start, scene.frame_end
    return np.arange(math.floor(first), math.ceil(last) + 1, dtype=np.float64)


def _curves(keys: Any) -> list[Any]:
    """The F-Curves that play on shape keys, save for those of the absolute kind's time."""
    data = keys.animation_data
    if data is None or data.action is None or data.action_slot is None:
        return []
    bags = (
        strip.channelbag(data.action_slot)
        for layer in data.action.layers
        for strip in layer.strips
        if strip.type == "KEYFRAME"
    )
    found = [curve for bag in bags if bag is not None for curve in bag.fcurves]
    return [curve for curve in found if curve.data_path.startswith("key_blocks[")]


def _is_value(path: str) -> bool:
    return path.endswith("].value")


def _from_curves(keys: Any, names: Sequence[str], frames: np.ndarray) -> np.ndarray:
    curves = {curve.data_path: curve for curve in _curves(keys) if not _is_silent(curve)}
    values = np.zeros((len(frames), len(names)), np.float32)
    for column, name in zip(values.T, names, strict=True):
        block = keys.key_blocks[name]
        if block.mute:
            continue
        curve = curves.get(f"{block.path_from_id()}.value")
        if curve is None:
            column[:] = block.value
            continue
        column[:] = [curve.evaluate(frame) for frame in frames]
        # Blender clips to the slider when it applies a curve.
        np.clip(column, block.slider_min, block.slider_max, out=column)
    return values


def _is_silent(curve: Any) -> bool:
    """Whether Blender passes over a curve."""
    empty = len(curve.keyframe_points) + len(curve.sampled_points) + len(curve.modifiers) == 0
    return curve.mute or empty or (curve.group is not None and curve.group.mute)


def _played(scene: bpy.types.Scene, keys: Any, names: Sequence[str], frames: np.ndarray) -> np.ndarray:
    now, part = scene.frame_current, scene.frame_subframe
    values = np.zeros((len(frames), len(names)), np.float32)
    try:
        for row, frame in zip(values, frames, strict=True):
            scene.frame_set(int(frame))
            blocks = keys.evaluated_get(bpy.context.evaluated_depsgraph_get()).key_blocks
            row[:] = [0.0 if blocks[name].mute else blocks[name].value for name in names]
    finally:
        scene.frame_set(now, subframe=part)
    return values


def _points(block: Any) -> np.ndarray:
    """(N, 3) float32 coordinates of a key."""
    points = np.empty(3 * len(block.data), np.float32)
    block.data.foreach_get("co", points)
    return points.reshape(-1, 3)


def _group_weights(obj: bpy.types.Object, name: str) -> np.ndarray | None:
    """(N,) float32 weights of a vertex group; None where there is no such group, which Blender ignores."""
    group = obj.vertex_groups.get(name) if name else None
    if group is None:
        return None
    mesh: Any = obj.data
    weights = np.zeros(len(mesh.vertices), np.float32)
    for vertex in mesh.vertices:
        for element in vertex.groups:
            if element.group == group.index:
                weights[vertex.index] = element.weight
    return weights
