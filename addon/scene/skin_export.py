# SPDX-License-Identifier: GPL-3.0-or-later
"""A compressed mesh as a file that engines read, glTF or FBX: written, read again and measured."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...core.errors import ModelError, SettingsError
from ...core.skin.sidecar_files import write as write_sidecar
from .compressed_state import is_compressed
from .skin_export_check import Measured, measure, read_again, rest_of
from .skin_export_copy import add_copy, play
from .skin_export_sidecar import sidecar_for
from .skin_export_stage import (
    add_reference,
    armature_of,
    in_metres,
    lent_names,
    plain_rate,
    sample,
    stage,
    within,
)

SUFFIXES = {"GLB": ".glb", "FBX": ".fbx"}
LOOKED_AT = 12
"""Frames that are measured after the export; all of a short action."""


@dataclass(frozen=True)
class ExportOptions:
    """What goes into the file."""

    kind: str = "GLB"
    """GLB or FBX."""
    influences: int = 4
    """Most bones per vertex."""
    animation: bool = True
    first: int = 1
    last: int = 250
    """Frames of the scene, both included; the first is the file's time 0."""
    correctives: bool = False
    """Whether the mesh's shape keys go along."""
    sidecar: bool = False
    """Whether files for engines that drive the bones are written beside it."""

    @property
    def frames(self) -> range:
        """Frames of the scene that are sampled."""
        return range(self.first, self.last + 1) if self.animation else range(self.first, self.first + 1)


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

    def __str__(self) -> str:
        m = self.measured
        frames = f"{self.frames} frames" if self.frames else "no animation"
        text = (
            f"{self.path.name}: {m.bones} bones, {self.influences} influences, {frames}, "
            f"re-imported: mean {_mm(m.mean)} mm, max {_mm(m.maximum)} mm"
        )
        if self.plain:
            text += f". Procedural materials do not go along: {', '.join(self.plain)}"
        return text


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
    frames = list(options.frames)
    looked_at = sorted({round(f) for f in np.linspace(frames[0], frames[-1], LOOKED_AT)})
    name = path.stem
    with beside(path) as written, stage(scene, name) as own:
        reference = add_reference(own, obj)
        motion, wanted = sample(own, reference, frames, looked_at)
        unit = scene.unit_settings.scale_length
        motion, wanted = in_metres(motion, unit), unit * wanted
        own.collection.objects.unlink(reference)
        mesh, armature = add_copy(own, obj, motion, options.influences, options.correctives)
        plain = procedural(mesh)
        own.frame_start, own.frame_end = 0, len(frames) - 1
        if options.animation:
            play(mesh, armature, motion, name)
        else:
            wanted = rest_of(mesh)[None]
        own.frame_set(0)
        pairs = [(obj, mesh), (obj.data, mesh.data), (armature_of(obj), armature)]
        with lent_names([*pairs, (armature_of(obj).data, armature.data)]):
            _write(own, written, options)
        for copy in (mesh, armature):
            own.collection.objects.unlink(copy)
        if options.sidecar:
            write_sidecar(sidecar_for(obj, (mesh, armature), options.kind, path.name), written)
        at = [frame - frames[0] for frame in looked_at]
        measured = measure(own, read_again(own, written), mesh, wanted, at)
    influences = min(options.influences, measured.bones)
    count = len(frames) if options.animation else 0
    return ExportReport(path, measured, influences, count, plain)


def check_target(path: Path, options: ExportOptions) -> None:
    """SettingsError for a file that cannot be written or would not be what its name says."""
    if path.suffix.lower() != SUFFIXES[options.kind]:
        raise SettingsError(
            f"{path.name} does not end in {SUFFIXES[options.kind]}, which the chosen format has.",
            "Change the name or the format.",
        )
    if not path.parent.is_dir():
        raise SettingsError(f"The folder {path.parent} is not there.", "Choose another place.")
    if options.last < options.first:
        raise SettingsError(f"The range ends at frame {options.last}, before it starts.", "Change the range.")


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


@contextmanager
def beside(target: Path) -> Iterator[Path]:
    """A file of the same name in a folder beside the target, which takes its place at the end.

    The exporters judge a file by its name, so that it cannot be written under another.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as problem:
        raise SettingsError(
            f"{target.parent} cannot be written: {problem.strerror}.", "Choose another place."
        ) from problem
    try:
        yield folder / (target.stem + target.suffix.lower())
        for made in folder.iterdir():
            made.replace(target.with_name(made.name))
    except OSError as problem:
        raise SettingsError(
            f"{target} cannot be written: {problem.strerror or problem}.", "Choose another place."
        ) from problem
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write(scene: bpy.types.Scene, path: Path, options: ExportOptions) -> None:
    """Let Blender's exporter write all of a scene of ours."""
    try:
        with within(scene):
            if options.kind == "FBX":
                _write_fbx(path, options)
            else:
                with plain_rate(scene):
                    _write_glb(path, options)
    except RuntimeError as problem:
        said = (str(problem).strip().splitlines() or ["it gave no reason"])[-1]
        raise ModelError(f"Blender cannot export {path.name}: {said[:200]}") from problem
    if not path.is_file():
        raise ModelError(f"Blender's exporter wrote no {path.name}.", "Look at the system console for why.")


def _write_glb(path: Path, options: ExportOptions) -> None:
    bpy.ops.export_scene.gltf(
        filepath=str(path),
        check_existing=False,
        export_format="GLB",
        use_active_scene=True,
        export_yup=True,
        export_apply=False,
        export_extras=False,
        export_image_format="AUTO",
        export_skins=True,
        export_def_bones=False,
        export_rest_position_armature=True,
        export_influence_nb=options.influences,
        export_all_influences=False,
        export_morph=options.correctives,
        export_morph_animation=options.correctives,
        export_animations=options.animation,
        # The other modes leave shape keys' motion out, or in tracks of its own.
        export_animation_mode="ACTIVE_ACTIONS",
        export_nla_strips_merged_animation_name=path.stem,
        export_force_sampling=True,
        export_frame_step=1,
        export_optimize_animation_size=False,
    )


def _write_fbx(path: Path, options: ExportOptions) -> None:
    bpy.ops.export_scene.fbx(
        filepath=str(path),
        check_existing=False,
        object_types={"ARMATURE", "MESH"},
        use_mesh_modifiers=False,
        use_custom_props=False,
        add_leaf_bones=False,
        use_armature_deform_only=False,
        bake_anim=options.animation,
        bake_anim_use_all_bones=True,
        bake_anim_use_nla_strips=False,
        bake_anim_use_all_actions=False,
        bake_anim_force_startend_keying=True,
        bake_anim_step=1.0,
        bake_anim_simplify_factor=0.0,
        path_mode="COPY",
        embed_textures=True,
    )


def procedural(obj: Any) -> tuple[str, ...]:
    """Names of the materials whose colour is neither a plain one nor straight from a picture."""
    materials = [slot.material for slot in obj.material_slots if slot.material is not None]
    return tuple(dict.fromkeys(m.name for m in materials if _is_procedural(m)))


def _is_procedural(material: Any) -> bool:
    nodes = material.node_tree.nodes if material.node_tree is not None else ()
    shaders = [node for node in nodes if node.type == "BSDF_PRINCIPLED"]
    links = [link for node in shaders for link in node.inputs["Base Color"].links]
    return not shaders or any(link.from_node.type != "TEX_IMAGE" for link in links)
