# SPDX-License-Identifier: GPL-3.0-or-later
"""Import a capture: the worker makes an avatar of it, then the double is built."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, CollectionProperty, EnumProperty, FloatProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ..addon import preferences, session
from ..addon.kinds import Context, Event, Layout, Result
from ..addon.runtime import SESSION
from ..addon.tracking import PICTURES
from ..addon.work import AvatarJob, AvatarOrder, gender_of, preview_of, python_for, tracking_of
from ..core.capture import Capture, open_capture
from ..core.errors import CaptureError
from .base import JobAction, Work
from .ids import Op

EXTENSIONS = (".zip", ".csv", *PICTURES)


class ImportCapture(JobAction, bpy.types.Operator, ImportHelper):
    """Make an animated double of a Leap archive, a Live Link Face take, a movie, photos or a folder"""

    bl_idname = Op.IMPORT_CAPTURE
    bl_label = "Import Capture"
    bl_options = {"REGISTER", "UNDO", "PRESET"}
    job_label = "Importing the capture"

    filter_glob: StringProperty(default=";".join(f"*{e}" for e in EXTENSIONS), options={"HIDDEN"})
    directory: StringProperty(subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"})
    files: CollectionProperty(type=bpy.types.OperatorFileListElement, options={"HIDDEN", "SKIP_SAVE"})
    use_folder: BoolProperty(
        name="Whole Folder",
        description="Import the folder as one capture, as for a take or a row of photos, and not the "
        "chosen file alone",
        default=False,
    )
    name: StringProperty(
        name="Name",
        description="Name of the double; empty takes the name of the capture",
    )
    gender: EnumProperty(
        name="Gender",
        description="Body of the double",
        items=(
            (
                "AUTO",
                "As Found",
                "What the capture says or its pictures show, else the body that the preferences name",
                0,
            ),
            ("FEMALE", "Female", "A woman's body", 1),
            ("MALE", "Male", "A man's body", 2),
        ),
        default="AUTO",
    )
    use_age: BoolProperty(
        name="Set Age",
        description="Give the double this age; otherwise it is what the capture says or its pictures show",
        default=False,
    )
    age: FloatProperty(
        name="Age",
        description="From baby, 0, over a child at a third and a young adult at two thirds, to old, 1",
        min=0.0,
        max=1.0,
        default=0.7,
        subtype="FACTOR",
    )
    use_tracking: BoolProperty(
        name="Fit to Footage",
        description="Find the face in movie or photos and fit head and performance to it; off uses recorded "
        "weights alone",
        default=True,
    )
    texture: EnumProperty(
        name="Texture",
        description="What is taken from the footage for the face",
        items=(
            ("TRACK", "Still and Track", "One texture, and a movie of the face in step with the action", 0),
            ("STILL", "Still", "One texture", 1),
            ("OFF", "None", "A painted skin that suits the person", 2),
        ),
        default="TRACK",
    )
    use_sound: BoolProperty(
        name="Sound", description="Put the capture's sound into the sequencer, in sync", default=True
    )
    use_camera: BoolProperty(name="Camera", description="Add a head-and-shoulders camera", default=True)
    use_lights: BoolProperty(name="Lighting", description="Add the neutral lights and world", default=True)
    use_scene_rate: BoolProperty(
        name="Keep Frame Rate",
        description="Keep the scene's frame rate; otherwise the first double sets it to that of its capture",
        default=False,
    )

    def invoke(self, context: Context, event: Event) -> Result:
        """A dropped file brings its path and needs only the options; otherwise ask for a file."""
        if self.properties.is_property_set("filepath") and self.filepath:
            return context.window_manager.invoke_props_dialog(self, width=360, confirm_text="Import")
        if self.directory and self.files:
            self.filepath = str(Path(self.directory) / self.files[0].name)
            return context.window_manager.invoke_props_dialog(self, width=360, confirm_text="Import")
        return ImportHelper.invoke(self, context, event)

    def draw(self, context: Context) -> None:
        """Options in the file dialog, and in the dialog of a dropped file."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        if context.area is not None and context.area.type != "FILE_BROWSER":
            layout.label(text=Path(self.filepath).name, icon="FILE")
        source = layout.column()
        source.prop(self, "use_folder")
        source.prop(self, "name")
        source.prop(self, "use_tracking")
        texture = source.row()
        texture.active = self.use_tracking
        texture.prop(self, "texture")
        header, person = layout.panel("LIKENESS_import_person")
        header.label(text="Person")
        if person:
            person.prop(self, "gender")
            row = person.row(heading="Age")
            row.prop(self, "use_age", text="")
            age = row.row()
            age.active = self.use_age
            age.prop(self, "age", text="")
        self._draw_environment(layout)
        header, place = layout.panel("LIKENESS_import_scene", default_closed=True)
        header.label(text="Scene")
        if place:
            place.prop(self, "use_sound")
            place.prop(self, "use_camera")
            place.prop(self, "use_lights")
            place.prop(self, "use_scene_rate")

    def _draw_environment(self, layout: Layout) -> None:
        """Pictures alone have to be tracked: say so before the work begins."""
        alone = self.use_tracking and self.filepath.lower().endswith(PICTURES)
        if not alone or preferences.get().worker_python:
            return
        column = layout.column()
        column.label(text="Tracking a movie or photos needs the worker environment", icon="INFO")
        column.operator(Op.SHOW_PREFERENCES, text="Set Up...", icon="PREFERENCES")

    def start(self, context: Context) -> Work:
        """Look at the capture, then let the worker make the avatar."""
        path = self._path()
        capture = open_capture(path)
        tracking = tracking_of(capture, self.use_tracking)
        return AvatarJob(
            AvatarOrder(
                capture=path,
                name=self.name.strip() or capture.name,
                gender=self._gender(context, capture, tracking),
                age=self.age if self.use_age or self._age_given else None,
                python=self._python(tracking),
                folder=preferences.avatars_folder(),
                environ=preferences.job_environ(),
                tracking=tracking,
                texture=self.texture,
                preview=preview_of(capture),
            )
        )

    @property
    def _age_given(self) -> bool:
        """Whether a script named an age."""
        return not self.options.is_invoke and self.properties.is_property_set("age")

    def _python(self, tracking: str) -> str:
        """The worker's interpreter; what it lacks stays in the panel, with the way to mend it."""
        SESSION.lacking.pop("tracking", None)
        try:
            return python_for(tracking)
        except preferences.EnvironmentMissing as error:
            SESSION.lacking["tracking"] = error.message
            raise

    def _gender(self, context: Context, capture: Capture, tracking: str) -> str:
        if self.gender != "AUTO":
            return self.gender
        return gender_of(capture, preferences.get(context).gender, tracking)

    def _path(self) -> Path:
        given = Path(bpy.path.abspath(self.filepath)) if self.filepath else Path()
        if not self.filepath or not given.exists():
            raise CaptureError(
                f"{given} does not exist." if self.filepath else "No capture was chosen.", "Choose a file."
            )
        several = len([f for f in self.files if f.name]) > 1
        return given.parent if (self.use_folder or several) and given.is_file() else given

    def finish(self, context: Context, result: Path) -> str:
        """Build the double."""
        choice = session.BuildChoice(
            sound=self.use_sound,
            camera=self.use_camera,
            lights=self.use_lights,
            keep_rate=self.use_scene_rate,
        )
        root = session.add_double(context, result, choice)
        return session.summary(root)


class CaptureFileHandler(bpy.types.FileHandler):
    """Drag and drop of captures onto a 3D view."""

    bl_idname = "LIKENESS_FH_capture"
    bl_label = "Face Capture"
    bl_import_operator = Op.IMPORT_CAPTURE
    bl_file_extensions = ";".join(EXTENSIONS)

    @classmethod
    def poll_drop(cls, context: Context) -> bool:
        """Only 3D views take captures: elsewhere a picture or movie means something else."""
        return context.area is not None and context.area.type == "VIEW_3D"


CLASSES = (ImportCapture, CaptureFileHandler)
