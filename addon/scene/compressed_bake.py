# SPDX-License-Identifier: GPL-3.0-or-later
"""`bake`: what the original's shape keys and armature play, as keys of the compressed object's bones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from ...core.errors import ModelError
from ...core.skin import trs
from . import bpy_compat, corrective
from . import compressed_action as curves
from . import compressed_rig as rigs
from . import compressed_state as state
from . import compressed_weights as skinning
from .compressed_check import require_unchanged
from .compressed_error import ErrorReport, measure, write_error
from .compressed_space import deltas_of, motions_in_rig, points_in_rig, to_rig
from .shape_source import sample_values
from .workspace import scene_and_layer

_STILL = 1e-6
"""Values of shape keys that stay below move nothing."""


@dataclass(frozen=True)
class BakeReport:
    """What baking wrote."""

    action: bpy.types.Action
    frames: np.ndarray
    """(T,) keyed scene frames."""
    bones: int
    error: ErrorReport | None
    """None where the original is not there to compare with."""


def bake(
    context: bpy.types.Context,
    obj: bpy.types.Object,
    frames: np.ndarray | None = None,
    values: np.ndarray | None = None,
) -> BakeReport:
    """Key the bones for what the original plays now, or for values (T, S) of the skin's shapes at `frames`.

    What was baked before is replaced; other curves of the action stay. Raises LikenessError when the
    original, a shape key or a bone is gone, or a mesh is another than then.
    """
    scene, layer = scene_and_layer(context)
    skin, bones, rig = state.skin_of(obj), state.bones_of(obj), state.rig_of(obj)
    source = state.source_of(obj)
    if frames is None or values is None:
        if source is None:
            raise ModelError(f"The original of {obj.name} is gone.", "Its action can no longer be updated.")
        frames, values = sample_values(scene, source, skin.names)
    layer.update()
    if source is not None:
        require_unchanged(source, obj, skin)
    at, axes = rigs.rest_frames(rig, bones.deforming)
    weights, points = skinning.shares(obj, rig, bones.deforming), points_in_rig(obj, rig)

    def played(amounts: np.ndarray) -> trs.Channels | trs.BonePair:
        motions = motions_in_rig(skin, amounts, obj, rig)[:, bones.moving]
        if bones.two_bone:
            return trs.two_bones(motions, at, axes)
        return trs.rotation_scale(motions, at, axes, trs.gram(weights, points, at))

    found = played(values)
    action = _action(scene, obj, rig)
    paths = _write(source, obj, rig, action, bones, frames, found)
    correctives = corrective.key_correctives(obj, action, frames, values, skin.names)
    report = None
    if source is not None:
        there = np.array(to_rig(obj, rig))[:3, :3]
        turned = deltas_of(source, skin) @ there.T.astype(np.float32)
        to_mm = np.array(rig.matrix_world)[:3, :3] * scene.unit_settings.scale_length * 1000.0

        def measured(at_frames: np.ndarray, channels: Any, amounts: np.ndarray, keyed: Any) -> ErrorReport:
            made = trs.matrices_of(channels, at, axes)
            posed = corrective.posed(obj, keyed, made, weights, there) if keyed else None
            return measure(at_frames, made, weights, points, turned, amounts, to_mm, posed)

        report = measured(frames, found, values, correctives)
        if np.abs(values).max(initial=0.0) < _STILL:
            each = np.eye(skin.n_shapes, dtype=np.float32)
            shapes = corrective.correctives_of(obj).items()
            keyed = {key: each[:, skin.names.index(shape)] for key, shape in shapes}
            alone = measured(np.arange(len(each)), played(each), each, keyed)
            report = report.of_shapes(skin.names, alone)
        paths["object"] += write_error(obj, curves.play(action, obj), report)
    _remove_stale(obj, rig, action, paths)
    state.keep_action(obj, action, paths)
    scene.frame_set(scene.frame_current, subframe=scene.frame_subframe)
    return BakeReport(action, frames, len(bones.deforming), report)


def _action(scene: bpy.types.Scene, obj: bpy.types.Object, rig: bpy.types.Object) -> bpy.types.Action:
    """The action of an object, which is that of all compressed meshes on its armature."""
    others = (other for other in state.compressed_objects(scene) if state.rig_of(other) == rig)
    found = (state.action_of(one) for one in (obj, *others))
    return next((action for action in found if action is not None), None) or bpy.data.actions.new(obj.name)


def _write(
    source: bpy.types.Object | None,
    obj: bpy.types.Object,
    rig: bpy.types.Object,
    action: bpy.types.Action,
    bones: state.FaceBones,
    frames: np.ndarray,
    found: trs.Channels | trs.BonePair,
) -> dict[str, list[str]]:
    """Key the pose of the original's armature and the face; data paths on the armature and on the object."""
    bag = curves.play(action, rig)
    paths: dict[str, list[str]] = {"rig": [], "object": []}
    armature = rig.get(state.RIG_SOURCE)
    if isinstance(armature, bpy.types.Object):
        driven = curves.driven_paths(armature)
        paths["rig"] += curves.copy_curves(bag, armature, driven)
        sampled = curves.sample_paths(armature, driven, frames)
        curves.undrive(rig, driven)
        paths["rig"] += curves.write_paths(bag, frames, sampled)
        if source is not None and curves.curves_of(source):
            paths["object"] += curves.copy_curves(curves.play(action, obj), source)
    elif source is not None:
        paths["rig"] += curves.copy_curves(bag, source)
    paths["rig"] += curves.write_bones(bag, bones, frames, found)
    return paths


def _remove_stale(
    obj: bpy.types.Object, rig: bpy.types.Object, action: bpy.types.Action, paths: dict[str, list[str]]
) -> None:
    """Take away what an earlier bake wrote and this one did not."""
    before = state.baked_paths(obj)
    for key, owner in (("rig", rig), ("object", obj)):
        stale = set(before.get(key, ())) - set(paths[key])
        if stale:
            bpy_compat.remove_fcurves(curves.play(action, owner), stale)
