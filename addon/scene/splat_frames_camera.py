# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene's camera as the Gaussians' rasteriser sees through it: with its shift, sensor fit, pixel aspect,
resolution percentage and border.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ...core.camera import VIEW_TO_OPENCV
from ...core.errors import SettingsError
from ...core.head import TO_BLENDER
from ...core.splat.view import View
from .render import picture_size

Box = tuple[int, int, int, int]
"""px: left, top, right, bottom; the last two are not in it."""


def whole_box(scene: bpy.types.Scene) -> Box:
    """All of the picture that the camera sees."""
    return (0, 0, *picture_size(scene))


def border_box(scene: bpy.types.Scene) -> Box:
    """The part of the picture that is rendered."""
    width, height = picture_size(scene)
    render = scene.render
    if not render.use_border:
        return 0, 0, width, height
    # Blender multiplies in single precision and cuts what is behind the point; it counts from below.
    left, right = (int(np.float32(x) * np.float32(width)) for x in (render.border_min_x, render.border_max_x))
    low, high = (int(np.float32(y) * np.float32(height)) for y in (render.border_min_y, render.border_max_y))
    return left, height - high, right, height - low


def frame_box(scene: bpy.types.Scene) -> Box:
    """The part of the picture that is written to a file."""
    return border_box(scene) if scene.render.use_crop_to_border else whole_box(scene)


def file_size(scene: bpy.types.Scene) -> tuple[int, int]:
    """Width and height in px of what the scene renders."""
    left, top, right, bottom = frame_box(scene)
    return right - left, bottom - top


def view_of(scene: bpy.types.Scene, graph: bpy.types.Depsgraph) -> View:
    """The scene's camera as evaluated, for Gaussians in world space in the axes of the head frame.

    Raises SettingsError for a camera that has no perspective, and for stereo.
    """
    camera: Any = scene.camera
    if camera is None or camera.type != "CAMERA":
        raise SettingsError("The scene has no camera.", "Add one, or build the double again.")
    if scene.render.use_multiview:
        raise SettingsError(
            "Gaussian heads cannot be rendered in stereo.", "Turn Stereoscopy off in the output properties."
        )
    seen = camera.evaluated_get(graph)
    if seen.data.type != "PERSP":
        raise SettingsError(
            f"Gaussian heads are rendered in perspective only; the camera {camera.name} is of another type.",
            "Set its lens type to Perspective.",
        )
    width, height = picture_size(scene)
    aspect = scene.render.pixel_aspect_x, scene.render.pixel_aspect_y
    projection = np.array(
        seen.calc_matrix_camera(graph, x=width, y=height, scale_x=aspect[0], scale_y=aspect[1])
    )
    left, top, right, bottom = frame_box(scene)
    if right <= left or bottom <= top:
        raise SettingsError("The render region of the scene is empty.", "Draw it anew, or turn it off.")
    to_view = np.array(seen.matrix_world.normalized().inverted())
    turned = np.eye(4)
    turned[:3, :3] = TO_BLENDER
    flipped = np.eye(4)
    flipped[:3, :3] = VIEW_TO_OPENCV
    return View(
        right - left,
        bottom - top,
        fx=0.5 * width * projection[0, 0],
        fy=0.5 * height * projection[1, 1],
        cx=0.5 * width * (1.0 - projection[0, 2]) - left,
        cy=0.5 * height * (1.0 + projection[1, 2]) - top,
        T_view_world=flipped @ to_view @ turned,
        near=max(seen.data.clip_start, 1e-3),
    )


def outside_border(scene: bpy.types.Scene) -> np.ndarray | None:
    """(H, W) bool: what of the written picture is not rendered, None where all is."""
    box, (width, height) = border_box(scene), picture_size(scene)
    if scene.render.use_crop_to_border or box == (0, 0, width, height):
        return None
    left, top, right, bottom = box
    outside = np.ones((height, width), bool)
    outside[top:bottom, left:right] = False
    return outside
