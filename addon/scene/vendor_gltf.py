# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a GLB in through Blender's own importer, at a given rate, and take everything back when it fails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import Any

import addon_utils
import bpy

from ...core.errors import CaptureError, SettingsError

_IMPORTER = "io_scene_gltf2"


def require_importer() -> None:
    """SettingsError when Blender's glTF importer is switched off."""
    if not addon_utils.check(_IMPORTER)[1]:
        raise SettingsError(
            "Blender's glTF importer is switched off.",
            "Switch on 'glTF 2.0 format' in Preferences > Add-ons.",
        )


def load_model(scene: bpy.types.Scene, path: Path, rate: float) -> list[Any]:
    """Import a model with its keys at `rate` frames/s; returns the new datablocks. CaptureError when Blender
    cannot read it, and then nothing of it is left.
    """
    before = datablocks()
    try:
        with _keys_at(scene, rate):
            bpy.ops.import_scene.gltf(filepath=str(path), disable_bone_shape=True)
    except RuntimeError as problem:
        discard(new_since(before))
        said = str(problem).strip().splitlines()[-1] if str(problem).strip() else "it gave no reason"
        raise CaptureError(
            f"Blender cannot import {path.name}: {said[:200]}", "Export it again."
        ) from problem
    return new_since(before)


@contextmanager
def _keys_at(scene: bpy.types.Scene, rate: float) -> Iterator[None]:
    """The importer puts keys at seconds times `fps` times `fps_base`, where the rate is their ratio."""
    kept = scene.render.fps, scene.render.fps_base
    whole = max(1, ceil(rate))
    scene.render.fps, scene.render.fps_base = whole, rate / whole
    try:
        yield
    finally:
        scene.render.fps, scene.render.fps_base = kept


def datablocks() -> set[Any]:
    """Every datablock of the file."""
    return set(bpy.data.user_map())


def new_since(before: set[Any]) -> list[Any]:
    """The datablocks that came later."""
    return [block for block in bpy.data.user_map() if block not in before]


def discard(blocks: Iterable[Any]) -> None:
    """Take datablocks out of the file."""
    bpy.data.batch_remove(list(blocks))
