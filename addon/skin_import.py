# SPDX-License-Identifier: GPL-3.0-or-later
"""A compressed face from files: result.npz, the model that it was made of, an animation of its controls."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..core.skin.animation import CONTROLS, AnimationFrameGenerator, read_animation
from ..core.skin.compressed import CompressedSkin
from ..core.skin.model_data import BlendshapeModelData
from ..core.skin.playback import Player
from .compressing import all_or_nothing, keep_sentence
from .kinds import Context
from .scene import bpy_compat
from .scene.compressed import CompressOptions, bake, build_compressed
from .scene.compressed_mesh import own_mesh

_UPRIGHT = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""From Y up to Z up, both right-handed."""


@dataclass(frozen=True)
class SkinFiles:
    """What was read, in Blender's axes and unit."""

    name: str
    skin: CompressedSkin
    deltas: np.ndarray | None
    """(S, N, 3) float32 shapes of the model, None where no model was given."""
    values: np.ndarray | None
    """(T, S) how far each shape is on, None where no animation was given."""


def read_files(
    path: Path, model_path: Path | None, animation: Path | None, scale: float, y_up: bool
) -> SkinFiles:
    """Read and check everything; lengths times `scale`. Raises LikenessError in one sentence."""
    skin = CompressedSkin.load(path)
    model = BlendshapeModelData.from_npz(model_path) if model_path is not None else None
    generator = AnimationFrameGenerator(skin, model)
    values = None
    if animation is not None:
        weights = read_animation(animation)
        values = generator.coefficients(weights, _columns(generator, weights.shape[1]))
    if model is not None:
        # Published results say where the face is only through their model.
        centre = skin.centre if skin.centre.any() else model.rest_verts.mean(axis=0, dtype=np.float64)
        skin = replace(skin, centre=centre, shape_names=skin.shape_names or model.shape_names)
    turn = scale * (_UPRIGHT if y_up else np.eye(3))
    deltas = None if model is None else model.deltas @ turn.T.astype(np.float32)
    return SkinFiles(path.stem, converted(skin, turn), deltas, values)


def _columns(generator: AnimationFrameGenerator, columns: int) -> int:
    """How many first columns of an animation are controls. Published ones hold more, and where neither file
    has rig tables only their number is known.
    """
    controls = generator.n_controls
    if controls == generator.skin.n_shapes and columns != controls:
        return min(CONTROLS, columns)
    return min(controls, columns)


def converted(skin: CompressedSkin, turn: np.ndarray) -> CompressedSkin:
    """A skin in coordinates turned and scaled by `turn` (3, 3)."""
    scale = float(np.cbrt(np.linalg.det(turn)))
    transforms = np.concatenate(
        [skin.transforms[..., :3] @ (turn / scale).T, skin.transforms[..., 3:] @ turn.T], axis=-1
    )
    return replace(
        skin,
        rest=(skin.rest @ turn.T).astype(np.float32),
        centre=skin.centre @ turn.T,
        transforms=transforms.astype(np.float32),
        errors={},
    )


def import_skin(context: Context, files: SkinFiles, sliders: bool, two_bones: bool) -> str:
    """Build mesh, armature and action; a sentence. With `sliders` a mesh with shape keys stands beside it:
    `Update` brings what those play to the bones.
    """
    skin, frames = files.skin, None
    if files.values is not None:
        frames = context.scene.frame_start + np.arange(len(files.values), dtype=np.float64)
        context.scene.frame_end = max(context.scene.frame_end, int(frames[-1]))
    with all_or_nothing():
        source = _mesh_with_shapes(context, files, frames) if sliders else None
        options = CompressOptions(name=files.name, two_bone=two_bones)
        made = build_compressed(context, source, skin, options)
        report = None
        if source is not None:
            report = bake(context, made)
        elif frames is not None:
            report = bake(context, made, frames, files.values)
    _choose(context, made)
    if report is None:
        return f"{made.name} stands in the scene; there is no animation that moves its bones"
    return keep_sentence(made, report)


def _choose(context: Context, obj: Any) -> None:
    """Select what came in, as importers do."""
    for other in context.view_layer.objects:
        other.select_set(other == obj)
    context.view_layer.objects.active = obj


def _mesh_with_shapes(context: Context, files: SkinFiles, frames: np.ndarray | None) -> Any:
    """A mesh with a key for each shape: the model's, or what the bones make of it; keyed at `frames`."""
    skin = files.skin
    obj: Any = own_mesh(context, skin, f"{files.name} Shapes")
    obj.shape_key_add(name="Basis", from_mix=False)
    rest = (skin.rest + skin.centre).astype(np.float32)
    player, alone = Player(skin), np.zeros(skin.n_shapes, np.float32)
    names = []
    for k, name in enumerate(skin.names):
        block = obj.shape_key_add(name=name, from_mix=False)
        names.append(block.name)
        block.value = 0.0
        alone[:] = 0.0
        alone[k] = 1.0
        points = player.frame(alone) if files.deltas is None else rest + files.deltas[k]
        block.data.foreach_set("co", np.ascontiguousarray(points, np.float32).ravel())
    if frames is not None and files.values is not None:
        _key(obj, names, frames, files.values)
    return obj


def _key(obj: Any, names: list[str], frames: np.ndarray, values: np.ndarray) -> None:
    keys = obj.data.shape_keys
    action = bpy.data.actions.new(obj.name)
    slot, bag = bpy_compat.channelbag(action, keys)
    bpy_compat.assign_action(keys, action, slot)
    for name, column in zip(names, values.T, strict=True):
        block = keys.key_blocks[name]
        block.slider_min = max(-10.0, min(0.0, float(column.min())))
        block.slider_max = min(10.0, max(1.0, float(column.max())))
        bpy_compat.write_fcurve(bag, f"{block.path_from_id()}.value", 0, frames, column)
