# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars on disk whose performance was fitted to footage, made here: a small movie or photos, a camera."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from scene_support import part

HEAD = (0.02, -0.04, -0.6)


def write_movie(
    path: Path,
    count: int = 12,
    rate: float = 25.0,
    size: tuple[int, int] = (64, 48),
    levels: Sequence[int] = (),
) -> Path:
    """A movie without content, or of grey `levels` (0..255) picture by picture, made by Blender, which needs
    nothing else.
    """
    scene = bpy.data.scenes.new("Movie")
    try:
        part("addon.scene.timing").set_rate(scene, rate)
        scene.render.resolution_x, scene.render.resolution_y = size
        scene.render.resolution_percentage = 100
        scene.frame_start, scene.frame_end = 1, count
        scene.view_settings.view_transform = "Standard"
        strips = scene.sequence_editor_create().strips
        for n, level in enumerate(levels):
            strips.new_effect("Grey", "COLOR", 1, 1 + n, **_span(1, n)).color = (level / 255.0,) * 3
        if not levels:
            strips.new_effect("Grey", "COLOR", 1, 1, **_span(count)).color = (0.5, 0.4, 0.3)
        part("addon.scene.bpy_compat").set_movie_format(scene.render.image_settings)
        scene.render.ffmpeg.format, scene.render.ffmpeg.codec = "MPEG4", "H264"
        scene.render.filepath = str(path)
        bpy.ops.render.render(animation=True, scene=scene.name)
    finally:
        bpy.data.scenes.remove(scene)
    assert path.is_file()
    return path


def _span(count: int, before: int = 0) -> dict[str, int]:
    """How new strips are told their length: another word since 5.0."""
    known = bpy.types.StripsTopLevel.bl_rna.functions["new_effect"].parameters
    return {"length": count} if "length" in known else {"frame_end": 1 + before + count}


def write_photo(path: Path, size: tuple[int, int]) -> Path:
    """A grey picture."""
    image = bpy.data.images.new("Photo", *size)
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)
    return path


def fitted(count: int, rate: float, sizes: list[tuple[int, int]], name: str = "take") -> Any:
    """A performance with a camera: one row for a movie, one per photo."""
    size = np.array(sizes, np.int64)
    camera = part("core.camera").Camera(1.2 * size[:, 0].astype(float), 0.5 * size, size, np.array(HEAD))
    time = np.arange(count) / rate
    rotation = part("core.rotation")
    return part("core.performance").Performance(
        name,
        time,
        np.zeros((count, 52), np.float32),
        head_rotation=rotation.from_rotation_vector(np.outer(0.2 * np.sin(time), [0.0, 1.0, 0.0])),
        head_translation=np.outer(0.01 * np.sin(3.0 * time), [1.0, 0.0, 0.0]),
        confidence=np.linspace(0.5, 1.0, count),
        camera=camera,
    )


def write_avatar(folder: Path, performance: Any, media: dict[str, Path], kind: str = "video") -> Path:
    """A person on disk who plays it."""
    model = part("core.head").load_model("anny")
    identity = {"gender": 1.0, "age": 0.6}
    avatar = part("core.avatar").Avatar.create(
        folder,
        "Ada",
        gender="female",
        identity=identity,
        coefficients=model.identity_coefficients(identity),
    )
    avatar.provenance = {"capture": {"kind": kind, "path": str(next(iter(media.values()))), "name": "Ada"}}
    for role, path in media.items():
        avatar.add_media(role, path)
    avatar.add_performance(performance)
    part("core.files").write_json(
        folder / "report.json",
        {
            "fit": {
                "landmark_error_px": 1.234,
                "landmark_error_of_face": 0.0098,
                "jitter_px": 0.21,
                "jitter_detector_px": 0.3,
            },
            "tracking": {
                "total": 12,
                "tracked": 11,
                "dropped": 0,
                "lost": 1,
                "detector": "wheel",
                "faces": 2,
            },
        },
    )
    return folder


def open_avatar(folder: Path) -> bpy.types.Object:
    """The root of its double in the scene."""
    assert bpy.ops.likeness.open_avatar(directory=str(folder), use_lights=False) == {"FINISHED"}
    return bpy.context.scene.likeness.active
