# SPDX-License-Identifier: GPL-3.0-or-later
"""`build_compressed` and `bake`: a mesh with shape keys as a mesh with bones beside it, and its action.

The face's bones hang on the bone that carries the face (without an armature, on a root bone), in a copy of
the original's armature, so that one armature and one action hold all of it. Motions are worked out in the
armature's coordinates; the mesh may stand in others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from ...core.errors import ModelError
from ...core.skin import trs
from ...core.skin.compressed import CompressedSkin
from ...core.skin.playback import bone_matrices
from . import bpy_compat, corrective
from . import compressed_action as curves
from . import compressed_mesh as meshes
from . import compressed_place as place
from . import compressed_rig as rigs
from . import compressed_state as state
from . import compressed_weights as skinning
from .compressed_error import ErrorReport, measure, write_error
from .shape_source import read_shapes, sample_values
from .workspace import preserved, scene_and_layer

_BONE_LENGTH = 0.03
"""Of the face's size, how long its bones are drawn."""


@dataclass(frozen=True)
class CompressOptions:
    """How a compressed object is made."""

    name: str = ""
    """Of the new object; empty for the original's with "Compressed"."""
    bone_name: str = "Face"
    """What the names of the bones begin with."""
    two_bone: bool = False
    """Two bones for each: holds the fit exactly, where one bone leaves some hundredths of a millimetre."""
    beside: bool = True
    """Beside the original, instead of in its place."""


DEFAULTS = CompressOptions()


@dataclass(frozen=True)
class BakeReport:
    """What baking wrote."""

    action: bpy.types.Action
    frames: np.ndarray
    """(T,) keyed scene frames."""
    bones: int
    error: ErrorReport | None
    """None where the original is not there to compare with."""


def build_compressed(
    context: bpy.types.Context,
    source: bpy.types.Object | None,
    skin: CompressedSkin,
    options: CompressOptions = DEFAULTS,
) -> bpy.types.Object:
    """A new mesh object with bones in place of shape keys; `bake` then lets it move.

    Without a source the skin's own mesh is made. Raises LikenessError when skin and source do not fit.
    """
    if source is not None:
        _check_fit(source, skin)
    with preserved(context):
        scene, layer = scene_and_layer(context)
        layer.update()
        places = 1 + sum(state.source_of(other) == source for other in state.compressed_objects(scene))
        aside = place.step_aside(source, places) if source is not None and options.beside else None
        if source is None:
            copy = meshes.own_mesh(context, skin, options.name or "Compressed")
        else:
            copy = meshes.copied_mesh(source, options.name or f"{source.name} Compressed")
        rig = _rig(source or copy, copy)
        layer.update()
        _add_face(context, source, copy, rig, skin, options)
        if aside is not None:
            for obj in (rig,) if copy.parent == rig else (rig, copy):
                place.shift(obj, aside)
        layer.update()
    return copy


def _check_fit(source: bpy.types.Object, skin: CompressedSkin) -> None:
    mesh: Any = source.data
    if source.type != "MESH" or len(mesh.vertices) != skin.n_vertices:
        count = len(mesh.vertices) if source.type == "MESH" else 0
        raise ModelError(
            f"The compressed skin has {skin.n_vertices} vertices and {source.name} has {count}.",
            "Compress the mesh again.",
        )


def bake(
    context: bpy.types.Context,
    obj: bpy.types.Object,
    frames: np.ndarray | None = None,
    values: np.ndarray | None = None,
) -> BakeReport:
    """Key the bones for what the original plays now, or for values (T, S) of the skin's shapes at `frames`.

    What was baked before is replaced; other curves of the action stay. Raises LikenessError when the
    original, a shape key or a bone is gone.
    """
    scene, layer = scene_and_layer(context)
    skin, bones, rig = state.skin_of(obj), state.bones_of(obj), state.rig_of(obj)
    source = state.source_of(obj)
    if frames is None or values is None:
        if source is None:
            raise ModelError(f"The original of {obj.name} is gone.", "Its action can no longer be updated.")
        frames, values = sample_values(scene, source, skin.names)
    layer.update()
    motions = motions_in_rig(skin, values, obj, rig)[:, bones.moving]
    at, axes = rigs.rest_frames(rig, bones.deforming)
    weights, points = skinning.shares(obj, rig, bones.deforming), points_in_rig(obj, rig)
    if bones.two_bone:
        found = trs.two_bones(motions, at, axes)
    else:
        found = trs.rotation_scale(motions, at, axes, trs.gram(weights, points, at))
    action = _action(obj, rig)
    paths = _write(scene, source, obj, rig, action, bones, frames, found)
    correctives = corrective.key_correctives(obj, action, frames, values, skin.names)
    report = None
    if source is not None:
        made, deltas = trs.matrices_of(found, at, axes), read_shapes(source)
        order = [deltas.names.index(name) for name in skin.names]
        there = np.array(to_rig(obj, rig))[:3, :3]
        turned = deltas.deltas[order] @ there.T.astype(np.float32)
        to_mm = np.array(rig.matrix_world)[:3, :3] * scene.unit_settings.scale_length * 1000.0
        posed = corrective.posed(obj, correctives, made, weights, there) if correctives else None
        report = measure(frames, made, weights, points, turned, values, to_mm, posed)
        paths["object"] += write_error(obj, curves.play(action, obj), report)
    _remove_stale(obj, rig, action, paths)
    state.keep_action(obj, action, paths)
    scene.frame_set(scene.frame_current, subframe=scene.frame_subframe)
    return BakeReport(action, frames, len(bones.deforming), report)


def motions_in_rig(
    skin: CompressedSkin, values: np.ndarray, obj: bpy.types.Object, rig: bpy.types.Object
) -> np.ndarray:
    """(T, P, 3, 4) motions of the skin's bones in the armature's coordinates."""
    motions = bone_matrices(skin, values)
    local = np.zeros((*motions.shape[:2], 4, 4))
    local[..., :3, :], local[..., 3, 3] = motions, 1.0
    local[..., :3, 3] += skin.centre - motions[..., :3] @ skin.centre
    there = np.array(to_rig(obj, rig), np.float64)
    return (there @ local @ np.linalg.inv(there))[..., :3, :]


def to_rig(obj: bpy.types.Object, rig: bpy.types.Object) -> Any:
    """From an object's coordinates to those of its armature."""
    return rig.matrix_world.inverted_safe() @ obj.matrix_world


def points_in_rig(obj: bpy.types.Object, rig: bpy.types.Object) -> np.ndarray:
    """(N, 3) vertices in the armature's coordinates."""
    there = np.array(to_rig(obj, rig), np.float64)
    return meshes.points_of(obj.data) @ there[:3, :3].T + there[:3, 3]


def _rig(source: bpy.types.Object, copy: bpy.types.Object) -> bpy.types.Object:
    """The armature of the copy, and the copy bound to it."""
    bound = state.armature_modifier(copy)
    if bound is None:
        rig = rigs.new_rig(source)
        place.hang_on_rig(copy, rig)
        bound = copy.modifiers.new("Compressed Armature", "ARMATURE")
        bound.object = rig
        copy.modifiers.move(len(copy.modifiers) - 1, 0)
        return rig
    armature = bound.object
    rig = rigs.copied_rig(armature, source)
    for modifier in copy.modifiers:
        if modifier.type == "ARMATURE" and modifier.object == armature:
            modifier.object = rig
    # Dual quaternions know no scale, and the face's bones need theirs.
    bound.use_deform_preserve_volume = False
    if copy.parent == armature:
        kept = copy.parent_type, copy.parent_bone, copy.matrix_parent_inverse.copy()
        copy.parent = rig
        copy.parent_type, copy.parent_bone, copy.matrix_parent_inverse = kept
    return rig


def _add_face(
    context: bpy.types.Context,
    source: bpy.types.Object | None,
    copy: bpy.types.Object,
    rig: bpy.types.Object,
    skin: CompressedSkin,
    options: CompressOptions,
) -> None:
    """Bones and weights."""
    motion = reach(skin)
    held = skinning.find_carrier(copy, rig, motion)
    moving = np.any(skin.transforms != 0.0, axis=(0, 2)) & np.any(skin.weights > 0.0, axis=0)
    bones = rigs.bone_names(rig, copy, moving.tolist(), options.bone_name, options.two_bone)
    weights = skinning.divided(skin.weights[:, moving].astype(np.float64), held.share)
    points = points_in_rig(copy, rig)
    moved = points[motion > 1e-3 * motion.max(initial=0.0)]
    length = _BONE_LENGTH * float(np.linalg.norm(np.ptp(moved, axis=0))) if len(moved) else 0.1
    poses = np.eye(skin.n_shapes)
    if source is not None:
        values = sample_values(scene_and_layer(context)[0], source, skin.names)[1]
        poses = np.concatenate([poses, values[:: max(1, len(values) // (2 * len(poses)))]])
    axes = trs.bone_axes(motions_in_rig(skin, poses, copy, rig)[:, moving])
    at = trs.pivots(weights, points)
    carrier = rigs.add_bones(context, rig, bones, held.bone, at, axes, length)
    skinning.write_weights(copy, carrier, bones.deforming, weights, held)
    state.keep_bones(copy, bones, source)
    state.keep_skin(copy.data, skin)  # type: ignore[arg-type]


def reach(skin: CompressedSkin) -> np.ndarray:
    """(N,) how far each vertex goes at most with one shape fully on, in the mesh's unit."""
    farthest = np.zeros(skin.n_vertices)
    for six in skin.transforms:
        blended = skin.weights @ six
        moved = np.cross(blended[:, :3], skin.rest) + blended[:, 3:]
        np.maximum(farthest, np.linalg.norm(moved, axis=1), out=farthest)
    return farthest


def _action(obj: bpy.types.Object, rig: bpy.types.Object) -> bpy.types.Action:
    found = state.action_of(obj)
    if found is None:
        found = bpy.data.actions.new(obj.name)
    return found


def _write(
    scene: bpy.types.Scene,
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
        sampled = curves.sample_paths(scene, armature, driven, frames)
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
