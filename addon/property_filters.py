# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of the filters."""

from __future__ import annotations

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
)

from ..core.filters import FilterSettings
from . import session
from .kinds import Context, Group

_FILTERS = FilterSettings()


def _filters_changed(group: Group, _context: Context) -> None:
    session.request(group.id_data, "switch")


class LikenessShapeLimit(bpy.types.PropertyGroup):
    """Gain, offset and limits of one shape; `name` is its ARKit name."""

    gain: FloatProperty(
        name="Gain",
        description="Factor on the recorded weight of this shape",
        soft_min=0.0,
        soft_max=3.0,
        min=-10.0,
        max=10.0,
        default=1.0,
    )
    offset: FloatProperty(
        name="Offset",
        description="Added to the weight after the gain",
        soft_min=-1.0,
        soft_max=1.0,
        min=-10.0,
        max=10.0,
        default=0.0,
    )
    minimum: FloatProperty(
        name="Minimum",
        description="The weight never falls below this",
        soft_min=-1.0,
        soft_max=1.0,
        min=-10.0,
        max=10.0,
        default=-0.1,
    )
    maximum: FloatProperty(
        name="Maximum",
        description="The weight never rises above this",
        soft_min=0.0,
        soft_max=2.0,
        min=-10.0,
        max=10.0,
        default=1.5,
    )


class LikenessFilters(bpy.types.PropertyGroup):
    """How the recorded performance is cleaned before it becomes keys; the recording itself is never
    changed.
    """

    enabled: BoolProperty(
        name="Filtered",
        description="Play the filtered performance; off plays it as recorded",
        default=True,
        update=_filters_changed,
    )
    smoothing: EnumProperty(
        name="Smoothing",
        description="How jitter is removed",
        items=(
            ("NONE", "None", "Keep every sample as recorded", 0),
            ("ONE_EURO", "One Euro", "Calm slow motion and follow fast motion", 1),
            (
                "SAVITZKY_GOLAY",
                "Savitzky-Golay",
                "Fit a polynomial around each sample, which keeps the height of peaks",
                2,
            ),
        ),
        default="NONE",
    )
    cutoff: FloatProperty(
        name="Cutoff",
        description="Cutoff frequency at rest in Hz; lower is calmer",
        min=0.01,
        soft_max=10.0,
        max=100.0,
        default=_FILTERS.cutoff,
    )
    beta: FloatProperty(
        name="Response",
        description="Rise of the cutoff with speed, in Hz per unit of speed; higher follows fast motion "
        "more closely",
        min=0.0,
        soft_max=30.0,
        max=1000.0,
        default=_FILTERS.beta,
    )
    two_way: BoolProperty(
        name="No Delay",
        description="Run forwards and backwards, so that nothing lags behind the sound",
        default=True,
    )
    window: IntProperty(
        name="Window",
        description="Number of samples in the sliding window; an even number counts as the next odd one",
        min=3,
        soft_max=31,
        max=301,
        default=_FILTERS.window,
    )
    order: IntProperty(
        name="Order",
        description="Degree of the fitted polynomial, below the window; higher keeps more detail",
        min=0,
        max=5,
        default=_FILTERS.order,
    )
    gain: FloatProperty(
        name="Intensity",
        description="Factor on all weights; 1 is as recorded",
        min=0.0,
        soft_max=2.0,
        max=10.0,
        default=1.0,
    )
    swap_mouth: BoolProperty(
        name="Swap Mouth Sides",
        description="Exchange left and right of mouth and jaw shifts, for senders that name them as an "
        "observer sees them",
    )
    mirror: BoolProperty(
        name="Mirror",
        description="Exchange left and right of the whole performance: weights, head and gaze",
    )
    limit_mouth_close: BoolProperty(
        name="Limit Mouth Close",
        description="Keep Mouth Close at or below Jaw Open, so that lips do not cross",
    )
    decimate: BoolProperty(
        name="Reduce Keys",
        description="Leave out keys that a straight line between their neighbours replaces",
    )
    decimate_error: FloatProperty(
        name="Error",
        description="Largest change of a weight that leaving out keys may cause",
        min=0.0001,
        soft_max=0.1,
        max=1.0,
        default=0.005,
        precision=4,
    )
    shapes: CollectionProperty(type=LikenessShapeLimit)
    shape_index: IntProperty(
        name="Shape", description="The shape whose gain and limits are shown below the list"
    )
