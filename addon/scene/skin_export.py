# SPDX-License-Identifier: GPL-3.0-or-later
"""A compressed mesh as a file that engines read, glTF or FBX: written, read again and measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...core.errors import ModelError, SettingsError
from ...core.skin.sidecar_files import write as write_sidecar
from .compressed_state import armature_modifier, is_compressed
from .skin_export_check import Measured, measure, read_again, rest_of
from .skin_export_copy import add_armature, add_mesh, drop_hidden, keep_keys, play
from .skin_export_files import ExportOptions, beside, check_target, write_file
from .skin_export_sidecar import sidecar_for
from .skin_export_stage import (
    Motion,
    Part,
    add_reference,
    armature_of,
    in_metres,
    lent_names,
    sample,
    stage,
)

LOOKED_AT = 12
"""Frames that are measured after the export; all of a short action."""


@dataclass(frozen=True)
class ExportReport:
    """What was written and how close it is."""

    path: Path
    measured: Measured
    influences: int
    frames: int
    """0: without animation."""
    plain: tuple[str, ...]
    """Materials whose colour is made by nodes that no file format has."""
    meshes: int = 1
    without_keys: bool = False
    """Whether the mesh has corrective keys that the file has not."""

    def __str__(self) -> str:
        m = self.measured
        keys = ", without its corrective keys" if self.without_keys else ""
        frames = f"{self.frames} frames" if self.frames else "no animation"
        meshes = f"{self.meshes} meshes, " if self.meshes > 1 else ""
        text = (
            f"{self.path.name}: {meshes}{m.bones} bones in all, {self.influences} influences, "
            f"{frames}{keys}, re-imported: mean {_mm(m.mean)} mm, max {_mm(m.maximum)} mm"
        )
        if self.plain:
            text += f". Procedural materials stay behind: {_listed(self.plain)}"
        return text


def _listed(names: Sequence[str], most: int = 3) -> str:
    """The first few names."""
    text = ", ".join(names[:most])
    return text if len(names) <= most else f"{text} and {len(names) - most} more"


def _mm(value: float) -> str:
    """Hundredths, or thousandths of what is less; rounding errors are not told apart."""
    if value < 0.001:
        return "<0.001"
    return f"{value:.2f}" if value >= 0.01 else f"{value:.3f}"


def export_skin(scene: bpy.types.Scene, obj: Any, path: Path, options: ExportOptions) -> ExportReport:
    """Write one mesh with its armature and motion. The scene, its selection and frame stay as they are.

    Raises LikenessError, and then what was at `path` before is still there.
    """
    check_target(path, options)
    check_object(obj)
    frames, name = list(options.frames), path.stem
    looked_at = sorted({round(f) for f in np.linspace(frames[0], frames[-1], LOOKED_AT)})
    originals = [obj, *others_on_the_bones(scene, obj)] if options.companions else [obj]
    with beside(path) as written, stage(scene, name) as own:
        references = [add_reference(own, original) for original in originals]
        motion, parts = sample(own, references, frames, looked_at)
        for reference in references:
            own.collection.objects.unlink(reference)
        motion, parts = in_metres(motion, parts, scene.unit_settings.scale_length)
        armature, meshes, parts = _copies(own, originals, motion, parts, options)
        own.frame_start, own.frame_end = 0, len(frames) - 1
        if options.animation:
            play(armature, motion, meshes, parts, name)
        own.frame_set(0)
        with lent_names(_pairs(originals, meshes, armature)):
            write_file(own, written, options)
        for copy in (*meshes, armature):
            own.collection.objects.unlink(copy)
        if options.sidecar:
            write_sidecar(sidecar_for(obj, (meshes[0], armature), options.kind, path.name), written)
        wanted = [
            p.points if options.animation else rest_of(m)[None] for p, m in zip(parts, meshes, strict=True)
        ]
        at = [frame - frames[0] for frame in looked_at]
        measured = measure(own, read_again(own, written), meshes, np.concatenate(wanted, axis=1), at)
        plain = tuple(dict.fromkeys(material for mesh in meshes for material in procedural(mesh)))
    count = len(frames) if options.animation else 0
    without = not options.correctives and bool(parts[0].keys)
    return ExportReport(path, measured, options.influences, count, plain, len(originals), without)


def others_on_the_bones(scene: bpy.types.Scene, obj: Any) -> list[Any]:
    """Clothes, eyes and other meshes of the scene on the same armature that are rendered."""
    rig = armature_of(obj)
    meshes = (o for o in scene.objects if o.type == "MESH" and o != obj and not o.hide_render)
    bound = ((o, armature_modifier(o)) for o in meshes if len(o.data.polygons))
    return [o for o, modifier in bound if modifier is not None and modifier.object == rig]


def _copies(
    own: bpy.types.Scene, originals: list[Any], motion: Motion, parts: list[Part], options: ExportOptions
) -> tuple[Any, list[Any], list[Part]]:
    """Armature and meshes as the file shall hold them, and what is left of the parts."""
    armature = add_armature(own, armature_of(originals[0]), motion)
    meshes, left = [], []
    for original, part in zip(originals, parts, strict=True):
        mesh = add_mesh(own, original, armature, motion, part, options.influences)
        keep_keys(mesh, options.correctives)
        # Without clothes nothing may be missing under them.
        left.append(drop_hidden(mesh, original, part) if options.companions else part)
        meshes.append(mesh)
    return armature, meshes, left


def _pairs(originals: list[Any], meshes: list[Any], armature: Any) -> list[tuple[Any, Any]]:
    """Originals and copies, data too."""
    both = [(armature_of(originals[0]), armature), *zip(originals, meshes, strict=True)]
    return [*both, *((original.data, copy.data) for original, copy in both)]


def check_object(obj: Any) -> None:
    """A sentence for what cannot be exported as bones."""
    if not is_compressed(obj):
        raise ModelError(
            f"{obj.name} was not compressed." if obj is not None else "No compressed mesh is chosen.",
            "Compress a mesh with shape keys to bones first, or select one that was.",
        )
    armature = armature_of(obj)
    if "EDIT" in (obj.mode, armature.mode):
        raise SettingsError(f"{obj.name} is being edited.", "Leave edit mode first.")
    if not len(obj.data.polygons):
        raise ModelError(f"{obj.name} has no faces.", "Engines need faces.")


def procedural(obj: Any) -> tuple[str, ...]:
    """Names of the materials whose colour is neither a plain one nor straight from a picture."""
    materials = [slot.material for slot in obj.material_slots if slot.material is not None]
    return tuple(dict.fromkeys(m.name for m in materials if _is_procedural(m)))


def _is_procedural(material: Any) -> bool:
    nodes = material.node_tree.nodes if material.node_tree is not None else ()
    shaders = [node for node in nodes if node.type == "BSDF_PRINCIPLED"]
    links = [link for node in shaders for link in node.inputs["Base Color"].links]
    return not shaders or any(link.from_node.type != "TEX_IMAGE" for link in links)
