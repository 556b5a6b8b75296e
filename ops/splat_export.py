# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a double's splats for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bpy.props import EnumProperty, FloatProperty, StringProperty
from bpy_extras.io_utils import ExportHelper

from ..addon import preferences, session, splatting
from ..addon.kinds import Context, Event, Result
from ..addon.work import WorkerJob
from ..core.avatar import safe_file_name
from .base import JobAction, Work
from .ids import Op
from .polls import NeedsDouble

_FORMATS = {
    "ANIMATED": ("animated-ply", ".ply", "Animated PLY (.ply)", "The moving head as CAP4D's viewer plays it"),
    "SPZ": ("spz", ".spz", "SPZ (.spz)", "One moment, small: for the web and for phones"),
    "GLB": ("glb", ".glb", "glTF (.glb)", "One moment, by glTF's extension for Gaussian splatting"),
    "PLY": ("ply", ".ply", "3DGS PLY (.ply)", "One moment, as splat editors and most programs read it"),
    "FRAMES": ("ply-frames", ".zip", "PLY Frames (.zip)", "One 3DGS PLY for every frame of the performance"),
    "FOLDER": ("gaussian-avatars", "", "GaussianAvatars (folder)", "A model folder; for heads of FLAME"),
}
"""By key: the worker's word, the ending, title and description."""
_COARSE = "uint8"
_STILL = ("SPZ", "GLB", "PLY")
_ENDINGS = tuple(dict.fromkeys(entry[1] for entry in _FORMATS.values() if entry[1]))


class ExportSplats(NeedsDouble, JobAction, bpy.types.Operator, ExportHelper):
    """Write the splats of this double as a file that other programs read"""

    bl_idname = Op.EXPORT_SPLATS
    bl_label = "Export Splats"
    bl_options = {"REGISTER", "PRESET"}
    job_label = "Exporting"
    filename_ext = ""
    check_extension = None

    filter_glob: StringProperty(default=";".join(f"*{e}" for e in _ENDINGS), options={"HIDDEN"})
    form: EnumProperty(
        name="Format",
        description="Kind of file",
        items=tuple((key, title, text) for key, (_, _, title, text) in _FORMATS.items()),
    )
    moment: EnumProperty(
        name="Moment",
        description="Which face a file of one moment holds",
        items=(
            ("REST", "At Rest", "The neutral face"),
            ("FRAME", "Current Frame", "The face of the performance at the scene's frame"),
        ),
    )
    precision: EnumProperty(
        name="Motion",
        description="How exactly motion is stored",
        items=(
            ("uint16", "16 Bits", "Exact to a hundredth of a millimetre"),
            ("float", "Full", "As computed; twice as large"),
            ("uint8", "8 Bits", "Half as large, to be seen in slow motion"),
        ),
    )
    free: FloatProperty(
        name="Free Splats",
        description="Share of the splats that move by themselves, those that the skin's triangles move least "
        "well: more is nearer to the double, in a larger file",
        subtype="FACTOR",
        min=0.0,
        max=1.0,
        default=0.1,
    )

    @classmethod
    def poll(cls, context: Context) -> bool:
        """The avatar must have splats."""
        if not super().poll(context):
            return False
        root = session.active_root(context)
        if root is not None and splatting.is_trained(root):
            return True
        cls.poll_message_set("This avatar has no splats: train them first")  # type: ignore[attr-defined]
        return False

    def invoke(self, context: Context, event: Event) -> Result:
        """Suggest the person's name."""
        root = session.active_root(context)
        if root is not None and not self.filepath:
            folder = Path(bpy.data.filepath).parent if bpy.data.filepath else Path.home()
            self.filepath = str(folder / f"{safe_file_name(root['likeness_name'])}{_FORMATS[self.form][1]}")
        return ExportHelper.invoke(self, context, event)

    def check(self, _context: Context) -> bool:
        """Let the name follow the format, in the file browser."""
        path = Path(self.filepath)
        wanted = _FORMATS[self.form][1]
        if path.suffix.lower() == wanted:
            return False
        plain = path.with_suffix("") if path.suffix.lower() in _ENDINGS else path
        if str(plain) + wanted == self.filepath:
            return False
        self.filepath = str(plain) + wanted
        return True

    def draw(self, _context: Context) -> None:
        """The options, in the file browser's side bar."""
        layout = self.layout
        layout.use_property_split, layout.use_property_decorate = True, False
        layout.prop(self, "form")
        if self.form in _STILL:
            layout.prop(self, "moment")
        elif self.form == "ANIMATED":
            layout.prop(self, "precision")
            row = layout.row()
            row.active = self.precision != _COARSE
            row.prop(self, "free", slider=True)

    def start(self, context: Context) -> Work:
        """Let the worker write it."""
        root = session.require_root(context)
        self.check(context)
        self._path = Path(bpy.path.abspath(self.filepath)).absolute()
        arguments = ["splat", "export", str(session.avatar_of(root).folder.absolute()), "-o", str(self._path)]
        arguments += ["--format", _FORMATS[self.form][0], *self._playing(context, root)]
        python = preferences.job_python(splatting.DRAWING_PACKAGES, "exporting splats")
        return WorkerJob(arguments, python, preferences.job_environ())

    def _playing(self, context: Context, root: Any) -> list[str]:
        """What is played, as arguments."""
        if self.form in _STILL and (self.moment == "REST" or not root.likeness.performance):
            return []
        found = [f"--performance={root.likeness.performance}"] if root.likeness.performance else []
        if self.form in _STILL:
            found += ["--time", f"{splatting.moment_of(context, root):.6f}"]
        elif self.form == "ANIMATED":
            found += ["--quantise", self.precision]
            if self.precision != _COARSE:  # in 8 bits triangles of their own are too small
                found += ["--own", f"{self.free:.3f}"]
        return found

    def finish(self, context: Context, result: Any) -> str:
        """Say so, with what the format cannot hold."""
        # What is said of options is said of those of the command line.
        notes = [str(note).split(": --")[0].rstrip(".") for note in result.get("notes", [])]
        return ". ".join([f"Wrote {self._path.name}", *(f"{n[:1].upper()}{n[1:]}" for n in notes)])


CLASSES = (ExportSplats,)
