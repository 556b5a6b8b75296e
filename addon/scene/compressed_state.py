# SPDX-License-Identifier: GPL-3.0-or-later
"""What a compressed object knows of itself: its skin, its bones, where it came from. All of it is saved with
the file, so that it can be baked again without any other.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...core.errors import ModelError
from ...core.skin.compressed import CompressedSkin

_SKIN = "likeness_skin"
"""Of the mesh, bytes of a sparse result.npz."""
_BONES = "likeness_skin_bones"
"""Of the object, JSON: the bone that each bone of the skin became, "" for those that never move."""
_SOURCE = "likeness_skin_source"
_ACTION = "likeness_skin_action"
_PATHS = "likeness_skin_paths"
"""Of the object, JSON: the data paths that baking wrote on the armature and on the object itself."""
RIG_SOURCE = "likeness_skin_rig_source"
"""Of the armature: the armature that it is a copy of."""
HEAD_SUFFIX = " pivot"
"""Of the parent's name in the two-bone form."""


@dataclass(frozen=True)
class FaceBones:
    """The bones of a compressed object."""

    names: tuple[str, ...]
    """(P,) by bone of the skin, "" for those that never move."""
    two_bone: bool

    @property
    def moving(self) -> np.ndarray:
        """(B,) indices of the skin's bones that have a bone of their own."""
        return np.array([j for j, name in enumerate(self.names) if name], np.int64)

    @property
    def deforming(self) -> list[str]:
        """(B,) names of the bones that vertices follow."""
        return [name for name in self.names if name]

    @property
    def keyed(self) -> list[str]:
        """(B,) names of the bones that hold location, turn and scale."""
        return [name + HEAD_SUFFIX if self.two_bone else name for name in self.deforming]


def is_compressed(obj: bpy.types.Object | None) -> bool:
    """Whether an object was made by Compress to Bones."""
    return obj is not None and obj.type == "MESH" and _BONES in obj and obj.data is not None


def compressed_objects(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """All of a scene."""
    return [obj for obj in scene.objects if is_compressed(obj)]


def source_of(obj: bpy.types.Object) -> bpy.types.Object | None:
    """The mesh with shape keys that a compressed object stands for, None where it is gone or never was."""
    source = obj.get(_SOURCE)
    return source if isinstance(source, bpy.types.Object) and source.data is not None else None


def rig_of(obj: bpy.types.Object) -> bpy.types.Object:
    """The armature of a compressed object. ModelError when it is gone."""
    modifier = armature_modifier(obj)
    if modifier is None:
        raise ModelError(f"{obj.name} has lost its armature.", "Compress the original again.")
    return modifier.object


def armature_modifier(obj: bpy.types.Object) -> Any | None:
    """The first Armature modifier with an armature."""
    return next((m for m in obj.modifiers if m.type == "ARMATURE" and getattr(m, "object", None)), None)


def bones_of(obj: bpy.types.Object) -> FaceBones:
    """The bones of a compressed object. ModelError when some were deleted or renamed."""
    kept = json.loads(str(obj[_BONES]))
    bones = FaceBones(tuple(kept["names"]), bool(kept["two_bone"]))
    rig: Any = rig_of(obj).data
    gone = [name for name in {*bones.deforming, *bones.keyed} if name not in rig.bones]
    if gone:
        raise ModelError(
            f"The bone {gone[0]} of {obj.name} is gone.", "Name it as before, or compress the original again."
        )
    return bones


def skin_of(obj: bpy.types.Object) -> CompressedSkin:
    """The skin that a compressed object was made of."""
    kept = obj.data.get(_SKIN) if obj.data is not None else None
    if not isinstance(kept, bytes):
        raise ModelError(f"{obj.name} has lost its compressed skin.", "Compress the original again.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "skin.npz"
        path.write_bytes(kept)
        return CompressedSkin.load(path)


def keep_skin(mesh: bpy.types.Mesh, skin: CompressedSkin) -> None:
    """Store a skin in the file, with its mesh."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "skin.npz"
        skin.save(path, sparse=True)
        mesh[_SKIN] = path.read_bytes()


def keep_bones(obj: bpy.types.Object, bones: FaceBones, source: bpy.types.Object | None) -> None:
    """Store which bones stand for the skin's, and the original."""
    obj[_BONES] = json.dumps({"names": bones.names, "two_bone": bones.two_bone})
    if source is not None:
        obj[_SOURCE] = source


def action_of(obj: bpy.types.Object) -> bpy.types.Action | None:
    """The action that baking wrote, None before."""
    action = obj.get(_ACTION)
    return action if isinstance(action, bpy.types.Action) else None


def keep_action(obj: bpy.types.Object, action: bpy.types.Action, paths: dict[str, list[str]]) -> None:
    """Store the action and the data paths that are ours in it."""
    obj[_ACTION] = action
    obj[_PATHS] = json.dumps(paths)


def baked_paths(obj: bpy.types.Object) -> dict[str, list[str]]:
    """Data paths that the last bake wrote: `rig` and `object`."""
    return json.loads(str(obj.get(_PATHS, "{}")))


def forget(obj: bpy.types.Object) -> None:
    """Take what a copy of a compressed object inherited."""
    for key in (_BONES, _SOURCE, _ACTION, _PATHS):
        if key in obj:
            del obj[key]
