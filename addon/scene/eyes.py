# SPDX-License-Identifier: GPL-3.0-or-later
"""Eyes without recorded gaze: drivers turn the eye bones by the eyeLook keys.

The expressions use only + - * sin cos, which Blender evaluates itself ("simple expressions"): they work in
files from elsewhere, where Python drivers are switched off.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ...core.head import HeadModel, Rest
from .rig import role_bones

_LOOKS = {
    "eye_left": ("eyeLookOutLeft", "eyeLookInLeft", "eyeLookUpLeft", "eyeLookDownLeft"),
    "eye_right": ("eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight", "eyeLookDownRight"),
}
"""Keys that turn each eye towards the subject's left, right, up and down."""


def eye_bones(model: HeadModel) -> dict[str, str]:
    """Bone of each eye by role, for the eyes that the model has."""
    return {role: names[0] for role in _LOOKS if (names := role_bones(model, role))}


def rotation_path(bone: str) -> str:
    """Data path of a pose bone's rotation."""
    return f'pose.bones["{bpy.utils.escape_identifier(bone)}"].rotation_quaternion'


def undrive_eyes(armature: bpy.types.Object, model: HeadModel) -> None:
    """Take our drivers off the eye bones, so that keys can turn them."""
    data = armature.animation_data
    if data is None:
        return
    paths = {rotation_path(bone) for bone in eye_bones(model).values()}
    for curve in [curve for curve in data.drivers if curve.data_path in paths]:
        data.drivers.remove(curve)


def drive_eyes(
    armature: bpy.types.Object, keys: bpy.types.Key, model: HeadModel, rest: Rest, angle: float
) -> None:
    """Let the eyeLook keys turn the eye bones, `angle` radians at weight 1: pitch, then yaw about the
    upright.
    """
    undrive_eyes(armature, model)
    for role, bone in eye_bones(model).items():
        axes = rest.joint_rotations[model.joint_names.index(bone)]
        for index, expression in enumerate(_expressions(axes, angle)):
            curve: Any = armature.driver_add(rotation_path(bone), index)
            driver = curve.driver
            driver.type = "SCRIPTED"
            for name, key in zip("abcd", _LOOKS[role], strict=True):
                _add_variable(driver, name, keys, key)
            driver.expression = expression


def _add_variable(driver: Any, name: str, keys: bpy.types.Key, key: str) -> None:
    variable = driver.variables.new()
    variable.name, variable.type = name, "SINGLE_PROP"
    target = variable.targets[0]
    target.id_type, target.id = "KEY", keys
    target.data_path = f'key_blocks["{key}"].value'


def _expressions(axes: np.ndarray, angle: float) -> list[str]:
    """w, x, y, z of yaw(a - b) * pitch(c - d) in the axes of a bone ((3, 3) in the head frame)."""
    half = f"{0.5 * angle:.6f}"
    yaw, pitch = f"({half}*(a-b))", f"({half}*(c-d))"
    products = (
        f"cos{yaw}*sin{pitch}",  # about -X: the eye rises
        f"sin{yaw}*cos{pitch}",  # about +Y: the eye turns to the subject's left
        f"sin{yaw}*sin{pitch}",
    )
    signed = axes * np.array([[-1.0], [1.0], [1.0]])
    parts = [
        "".join(f"{factor:+.6f}*{product}" for factor, product in zip(column, products, strict=True))
        for column in signed.T
    ]
    return [f"cos{yaw}*cos{pitch}", *parts]
