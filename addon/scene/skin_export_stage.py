# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene of its own for an export: the object as it is for measuring, and a copy as the file shall hold it.

Nothing in it is the user's, and all of it goes away again; only names are lent to the copies meanwhile.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import bpy
import numpy as np

from ...core import rotation
from ...core.errors import ModelError
from .vendor_gltf import datablocks, discard, new_since

STUDIED = 64
"""About how many frames are looked at when weights are left out."""


@dataclass(frozen=True)
class Motion:
    """What an armature does, frame by frame."""

    bones: dict[str, np.ndarray]
    """(T, 10) location, quaternion and scale channels of each bone."""
    world: np.ndarray
    """(T, 4, 4) the armature's place."""
    poses: dict[str, np.ndarray]
    """(F, 4, 4) what each bone does to points of the armature, at some of the frames."""


@dataclass(frozen=True)
class Part:
    """What a mesh on it does."""

    place: np.ndarray
    """(4, 4) at the first frame, which it keeps relative to the armature."""
    points: np.ndarray
    """(L, N, 3) its vertices at the frames that are looked at, world coordinates."""
    keys: dict[str, np.ndarray]
    """(T,) values of its shape keys."""


@contextmanager
def stage(like: bpy.types.Scene, name: str) -> Iterator[bpy.types.Scene]:
    """A new scene in metres with the rate of `like`. It and whatever came after it is removed at the end."""
    before = datablocks()
    try:
        scene = bpy.data.scenes.new(name)
        scene.unit_settings.system, scene.unit_settings.scale_length = "METRIC", 1.0
        scene.render.fps, scene.render.fps_base = like.render.fps, like.render.fps_base
        yield scene
    finally:
        discard(new_since(before))


@contextmanager
def within(scene: bpy.types.Scene) -> Iterator[None]:
    """Operators called inside work on this scene; the window shows the user's again at the end.

    A context override is not enough: the exporters ask for the active object, which is the window's.
    """
    window: Any = bpy.context.window or bpy.context.window_manager.windows[0]
    shown, layer = window.scene, window.view_layer
    try:
        window.scene = scene
        with bpy.context.temp_override(window=window), calm():
            yield
    finally:
        window.scene, window.view_layer = shown, layer


@contextmanager
def calm() -> Iterator[None]:
    """Blender's own scripts may use what a library calls old; a warning turned error must not end them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@contextmanager
def plain_rate(scene: bpy.types.Scene) -> Iterator[None]:
    """Exporter and importer of glTF take the rate to be `fps` times `fps_base`, where it is their ratio."""
    kept = scene.render.fps, scene.render.fps_base
    rate = kept[0] / kept[1]
    scene.render.fps, scene.render.fps_base = max(1, ceil(rate)), rate / max(1, ceil(rate))
    try:
        yield
    finally:
        scene.render.fps, scene.render.fps_base = kept


@contextmanager
def lent_names(pairs: Sequence[tuple[Any, Any]]) -> Iterator[None]:
    """Each copy has the name of its original, as the file shall say it; the originals get theirs back."""
    ours = {original: (copy, original.name) for original, copy in pairs if original.library is None}
    try:
        for original, (copy, name) in ours.items():
            original.name = f"{name[:48]} (exporting)"
            copy.name = name
        yield
    finally:
        for copy, name in ours.values():
            copy.name = f"{name[:48]} (exported)"
        for original, (_copy, name) in ours.items():
            original.name = name


def add_reference(scene: bpy.types.Scene, obj: bpy.types.Object) -> bpy.types.Object:
    """The object as it moves now, on the user's own armature, without what other modifiers add."""
    reference = obj.copy()
    kept = next(m for m in reference.modifiers if m.type == "ARMATURE" and m.object is not None)
    for modifier in [m for m in reference.modifiers if m != kept]:
        reference.modifiers.remove(modifier)
    kept.show_viewport, reference.hide_viewport = True, False
    scene.collection.objects.link(reference)
    return reference


def armature_of(obj: bpy.types.Object) -> bpy.types.Object:
    """The armature that moves a mesh."""
    found = [m.object for m in obj.modifiers if m.type == "ARMATURE" and m.object is not None]
    if not found:
        raise ModelError(f"{obj.name} has no armature.", "Compress a mesh with shape keys to bones first.")
    return found[0]


def _graph(scene: bpy.types.Scene) -> Any:
    """What was evaluated by the last `frame_set`."""
    return scene.view_layers[0].depsgraph


def vertices_at(scene: bpy.types.Scene, obj: bpy.types.Object) -> np.ndarray:
    """(N, 3) world coordinates of an object of the scene as evaluated last."""
    evaluated = obj.evaluated_get(_graph(scene))
    mesh: Any = evaluated.data
    points = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", points)
    world = np.array(evaluated.matrix_world)
    return points.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3]


def sample(
    scene: bpy.types.Scene, references: Sequence[Any], frames: Sequence[int], looked_at: Sequence[int]
) -> tuple[Motion, list[Part]]:
    """The motion over `frames` of the references' armature and of each of them, with vertices at some."""
    armature = armature_of(references[0])
    names = [bone.name for bone in armature.data.bones]
    channels, worlds = np.empty((len(names), len(frames), 10)), []
    poses = {name: [] for name in names}
    places, points = [], [[] for _ in references]
    keys = [{name: np.zeros(len(frames)) for name in _key_names(part)} for part in references]
    for t, frame in enumerate(frames):
        scene.frame_set(frame)
        posed = armature.evaluated_get(_graph(scene))
        back = _without_offset(posed)
        worlds.append(back @ np.array(posed.matrix_world))
        if not places:
            placed = (part.evaluated_get(_graph(scene)) for part in references)
            places = [back @ np.array(part.matrix_world) for part in placed]
        studied = t % max(1, len(frames) // STUDIED) == 0
        for row, name in zip(channels, names, strict=True):
            bone = posed.pose.bones[name]
            row[t] = _channels(posed, bone)
            if studied:
                poses[name].append(np.array(bone.matrix @ bone.bone.matrix_local.inverted_safe()))
        for part, values, seen in zip(references, keys, points, strict=True):
            for name, row in values.items():
                row[t] = _key_value(scene, part, name)
            if frame in looked_at:
                seen.append(vertices_at(scene, part) + back[:3, 3])
    channels[:, :, 3:7] = [rotation.continuous(row) for row in channels[:, :, 3:7]]
    parts = [Part(*values) for values in zip(places, map(np.array, points), keys, strict=True)]
    studies = {name: np.array(matrices) for name, matrices in poses.items()}
    return Motion(dict(zip(names, channels, strict=True)), np.array(worlds), studies), parts


def in_metres(motion: Motion, parts: Sequence[Part], unit: float) -> tuple[Motion, list[Part]]:
    """The same in a scene whose unit is a metre; `unit` is the length of 1 now. Blender's glTF exporter takes
    any unit for metres, and its importer does not.
    """
    scale = np.diag([unit, unit, unit, 1.0])
    scaled = [replace(part, place=scale @ part.place, points=unit * part.points) for part in parts]
    return replace(motion, world=scale @ motion.world), scaled


def _key_names(mesh: Any) -> list[str]:
    """Of the shape keys after the Basis."""
    return (
        [] if mesh.data.shape_keys is None else [block.name for block in mesh.data.shape_keys.key_blocks[1:]]
    )


def _without_offset(armature: Any) -> np.ndarray:
    """(4, 4) the way back from where compressing put the armature aside, to where the original stands."""
    carrier = armature.matrix_world @ armature.matrix_basis.inverted_safe()
    back = np.eye(4)
    back[:3, 3] = -np.array(carrier.to_3x3() @ armature.delta_location)
    return back


def _channels(armature: Any, bone: Any) -> np.ndarray:
    """Location, quaternion and scale that put a bone where drivers, constraints and keys have put it."""
    basis = armature.convert_space(pose_bone=bone, matrix=bone.matrix, from_space="POSE", to_space="LOCAL")
    place, turn, size = basis.decompose()
    return np.array([*place, *turn, *size])


def _key_value(scene: bpy.types.Scene, reference: bpy.types.Object, name: str) -> float:
    """A shape key's value as evaluated; a muted key does nothing."""
    keys = reference.data.shape_keys.evaluated_get(_graph(scene))
    block = keys.key_blocks[name]
    return 0.0 if block.mute else block.value
