# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of an export, Blender's exporters with options that keep all of it, and where they write."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import bpy

from ...core.errors import ModelError, SettingsError
from .skin_export_stage import plain_rate, within

SUFFIXES = {"GLB": ".glb", "FBX": ".fbx"}


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
    companions: bool = False
    """Whether other meshes on the same bones go along."""
    sidecar: bool = False
    """Whether files for engines that drive the bones are written beside it."""

    @property
    def frames(self) -> range:
        """Frames of the scene that are sampled."""
        return range(self.first, self.last + 1) if self.animation else range(self.first, self.first + 1)


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


def write_file(scene: bpy.types.Scene, path: Path, options: ExportOptions) -> None:
    """Let Blender's exporter write all of a scene of ours."""
    try:
        with within(scene):
            _settle(scene)
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


def _settle(scene: bpy.types.Scene) -> None:
    """Let the copies have the pose of frame 0: without animation, the FBX exporter writes the one that they
    were copied with. What is evaluated comes back to objects only in the window's own scene.
    """
    for obj in scene.objects:
        obj.update_tag()
    scene.frame_set(0)


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
