# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a compressed mesh as a file that engines read, and measure what was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, StringProperty
from bpy_extras.io_utils import ExportHelper

from ..addon import compressing
from ..addon.kinds import Context, Event, Result
from ..addon.scene.compressed_state import action_of
from ..addon.scene.skin_export import export_skin
from ..addon.scene.skin_export_files import SUFFIXES, ExportOptions
from ..core.avatar import safe_file_name
from .base import Action
from .ids import Op
from .polls import NeedsCompressed


class ExportSkin(NeedsCompressed, Action, bpy.types.Operator, ExportHelper):
    """Write the compressed mesh with bones and animation for engines, and measure what was written"""

    bl_idname = Op.EXPORT_SKIN
    bl_label = "Export Compressed Skin"
    bl_options = {"REGISTER", "PRESET"}
    filename_ext = ""
    check_extension = None

    filter_glob: StringProperty(default="*.glb;*.fbx", options={"HIDDEN"})
    kind: EnumProperty(
        name="Format",
        description="Kind of file",
        items=(
            ("GLB", "glTF Binary (.glb)", "One file, Y up, in metres", 0),
            ("FBX", "FBX (.fbx)", "One file, with the pictures in it", 1),
        ),
    )
    influences: EnumProperty(
        name="Influences",
        description="Most bones that move a vertex; smaller weights are left out of the file",
        items=(
            ("4", "4", "What every engine takes", 4),
            ("8", "8", "Two sets of weights, which an engine may have to be told to use", 8),
        ),
    )
    companions: BoolProperty(
        name="Other Meshes",
        description="Let clothes, eyes and other meshes on the same bones go along, and leave out what masks "
        "hide below them",
        default=True,
    )
    sidecar: BoolProperty(
        name="Sidecar",
        description="Write beside it what an engine needs to drive the bones itself from the shapes' values: "
        "NAME.skin.json and NAME.skin.npz",
        default=True,
    )
    correctives: BoolProperty(
        name="Corrective Shape Keys",
        description="Let the mesh's own shape keys go along, for an engine that has those too",
        default=False,
    )
    animation: BoolProperty(
        name="Animation", description="Key the bones at every frame of the range", default=True
    )
    frames: EnumProperty(
        name="Range",
        description="Frames that are keyed; the first is the file's time 0",
        items=(
            ("SCENE", "Scene", "The scene's range, or its preview range while that is on", 0),
            ("ACTION", "Action", "The range of the compressed mesh's action", 1),
            ("CUSTOM", "Custom", "A range of its own", 2),
        ),
    )
    first: IntProperty(name="First Frame", description="First frame of a custom range", default=1)
    last: IntProperty(name="Last Frame", description="Last frame of a custom range", default=250)

    def invoke(self, context: Context, event: Event) -> Result:
        """Suggest the object's name."""
        made = compressing.compressed_of(context)
        if made is not None and not self.filepath:
            folder = Path(bpy.data.filepath).parent if bpy.data.filepath else Path.home()
            self.filepath = str(folder / f"{safe_file_name(made.name)}{SUFFIXES[self.kind]}")
        self.first, self.last = context.scene.frame_start, context.scene.frame_end
        return ExportHelper.invoke(self, context, event)

    def check(self, _context: Context) -> bool:
        """Let the name follow the format, in the file browser."""
        path = Path(self.filepath)
        wanted = SUFFIXES[self.kind]
        if path.suffix.lower() == wanted:
            return False
        plain = path.with_suffix("") if path.suffix.lower() in SUFFIXES.values() else path
        self.filepath = str(plain) + wanted
        return True

    def draw(self, _context: Context) -> None:
        """The options, in the file browser's side bar."""
        layout = self.layout
        layout.use_property_split, layout.use_property_decorate = True, False
        for name in ("kind", "influences", "companions"):
            layout.prop(self, name)
        layout.prop(self, "correctives", text="Corrective Keys")
        layout.prop(self, "sidecar")
        layout.prop(self, "animation")
        group = layout.column()
        group.active = self.animation
        group.prop(self, "frames")
        if self.frames == "CUSTOM":
            group.prop(self, "first")
            group.prop(self, "last")

    def run(self, context: Context) -> str:
        """Write, read again, say how close it is."""
        made = compressing.compressed_of(context)
        first, last = self._range(context.scene, made)
        options = ExportOptions(
            kind=self.kind,
            influences=int(self.influences),
            animation=self.animation,
            first=first,
            last=last,
            correctives=self.correctives,
            companions=self.companions,
            sidecar=self.sidecar,
        )
        path = Path(bpy.path.abspath(self.filepath)).absolute()
        return str(export_skin(context.scene, made, path, options))

    def _range(self, scene: Any, made: Any) -> tuple[int, int]:
        """First and last frame."""
        action = action_of(made)
        if self.frames == "CUSTOM":
            return self.first, self.last
        if self.frames == "ACTION" and action is not None:
            start, end = action.frame_range
            return round(start), round(end)
        if scene.use_preview_range:
            return scene.frame_preview_start, scene.frame_preview_end
        return scene.frame_start, scene.frame_end


CLASSES = (ExportSkin,)
