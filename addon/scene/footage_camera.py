# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera that a fit found: what it sees of the double lies on the footage, pixel for pixel.

The view frame of a fit has the axes of the head frame, and those are a Blender camera's own, so the camera
looks along the head frame's -Z from where the head was seen. It renders a frame that holds every picture of
the take; smaller pictures fill it as far as their proportions allow, as camera backgrounds do.
"""

from __future__ import annotations

from math import pi
from typing import Any

import bpy
import numpy as np

from ...core.camera import Camera
from ...core.performance import Performance
from . import bpy_compat
from .double import ID_KEY, Double, role_of, tag
from .mesh import to_blender

ROLE = "footage"
SENSOR = 36.0
"""Millimetres across the frame's width; the focal length is relative to it."""
_SIZE_KEY = "likeness_size"
_PATHS = ("lens", "shift_x", "shift_y")


def frame_size(camera: Camera) -> tuple[int, int]:
    """Width and height in px of the frame that holds every picture."""
    width, height = (int(side) for side in camera.size.max(axis=0))
    return width, height


def fill_scale(camera: Camera) -> np.ndarray:
    """(N,) how much larger each picture is in the frame than by itself."""
    return np.min(np.array(frame_size(camera)) / camera.size, axis=1)


def optics(camera: Camera) -> np.ndarray:
    """(N, 3) lens in mm, shift_x and shift_y of a Blender camera with horizontal sensor fit, per picture."""
    width, _ = frame_size(camera)
    scale = fill_scale(camera) / width
    off_centre = camera.centre - 0.5 * camera.size
    return np.stack(
        [camera.focal * scale * SENSOR, -off_centre[:, 0] * scale, off_centre[:, 1] * scale], axis=1
    )


def update_footage_camera(
    double: Double, performance: Performance, frames: np.ndarray
) -> bpy.types.Object | None:
    """Make or move the double's footage camera, or take it away where no camera was fitted.

    frames: (T,) scene frame of each sample, for cameras that are another one in each frame.
    """
    camera, found = performance.camera, double.part(ROLE)
    if camera is None:
        if found is not None:
            remove_footage_camera(found)
        return None
    obj = found or _new_camera(double)
    place = to_blender(-camera.head_position) + np.array(double.armature.location)
    obj.location, obj.rotation_euler = place.tolist(), (0.5 * pi, 0.0, 0.0)
    obj[_SIZE_KEY] = list(frame_size(camera))
    data: Any = obj.data
    values = optics(camera)
    data.lens, data.shift_x, data.shift_y = values[0].tolist()
    if len(values) > 1:
        bag = footage_channels(data, double)
        for path, row in zip(_PATHS, values.T, strict=True):
            bpy_compat.write_fcurve(bag, path, 0, frames, row, "CONSTANT")
    else:
        remove_channels(data, _PATHS)
        data.lens, data.shift_x, data.shift_y = values[0].tolist()
    return obj


def remove_footage_camera(obj: bpy.types.Object) -> None:
    """Take a footage camera with its data and keys out of the file."""
    data: Any = obj.data
    action = data.animation_data.action if data.animation_data is not None else None
    bpy.data.objects.remove(obj)
    if not data.users:
        bpy.data.cameras.remove(data)
    if action is not None and role_of(action) == ROLE:
        bpy.data.actions.remove(action)


def frame_of(obj: Any) -> tuple[int, int]:
    """Width and height in px of the frame that a footage camera was made for."""
    width, height = obj[_SIZE_KEY]
    return int(width), int(height)


def footage_channels(data: Any, double: Double) -> Any:
    """The channelbag of the camera's own action, made where it is missing; not the user's, who may have
    given the camera another: that one is replaced, as the optics are those of the footage.
    """
    held = data.animation_data.action if data.animation_data is not None else None
    if held is None or held.get(ID_KEY) != double.id:
        held = tag(bpy.data.actions.new(f"Likeness {double.name} Footage"), double.id, ROLE)
    slot, bag = bpy_compat.channelbag(held, data)
    bpy_compat.assign_action(data, held, slot)
    return bag


def remove_channels(data: Any, paths: tuple[str, ...]) -> None:
    """Take the curves whose paths begin so off the camera, and its own action when nothing is left in it."""
    action = data.animation_data.action if data.animation_data is not None else None
    if action is None or role_of(action) != ROLE:
        return
    _, bag = bpy_compat.channelbag(action, data)
    bpy_compat.remove_fcurves(bag, [c.data_path for c in bag.fcurves if c.data_path.startswith(paths)])
    if not len(bag.fcurves):
        bpy.data.actions.remove(action)


def _new_camera(double: Double) -> bpy.types.Object:
    title = f"Likeness {double.name} Footage Camera"
    data: Any = bpy.data.cameras.new(title)
    data.sensor_fit, data.sensor_width, data.lens_unit = "HORIZONTAL", SENSOR, "MILLIMETERS"
    data.clip_start, data.clip_end = 0.01, 100.0
    data.dof.use_dof = False
    data.display_size = 0.1
    obj = tag(bpy.data.objects.new(title, data), double.id, ROLE)
    double.collection.objects.link(obj)
    obj.parent = double.root
    return obj
