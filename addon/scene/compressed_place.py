# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a compressed object stands: beside its original, and with it wherever that goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy
import numpy as np
from mathutils import Vector

_GAP = 0.1
"""Of the width, between the two."""


def step_aside(original: bpy.types.Object, places: int, standing: Sequence[bpy.types.Object] = ()) -> Vector:
    """World offset by `places` widths towards the original's left, which is +X of what carries it all; by
    more where another that is `standing` in the scene is in the way.
    """
    top = original
    while top.parent is not None:
        top = top.parent
    side = top.matrix_world.to_3x3() @ Vector((1.0, 0.0, 0.0))
    side = side.normalized() if side.length > 0.0 else Vector((1.0, 0.0, 0.0))
    corners = np.array([original.matrix_world @ Vector(corner) for corner in original.bound_box])
    step = side * ((1.0 + _GAP) * float(np.ptp(corners @ np.array(side))))
    apart = [
        (other.matrix_world.translation - top.matrix_world.translation) for other in standing if other != top
    ]
    while any((step * places - other).xy.length < 0.9 * step.length for other in apart):
        places += 1
    return step * places


def shift(obj: bpy.types.Object, offset: Vector) -> None:
    """Move an object by a world offset that its own keys and drivers leave alone."""
    carried = obj.matrix_world @ obj.matrix_basis.inverted_safe()
    moved: Any = obj
    moved.delta_location += carried.to_3x3().inverted_safe() @ offset


def hang_on_rig(copy: bpy.types.Object, rig: bpy.types.Object) -> None:
    """Let a mesh without animation of its own stand where its new armature stands."""
    copy.parent, copy.parent_type = rig, "OBJECT"
    copy.matrix_parent_inverse.identity()
    copy.animation_data_clear()
    for constraint in list(copy.constraints):
        copy.constraints.remove(constraint)
    still: Any = copy
    still.matrix_basis.identity()
    still.location, still.scale = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    still.rotation_euler, still.rotation_quaternion = (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0)
    still.rotation_axis_angle = (0.0, 0.0, 1.0, 0.0)
    still.delta_location, still.delta_scale = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    still.delta_rotation_euler, still.delta_rotation_quaternion = (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0)
