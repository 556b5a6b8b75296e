# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a performance as the Live Link Face app would have."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import EnumProperty, StringProperty
from bpy_extras.io_utils import ExportHelper

from ..addon import session
from ..addon.kinds import Context, Event, Result
from ..addon.person import filters_from
from ..core.avatar import safe_file_name
from ..core.errors import AvatarError
from ..core.filters import apply
from .base import Action
from .ids import Op
from .polls import NeedsPerformance


class ExportCsv(NeedsPerformance, Action, bpy.types.Operator, ExportHelper):
    """Write the performance as a Live Link Face CSV, which other face tools read"""

    bl_idname = Op.EXPORT_CSV
    bl_label = "Export Live Link CSV"
    bl_options = {"REGISTER"}
    filename_ext = ".csv"

    filter_glob: StringProperty(default="*.csv", options={"HIDDEN"})
    values: EnumProperty(
        name="Values",
        description="Which weights are written",
        items=(
            ("FILTERED", "Filtered", "With the filters of the Performance panel", 0),
            ("RECORDED", "As Recorded", "As they came from the capture", 1),
        ),
    )

    def invoke(self, context: Context, event: Event) -> Result:
        """Suggest the performance's name."""
        root = session.active_root(context)
        if root is not None and not self.filepath:
            folder = Path(bpy.data.filepath).parent if bpy.data.filepath else Path.home()
            self.filepath = str(folder / f"{safe_file_name(root.likeness.performance)}.csv")
        return ExportHelper.invoke(self, context, event)

    def run(self, context: Context) -> str:
        """Write."""
        root = session.require_root(context)
        performance = session.current(root)
        if self.values == "FILTERED":
            performance = apply(performance, filters_from(root.likeness.filters))
        path = Path(bpy.path.abspath(self.filepath))
        try:
            performance.save_live_link_csv(path)
        except OSError as error:
            raise AvatarError(
                f"{path} cannot be written: {error.strerror}.", "Choose another place."
            ) from error
        return f"Wrote {performance.frame_count} rows to {path.name}"


CLASSES = (ExportCsv,)
