# SPDX-License-Identifier: GPL-3.0-or-later
"""A portrait camera: head and shoulders at 85 mm, focused on the eyes, carried along by the person's root."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from math import pi
from typing import Any

import bpy

from ...core.head import HeadModel, Rest
from .mesh import body_rows, to_blender
from .placement import eye_centre

LENS = 85.0
"""Focal length in mm for a sensor of 36 mm: no big noses, no flat faces."""
SENSOR = 36.0
APERTURE = 4.0
"""f-number: about 20 cm are sharp, so that eyes and nose are and the shoulders are not quite."""
_FRAMING_KEY = "likeness_framing"


@dataclass(frozen=True)
class Framing:
    """What a head-and-shoulders picture must show, metres in the root's coordinates."""

    top: float
    """Upper edge: a little above the hair."""
    height: float
    """Down to the upper chest."""
    width: float
    """Shoulders with air beside them."""
    depth: float
    """Y of the eyes."""


def head_and_shoulders(model: HeadModel, rest: Rest, lift: float) -> Framing:
    """The framing of one person, from the eyes, the crown and the shoulder joints.

    `lift`: height of the head frame's origin above the root, metres.
    """
    points = to_blender(rest.vertices[body_rows(model)])
    eyes = eye_centre(model, rest)
    crown = float(points[:, 2].max())
    head = 2.0 * (crown - float(eyes[2]))  # eyes are half way up a head
    shoulders = [i for i, name in enumerate(model.joint_names) if name.startswith("upperarm01")]
    half = max((abs(float(rest.joint_heads[i, 0])) for i in shoulders), default=0.75 * head) + 0.35 * head
    return Framing(crown + 0.30 * head + lift, 2.2 * head, 2.0 * half, float(eyes[1]))


def frame_camera(scene: bpy.types.Scene, camera: bpy.types.Object, framing: Framing | None = None) -> None:
    """Stand the camera where the framing just fits the scene's resolution, portrait or landscape.

    Without a framing the camera's own is used, so that it can be called again after the resolution changed.
    """
    if framing is None:
        top, height, width, depth = (float(value) for value in camera[_FRAMING_KEY])
        framing = Framing(top, height, width, depth)
    camera[_FRAMING_KEY] = list(astuple(framing))
    render = scene.render
    across = render.resolution_x * render.pixel_aspect_x
    down = render.resolution_y * render.pixel_aspect_y
    data: Any = camera.data
    view_width = data.sensor_width * min(1.0, across / down) / data.lens  # metres at a distance of one
    view_height = data.sensor_width * min(1.0, down / across) / data.lens
    distance = max(framing.height / view_height, framing.width / view_width)
    camera.location = (0.0, framing.depth - distance, framing.top - 0.5 * distance * view_height)
    camera.rotation_euler = (0.5 * pi, 0.0, 0.0)


def set_up_camera(
    scene: bpy.types.Scene, camera: bpy.types.Object, root: bpy.types.Object, focus: bpy.types.Object | None
) -> None:
    """Optics and parent of a new camera."""
    camera.parent = root
    data: Any = camera.data
    data.lens, data.sensor_width, data.sensor_fit = LENS, SENSOR, "AUTO"
    data.clip_start = 0.05
    data.dof.use_dof = True
    data.dof.focus_object = focus
    data.dof.aperture_fstop = APERTURE
    data.dof.aperture_blades = 9


def show_reference(camera: bpy.types.Object, movie: str, first_frame: int) -> None:
    """Show the capture's movie in a corner of the camera view; in step with the keys at the movie's own
    rate.
    """
    data: Any = camera.data
    if any(
        b.image is not None and b.image.get("likeness_role") == "reference" for b in data.background_images
    ):
        return
    image: Any = bpy.data.images.load(movie, check_existing=True)
    image["likeness_role"] = "reference"
    background = data.background_images.new()
    background.image, background.alpha, background.display_depth = image, 1.0, "FRONT"
    background.scale, background.offset = 0.25, (-0.36, 0.36)
    user = background.image_user
    user.frame_start, user.frame_duration = first_frame, max(1, image.frame_duration)
    user.use_auto_refresh = True
    data.show_background_images = True
