# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose a performance, add one, filter it, bring it to another rate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
from bpy.props import BoolProperty, EnumProperty, FloatProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ..addon import session
from ..addon.kinds import Context, Event, Result
from ..core.capture import open_capture, read_performance
from ..core.errors import CaptureError, SettingsError
from .base import Action
from .ids import Op
from .polls import NeedsDouble, NeedsPerformance


def _names(_operator: object, context: Context | None) -> list[tuple[str, str, str]]:
    root = session.active_root(context) if context is not None else None
    _names.kept = (
        [(p.name, p.name, f"{p.duration:.2f} s") for p in root.likeness.performances] if root else []
    )
    return _names.kept or [("", "None", "This double has no performance")]


class ChoosePerformance(NeedsPerformance, Action, bpy.types.Operator):
    """Let the double play another of its performances"""

    bl_idname = Op.CHOOSE_PERFORMANCE
    bl_label = "Choose Performance"
    bl_options = {"REGISTER", "UNDO"}
    bl_property = "name"

    name: EnumProperty(name="Performance", description="The performance to play", items=_names)

    def run(self, context: Context) -> str:
        """Key it."""
        session.play(context, session.require_root(context), self.name)
        return ""


class AddPerformance(NeedsDouble, Action, bpy.types.Operator, ImportHelper):
    """Add the recorded weights of another capture to this double as a further performance"""

    bl_idname = Op.ADD_PERFORMANCE
    bl_label = "Add Performance"
    bl_options = {"REGISTER", "UNDO"}

    filter_glob: StringProperty(default="*.csv;*.zip", options={"HIDDEN"})

    def run(self, context: Context) -> str:
        """Read, keep in the avatar, play."""
        root = session.require_root(context)
        capture = open_capture(Path(bpy.path.abspath(self.filepath)))
        warnings: list[str] = []
        performance = read_performance(capture, warnings)
        if performance is None:
            raise CaptureError(
                f"{capture.path.name} has no recorded weights.", "Choose a Live Link Face take or CSV."
            )
        session.add_performance(context, root, performance)
        for warning in warnings:
            self.report({"WARNING"}, warning)
        return session.summary(root)


class ApplyFilters(NeedsPerformance, Action, bpy.types.Operator):
    """Make the keys anew from the recording with these filters; the recording itself stays as it is"""

    bl_idname = Op.APPLY_FILTERS
    bl_label = "Apply Filters"
    bl_options = {"REGISTER", "UNDO"}

    def run(self, context: Context) -> str:
        """Key the filtered performance and switch to it."""
        root = session.require_root(context)
        with session.quietly():
            root.likeness.filters.enabled = True
        session.play(context, root)
        return ""


class ResetFilters(NeedsPerformance, Action, bpy.types.Operator):
    """Set all filters back and play the performance as recorded"""

    bl_idname = Op.RESET_FILTERS
    bl_label = "Reset Filters"
    bl_options = {"REGISTER", "UNDO"}

    def run(self, context: Context) -> str:
        """Reset, then key."""
        root = session.require_root(context)
        filters = root.likeness.filters
        with session.quietly():
            filters.shapes.clear()
            for prop in filters.bl_rna.properties:
                if prop.identifier not in {"rna_type", "name", "shapes"}:
                    filters.property_unset(prop.identifier)
        session.play(context, root)
        return ""


class Resample(NeedsPerformance, Action, bpy.types.Operator):
    """Make a further performance with samples at a steady rate, or key this one for the scene's frame rate"""

    bl_idname = Op.RESAMPLE
    bl_label = "Resample"
    bl_options = {"REGISTER", "UNDO"}

    mode: EnumProperty(
        name="To",
        description="What is brought to another rate",
        items=(
            ("SCENE", "Scene Rate", "Key the performance for the scene's frame rate; no sample is lost", 0),
            ("RATE", "New Performance", "Make a further performance with this many samples per second", 1),
        ),
        default="SCENE",
    )
    rate: FloatProperty(
        name="Rate",
        description="Samples per second of the new performance",
        min=1.0,
        soft_max=120.0,
        max=1000.0,
        default=24.0,
    )

    def invoke(self, context: Context, event: Event) -> Result:
        """Ask for the rate."""
        return context.window_manager.invoke_props_dialog(self)

    def draw(self, context: Context) -> None:
        """The rate only where it counts."""
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "mode")
        row = layout.row()
        row.active = self.mode == "RATE"
        row.prop(self, "rate")

    def run(self, context: Context) -> str:
        """Key at the scene's rate, or resample."""
        root = session.require_root(context)
        if self.mode == "SCENE":
            session.play(context, root)
            return ""
        performance = session.current(root)
        count = int(np.floor(performance.duration * self.rate + 1e-6)) + 1
        if count > 1_000_000:
            raise SettingsError(f"That would be {count} samples.", "Choose a lower rate.")
        times = performance.time[0] + np.arange(count) / self.rate
        name = f"{performance.name} at {self.rate:g}"
        session.add_performance(context, root, replace(performance.resampled(times), name=name))
        return session.summary(root)


class AddShapeLimit(NeedsPerformance, Action, bpy.types.Operator):
    """Add gain, offset and limits for one shape"""

    bl_idname = Op.ADD_SHAPE_LIMIT
    bl_label = "Add Shape"
    bl_options = {"REGISTER", "UNDO"}
    bl_property = "shape"

    shape: EnumProperty(name="Shape", description="One of the 52 ARKit shapes", items=session.SHAPE_ITEMS)

    def invoke(self, context: Context, event: Event) -> Result:
        """Search among the 52."""
        context.window_manager.invoke_search_popup(self)
        return {"FINISHED"}

    def run(self, context: Context) -> str:
        """Add, or select what is there."""
        filters = session.require_root(context).likeness.filters
        if self.shape not in filters.shapes:
            filters.shapes.add().name = self.shape
        filters.shape_index = filters.shapes.find(self.shape)
        return ""


class RemoveShapeLimit(NeedsPerformance, Action, bpy.types.Operator):
    """Remove gain, offset and limits of the chosen shape"""

    bl_idname = Op.REMOVE_SHAPE_LIMIT
    bl_label = "Remove Shape"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: Context) -> bool:
        """There must be one."""
        if not super().poll(context):
            return False
        root = session.active_root(context)
        if root is None or not root.likeness.filters.shapes:
            cls.poll_message_set("No shape is listed")
            return False
        return True

    def run(self, context: Context) -> str:
        """Remove it."""
        filters = session.require_root(context).likeness.filters
        filters.shapes.remove(min(filters.shape_index, len(filters.shapes) - 1))
        filters.shape_index = max(0, min(filters.shape_index, len(filters.shapes) - 1))
        return ""


class AddSound(NeedsDouble, Action, bpy.types.Operator, ImportHelper):
    """Put sound into the sequencer, starting with the performance"""

    bl_idname = Op.ADD_SOUND
    bl_label = "Add Sound"
    bl_options = {"REGISTER", "UNDO"}

    filter_sound: BoolProperty(default=True, options={"HIDDEN"})
    filter_movie: BoolProperty(default=True, options={"HIDDEN"})
    filter_folder: BoolProperty(default=True, options={"HIDDEN"})

    def run(self, context: Context) -> str:
        """Add the strip."""
        path = Path(bpy.path.abspath(self.filepath))
        if not path.is_file() or not session.add_sound(context, session.require_root(context), path):
            raise CaptureError(
                f"{path.name} has no sound that Blender can read.", "Choose a sound or movie file."
            )
        return f"{path.name} plays with the performance"


CLASSES = (
    ChoosePerformance,
    AddPerformance,
    ApplyFilters,
    ResetFilters,
    Resample,
    AddShapeLimit,
    RemoveShapeLimit,
    AddSound,
)
