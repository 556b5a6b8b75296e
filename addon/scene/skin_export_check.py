# SPDX-License-Identifier: GPL-3.0-or-later
"""An exported file, read again by Blender's own importers and measured against the object in the scene."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils.kdtree import KDTree

from ...core.errors import ModelError
from .skin_export_stage import armature_of, plain_rate, vertices_at, within
from .vendor_gltf import datablocks, new_since

_NEAR = 2e-5
"""How far two equal rest positions may lie apart, as a share of the mesh's size: float32 and changed axes."""


@dataclass(frozen=True)
class Found:
    """What the file holds."""

    meshes: tuple[Any, ...]
    armature: Any
    step: float
    """Frames between two samples in the scene of the import."""


@dataclass(frozen=True)
class Measured:
    """How far the file's vertices are from the scene's, over the frames looked at."""

    mean: float
    """mm"""
    maximum: float
    """mm"""
    frames: int
    """How many were looked at."""
    bones: int
    """In the file."""
    vertices: int
    """In the file: more than in the scene where normals or texture coordinates have a seam."""


def read_again(scene: bpy.types.Scene, path: Path) -> Found:
    """Import a file into a scene of ours. ModelError when Blender cannot read it or finds no skinned mesh."""
    before, step = datablocks(), 1.0
    try:
        with within(scene):
            if path.suffix == ".fbx":
                rate = scene.render.fps / scene.render.fps_base
                bpy.ops.import_scene.fbx(filepath=str(path), anim_offset=0.0, use_anim=True)
                # The importer sets the scene's rate, then puts keys at seconds times `fps` without its base.
                step = scene.render.fps / rate
            else:
                with plain_rate(scene):
                    bpy.ops.import_scene.gltf(filepath=str(path), disable_bone_shape=True)
    except RuntimeError as problem:
        said = (str(problem).strip().splitlines() or ["it gave no reason"])[-1]
        raise ModelError(f"Blender cannot read the {path.name} that it wrote: {said[:200]}") from problem
    objects = [block for block in new_since(before) if isinstance(block, bpy.types.Object)]
    meshes = [o for o in objects if o.type == "MESH" and any(m.type == "ARMATURE" for m in o.modifiers)]
    if not meshes:
        raise ModelError(f"{path.name} came back without a mesh on bones.", "Export it with another format.")
    return Found(tuple(meshes), armature_of(meshes[0]), step)


def measure(
    scene: bpy.types.Scene,
    found: Found,
    meshes: Sequence[Any],
    wanted: np.ndarray,
    at: Sequence[int],
) -> Measured:
    """Distances of the file's vertices at frames `at` from (L, N, 3) `wanted`, world coordinates in
    metres.

    `meshes` are the copies that were exported: their rest tells which vertex is which.
    """
    with _at_rest(found):
        rows = _rows_of(scene, found, meshes)
    distances = []
    for frame, points in zip(at, wanted, strict=True):
        whole, part_of = divmod(frame * found.step, 1.0)
        scene.frame_set(int(whole), subframe=part_of)
        there = np.concatenate([vertices_at(scene, part) for part in found.meshes])
        distances.append(np.linalg.norm(there - points[rows], axis=1))
    every = np.array(distances) * 1000.0
    return Measured(
        float(every.mean()), float(every.max()), len(at), len(found.armature.data.bones), len(rows)
    )


@contextmanager
def _at_rest(found: Found) -> Iterator[None]:
    """Neither bones nor shape keys move what was imported, whatever its action says."""
    keys = [part.data.shape_keys for part in found.meshes if part.data.shape_keys is not None]
    blocks = [block for key in keys for block in key.key_blocks if not block.mute]
    found.armature.data.pose_position = "REST"
    for block in blocks:
        block.mute = True
    try:
        yield
    finally:
        found.armature.data.pose_position = "POSE"
        for block in blocks:
            block.mute = False


def _rows_of(scene: bpy.types.Scene, found: Found, meshes: Sequence[Any]) -> np.ndarray:
    """The vertex of all `meshes` in a row that each vertex of the file is, by place at rest.

    Where several lie there, as on closed lips, the one with the same weights: those that share both move
    alike.
    """
    scene.frame_set(0)
    points = np.concatenate([vertices_at(scene, part) for part in found.meshes])
    own = np.concatenate([rest_of(mesh) for mesh in meshes])
    size = float(np.ptp(own, axis=0).max())
    tree = KDTree(len(own))
    for index, point in enumerate(own):
        tree.insert(point, index)
    tree.balance()
    theirs = [entry for part in found.meshes for entry in _weights_of(part)]
    ours = [entry for mesh in meshes for entry in _weights_of(mesh)]
    rows = np.empty(len(points), np.int64)
    for index, point in enumerate(points):
        near = tree.find_range(point, _NEAR * size)
        if not near:
            raise ModelError(
                "The file came back with vertices where the object has none.",
                "Apply its scale, then compress it again.",
            )
        rows[index] = min((_unlike(theirs[index], ours[n]), d, n) for _, n, d in near)[2]
    return rows


def rest_of(mesh: Any) -> np.ndarray:
    """(N, 3) world coordinates of a mesh's vertices without its modifiers."""
    points = np.empty(3 * len(mesh.data.vertices), np.float32)
    mesh.data.vertices.foreach_get("co", points)
    world = np.array(mesh.matrix_world)
    return points.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3]


def _weights_of(mesh: Any) -> list[dict[str, float]]:
    """The weights of each vertex by name of the bone."""
    names = [group.name for group in mesh.vertex_groups]
    return [{names[e.group]: e.weight for e in vertex.groups} for vertex in mesh.data.vertices]


def _unlike(some: dict[str, float], others: dict[str, float]) -> float:
    """How different two vertices' weights are."""
    return round(sum(abs(some.get(name, 0.0) - others.get(name, 0.0)) for name in {*some, *others}), 3)
