# SPDX-License-Identifier: GPL-3.0-or-later
"""Render presets, frames, movie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty

from ..addon import output
from ..addon.kinds import Context, Event, Result
from ..addon.properties import PRESET_ITEMS
from ..addon.render_queue import RenderQueue
from ..addon.runtime import SESSION
from ..addon.scene.movie import encode_movie
from ..addon.scene.render import render_frames
from ..addon.scene.splat_frames import has_rendered_heads
from ..addon.scene.timing import rate_of
from ..addon.splat_queue import SplatQueue, render_splat_frames
from ..core.errors import LikenessError, SettingsError
from .base import Action, JobAction, Work, is_interactive
from .ids import Op


def output_folder(context: Context) -> Path:
    """The scene's output folder; SettingsError while it is relative to a file that was never saved."""
    chosen = context.scene.likeness.output
    if not chosen:
        raise SettingsError("There is no output folder.", "Choose one in the Render panel.")
    if chosen.startswith("//") and not bpy.data.filepath:
        raise SettingsError(
            "The output folder is beside the .blend, which was not saved yet.", "Save it first."
        )
    return Path(bpy.path.abspath(chosen)).resolve()


class NeedsCamera:
    """Mix-in: there must be a camera, and nothing else running."""

    @classmethod
    def poll(cls, context: Context) -> bool:
        """Whether rendering is possible."""
        if SESSION.job.active:
            cls.poll_message_set(f"{SESSION.job.label}: stop it or wait for it")  # type: ignore[attr-defined]
            return False
        if context.scene.camera is None:
            cls.poll_message_set("The scene has no camera: import a capture, or add one")  # type: ignore[attr-defined]
            return False
        return True


class ApplyRenderPreset(Action, bpy.types.Operator):
    """Set engine and quality of the scene, and let all doubles wear the fitting materials"""

    bl_idname = Op.APPLY_RENDER_PRESET
    bl_label = "Apply Render Preset"
    bl_options = {"REGISTER", "UNDO"}

    preset: EnumProperty(
        name="Preset", description="Quality of the rendering", items=PRESET_ITEMS, default="STANDARD"
    )

    def run(self, context: Context) -> str:
        """Apply, and remember the choice."""
        for note in output.use_preset(context.scene, self.preset):
            self.report({"WARNING"}, note)
        return ""


class FramesAction(NeedsCamera, JobAction):
    """Mix-in: frames of the scene's range, with the Gaussian heads that are shown in them."""

    bl_options = {"REGISTER"}
    job_label = "Rendering"

    folder: StringProperty(
        name="Folder",
        description="Where the frames go; empty takes the output folder of the scene",
        subtype="DIR_PATH",
    )
    resume: BoolProperty(
        name="Skip Finished Frames", description="Keep frames that are there already", default=True
    )

    def invoke(self, context: Context, event: Event) -> Result:
        """The panel's settings, then modal."""
        if not self.properties.is_property_set("resume"):
            self.resume = context.scene.likeness.resume
        return self.execute(context)

    def _folder(self, context: Context) -> Path:
        return Path(bpy.path.abspath(self.folder)) if self.folder else output_folder(context) / "frames"

    def execute(self, context: Context) -> Result:
        """In scripts frame after frame here; for people as Blender's own render jobs."""
        if is_interactive(self):
            return JobAction.execute(self, context)
        render = render_splat_frames if has_rendered_heads(context.scene) else render_frames
        try:
            done = render(context.scene, self._folder(context), resume=self.resume)
        except LikenessError as error:
            return self._failed(error)
        for note in done.notes:
            self.report({"WARNING"}, note)
        self.report(
            {"INFO"}, f"{done.rendered} frames rendered, {done.skipped} were finished, {done.seconds:.1f} s"
        )
        return {"FINISHED"}

    def start(self, context: Context) -> Work:
        """Begin the queue; Gaussian heads that are shown have one that puts them into the frames."""
        if has_rendered_heads(context.scene):
            return SplatQueue(context.scene, self._folder(context), self.resume, interactive=True)
        return RenderQueue(context.scene, self._folder(context), self.resume)

    def finish(self, context: Context, result: Any) -> str:
        """Say what was done."""
        return str(result)


class RenderFrames(FramesAction, bpy.types.Operator):
    """Render the frame range as PNG pictures; finished frames are kept, so you can stop and resume"""

    bl_idname = Op.RENDER_FRAMES
    bl_label = "Render Frames"


class EncodeMovie(NeedsCamera, Action, bpy.types.Operator):
    """Make a movie of the rendered frames, with the capture's sound in sync"""

    bl_idname = Op.ENCODE_MOVIE
    bl_label = "Encode Movie"
    bl_options = {"REGISTER"}

    folder: StringProperty(
        name="Frames",
        description="Folder of the frames; empty takes that of the scene",
        subtype="DIR_PATH",
    )
    filepath: StringProperty(
        name="Movie",
        description="The movie to write; empty puts movie.mp4 into the scene's output folder",
        subtype="FILE_PATH",
    )

    def run(self, context: Context) -> str:
        """Encode."""
        frames = Path(bpy.path.abspath(self.folder)) if self.folder else output_folder(context) / "frames"
        out = Path(bpy.path.abspath(self.filepath)) if self.filepath else output_folder(context) / "movie.mp4"
        chosen, scene = context.scene.likeness, context.scene
        pictures = output.pictures_in_range(scene, frames)
        sound, start = output.sound_for(scene, pictures.first)
        movie = encode_movie(
            frames,
            out,
            fps=rate_of(scene) / max(1, pictures.step),
            sound=sound,
            codec=chosen.codec,
            encoder=chosen.encoder,
            sound_start=start,
            pictures=pictures.paths,
        )
        return f"Wrote {movie}"


class OpenFolder(Action, bpy.types.Operator):
    """Show the output folder in the file manager"""

    bl_idname = Op.OPEN_FOLDER
    bl_label = "Open Folder"
    bl_options = {"REGISTER"}

    def run(self, context: Context) -> str:
        """Open it."""
        folder = output_folder(context)
        if not folder.is_dir():
            raise SettingsError(f"{folder} does not exist yet.", "Render frames first.")
        bpy.ops.wm.path_open(filepath=str(folder))
        return ""


CLASSES = (ApplyRenderPreset, RenderFrames, EncodeMovie, OpenFolder)
