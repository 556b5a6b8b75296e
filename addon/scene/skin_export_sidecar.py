# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidecar of an exported file: the skin that a compressed object keeps, in the file's coordinates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...core.skin.sidecar import GLTF_AXES, Y_UP, Sidecar, placed, sidecar_of
from .compressed_state import bones_of, rig_of, skin_of


def sidecar_for(obj: Any, copies: tuple[Any, Any], kind: str, name: str) -> Sidecar:
    """How to drive the bones of a compressed object in the file `name`, GLB or FBX, in the coordinates of the
    file's vertices: a .glb has those of its scene, an .fbx those of the mesh.

    `copies` are mesh and armature as they were exported, in a scene in metres.
    Raises LikenessError when the object has lost its skin or a bone.
    """
    mesh, armature = (np.array(copy.matrix_world) for copy in copies)
    skin, bones = skin_of(obj), bones_of(obj)
    data: Any = rig_of(obj).data
    carriers = [data.bones[keyed].parent for keyed in bones.keyed]
    plain = sidecar_of(
        skin,
        bone_names=[name or None for name in bones.names],
        parents=[bone.name if bone is not None else "" for bone in carriers],
        mesh=name,
    )
    heads = np.array([data.bones[bone].head_local for bone in bones.deforming]).reshape(-1, 3)
    if kind == "GLB":
        moved = placed(plain, Y_UP @ mesh, GLTF_AXES, 1.0)
        there = Y_UP @ armature
    else:
        size = float(np.cbrt(abs(np.linalg.det(mesh[:3, :3]))))
        moved = replace(plain, unit_in_metres=size)
        there = np.linalg.inv(mesh) @ armature
    return replace(moved, pivots=(heads @ there[:3, :3].T + there[:3, 3]).astype(np.float32))
