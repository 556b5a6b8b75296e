# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a finished Leap avatar in."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ..addon import preferences
from ..addon.kinds import Context
from ..addon.scene import timing
from ..addon.scene.settings import BuildSettings
from ..addon.scene.vendor import import_results
from ..core.capture.results import open_results
from ..core.errors import CaptureError
from .base import Action
from .ids import Op


class ImportResults(Action, bpy.types.Operator, ImportHelper):
    """Bring in what Leap made of a capture: the folder with model.glb and textures.mp4, or the model in it"""

    bl_idname = Op.IMPORT_RESULTS
    bl_label = "Import Leap Result"
    bl_options = {"REGISTER", "UNDO", "PRESET"}

    filename_ext = ".glb"
    filter_glob: StringProperty(default="*.glb;*.mp4", options={"HIDDEN"})
    name: StringProperty(
        name="Name", description="Name of the person; empty takes the name of the avatar's folder"
    )
    use_customised: BoolProperty(
        name="Customised Model",
        description="Take the model that was dressed in MetaPerson Creator, with the clip of the original",
        default=False,
    )
    use_relaxed: BoolProperty(
        name="Lower Arms", description="Let arms hang that the clip leaves stretched out", default=True
    )
    use_sound: BoolProperty(
        name="Sound", description="Put the recording's sound into the sequencer, in sync", default=True
    )
    use_footage: BoolProperty(
        name="Footage", description="Show the recording in a corner of the camera's view", default=True
    )
    use_camera: BoolProperty(name="Camera", description="Add a head-and-shoulders camera", default=True)
    use_lights: BoolProperty(name="Lighting", description="Add the neutral lights and world", default=True)
    use_scene_rate: BoolProperty(
        name="Keep Frame Rate",
        description="Keep the scene's frame rate; otherwise it becomes that of the texture movie, unless "
        "somebody else in the scene plays already",
        default=False,
    )

    def draw(self, context: Context) -> None:
        """Options in the file dialog."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        for name in ("name", "use_customised", "use_relaxed"):
            layout.prop(self, name)
        header, place = layout.panel("LIKENESS_import_result_scene", default_closed=True)
        header.label(text="Scene")
        if place:
            for name in ("use_sound", "use_footage", "use_camera", "use_lights", "use_scene_rate"):
                place.prop(self, name)

    def run(self, context: Context) -> str:
        """Look at the folder, then import."""
        if not self.filepath:
            raise CaptureError("No Leap result was chosen.", "Choose the avatar's folder.")
        results = open_results(Path(bpy.path.abspath(self.filepath)), self.use_customised or None)
        name = self.name.strip() or results.name
        made = import_results(context, results, self._settings(context), name)
        return " ".join([f"{name} stands in the scene.", *made.notes])

    def _settings(self, context: Context) -> BuildSettings:
        chosen = preferences.get(context)
        return BuildSettings(
            location=tuple(chosen.placement_location),
            rotation=tuple(chosen.placement_rotation),
            relaxed=self.use_relaxed,
            lights="NEUTRAL" if self.use_lights else None,
            camera=self.use_camera,
            sound=self.use_sound,
            reference=self.use_footage,
            fps=timing.rate_of(context.scene) if self.use_scene_rate else None,
        )


CLASSES = (ImportResults,)
