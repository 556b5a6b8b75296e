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
from ...core.skin.carried import hang, moving_bones
from ...core.skin.compressed import CompressedSkin
from . import compressed_mesh as meshes
from . import compressed_place as place
from . import compressed_rig as rigs
from . import compressed_state as state
from . import compressed_weights as skinning
from .compressed_bake import BakeReport, bake
from .compressed_check import require_even
from .compressed_companions import copy_companions
from .compressed_space import deltas_of, motions_in_rig, points_in_rig, reach, to_rig
from .double import person_roots
from .shape_source import sample_values
from .workspace import preserved, scene_and_layer

__all__ = [
    "BakeReport",
    "CompressOptions",
    "bake",
    "build_compressed",
    "motions_in_rig",
    "points_in_rig",
    "to_rig",
]

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
    companions: bool = True
    """Bring copies of clothes, eyes and hair that go with the original."""


DEFAULTS = CompressOptions()


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
        if source is not None:
            require_even(source)
        if source is None:
            copy = meshes.own_mesh(context, skin, options.name or "Compressed")
        else:
            copy = meshes.copied_mesh(source, options.name or f"{source.name} Compressed")
        rig, fresh = _rig(scene, source or copy, copy, options.beside)
        layer.update()
        _add_face(context, source, copy, rig, skin, options)
        if source is not None:
            if fresh and options.companions:
                copy_companions(scene, source, copy, rig)
            _stand(scene, source, copy, rig, fresh, options.beside)
        layer.update()
    return copy


def _stand(
    scene: bpy.types.Scene,
    source: bpy.types.Object,
    copy: bpy.types.Object,
    rig: bpy.types.Object,
    fresh: bool,
    beside: bool,
) -> None:
    """Move the copy, and its armature unless that stands already, to their place."""
    armature = rig.get(state.RIG_SOURCE)
    if not fresh:
        aside = rig.matrix_world.translation - armature.matrix_world.translation
    elif beside:
        others = {state.rig_of(other) for other in state.compressed_objects(scene) if other != copy}
        rivals = [other for other in others if other.get(state.RIG_SOURCE) == armature and armature]
        same = [other for other in state.compressed_objects(scene) if state.source_of(other) == source]
        copies = [obj for obj in scene.objects if state.RIG_SOURCE in obj and obj != rig]
        standing = [*person_roots(scene), *copies]
        aside = place.step_aside(source, max(len(rivals) + 1, len(same)), standing)
    else:
        return
    moved = [rig] if fresh else []
    for obj in moved if copy.parent == rig else [*moved, copy]:
        place.shift(obj, aside)


def _check_fit(source: bpy.types.Object, skin: CompressedSkin) -> None:
    mesh: Any = source.data
    if source.type != "MESH" or len(mesh.vertices) != skin.n_vertices:
        count = len(mesh.vertices) if source.type == "MESH" else 0
        raise ModelError(
            f"The compressed skin has {skin.n_vertices} vertices and {source.name} has {count}.",
            "Compress the mesh again.",
        )


def _rig(
    scene: bpy.types.Scene, source: bpy.types.Object, copy: bpy.types.Object, beside: bool
) -> tuple[bpy.types.Object, bool]:
    """The armature of the copy, bound to it, and whether it was made for it: meshes of one armature come to
    stand on one again.
    """
    bound = state.armature_modifier(copy)
    if bound is None:
        rig = rigs.new_rig(source)
        place.hang_on_rig(copy, rig)
        bound = copy.modifiers.new("Compressed Armature", "ARMATURE")
        bound.object = rig
        copy.modifiers.move(len(copy.modifiers) - 1, 0)
        return rig, True
    armature = bound.object
    shared = _shared_rig(scene, source, armature, beside)
    rig = shared or rigs.copied_rig(armature, source)
    for modifier in copy.modifiers:
        if modifier.type == "ARMATURE" and modifier.object == armature:
            modifier.object = rig
    # Dual quaternions know no scale, and the face's bones need theirs.
    bound.use_deform_preserve_volume = False
    if copy.parent == armature:
        kept = copy.parent_type, copy.parent_bone, copy.matrix_parent_inverse.copy()
        copy.parent = rig
        copy.parent_type, copy.parent_bone, copy.matrix_parent_inverse = kept
    return rig, shared is None


def _shared_rig(
    scene: bpy.types.Scene, source: bpy.types.Object, armature: bpy.types.Object, beside: bool
) -> bpy.types.Object | None:
    """A copy of the armature on which other meshes of it stand already, and this one does not."""
    rigs_of_others: dict[bpy.types.Object, list[Any]] = {}
    for other in state.compressed_objects(scene):
        bound = state.armature_modifier(other)
        if bound is not None and bound.object.get(state.RIG_SOURCE) == armature:
            rigs_of_others.setdefault(bound.object, []).append(state.source_of(other))
    for rig, sources in rigs_of_others.items():
        apart = rig.matrix_world.translation - armature.matrix_world.translation
        if source not in sources and (apart.length > 1e-6) == beside:
            return rig
    return None


def _add_face(
    context: bpy.types.Context,
    source: bpy.types.Object | None,
    copy: bpy.types.Object,
    rig: bpy.types.Object,
    skin: CompressedSkin,
    options: CompressOptions,
) -> None:
    """Bones and weights."""
    deltas = None if source is None else deltas_of(source, skin)
    motion = reach(skin) if deltas is None else np.linalg.norm(deltas, axis=2).max(axis=0, initial=0.0)
    held = skinning.find_carriers(copy, rig, motion)
    skin, hung = hang(skin, held.shares, deltas)
    moving = moving_bones(skin)
    flags = np.isin(np.arange(skin.n_bones), moving).tolist()
    bones = rigs.bone_names(rig, copy, flags, options.bone_name, options.two_bone)
    weights, points = skin.weights[:, moving].astype(np.float64), points_in_rig(copy, rig)
    moved = points[motion > 1e-3 * motion.max(initial=0.0)]
    length = _BONE_LENGTH * float(np.linalg.norm(np.ptp(moved, axis=0))) if len(moved) else 0.1
    at, axes = trs.pivots(weights, points), _axes(context, source, copy, rig, skin)[moving]
    carriers = rigs.add_bones(context, rig, bones, held.bones, hung[moving], at, axes, length)
    skinning.write_weights(copy, carriers, bones.deforming, hung[moving], weights, held)
    state.keep_bones(copy, bones, source)
    state.keep_skin(copy.data, skin)  # type: ignore[arg-type]


def _axes(
    context: bpy.types.Context,
    source: bpy.types.Object | None,
    copy: bpy.types.Object,
    rig: bpy.types.Object,
    skin: CompressedSkin,
) -> np.ndarray:
    """(P, 3, 3) rest axes good for every shape, and for what the original plays now."""
    poses = np.eye(skin.n_shapes)
    if source is not None:
        values = sample_values(scene_and_layer(context)[0], source, skin.names)[1]
        poses = np.concatenate([poses, values[:: max(1, len(values) // (2 * len(poses)))]])
    return trs.bone_axes(motions_in_rig(skin, poses, copy, rig))
