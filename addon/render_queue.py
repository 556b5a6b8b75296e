# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendering frame after frame while the window stays usable: each frame is one of Blender's own render
jobs.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import bpy

from ..core.errors import Cancelled, LikenessError, SettingsError
from .kinds import Context, Scene
from .scene import png, render
from .scene.presets import safe_engine


class RenderQueue:
    """Renders what is not finished, one job at a time. Same shape as other work: `poll`, `result`, `cancel`.

    A frame appears under its name only when it is complete, so stopping leaves nothing half-written.
    """

    def __init__(self, scene: Scene, folder: Path, resume: bool) -> None:
        """Check, set the output, hook in. Raises SettingsError for a missing camera or an unwritable
        folder.
        """
        self.progress, self.text = 0.0, "Rendering"
        frames = render.checked_frames(scene, None)
        render.make_folder(folder)
        self._note = safe_engine(scene)
        self._scene, self._folder, self._total = scene.name, folder, len(frames)
        paths = [(frame, render.frame_path(folder, frame)) for frame in frames]
        self._todo = [(f, path) for f, path in paths if not (resume and render.is_finished(scene, path))]
        self._skipped = self._total - len(self._todo)
        self._state, self._done = "IDLE", 0
        self._error: LikenessError | None = None
        self._undo = ExitStack()
        self._undo.enter_context(render.png_output(scene, "8"))
        self._prepare()

    def _prepare(self) -> None:
        context: Context = bpy.context
        view = context.preferences.view
        shown, view.render_display_type = view.render_display_type, "NONE"
        self._undo.callback(setattr, view, "render_display_type", shown)
        for hook, function in (
            (bpy.app.handlers.render_complete, self._on_complete),
            (bpy.app.handlers.render_cancel, self._on_cancel),
        ):
            hook.append(function)
            self._undo.callback(hook.remove, function)

    def _on_complete(self, *_: Any) -> None:
        self._state = "COMPLETE"

    def _on_cancel(self, *_: Any) -> None:
        self._state = "CANCELLED"

    def poll(self) -> bool:
        """Start the next frame when the last one is done; True when all is over."""
        if self._state == "RENDERING" or bpy.app.is_job_running("RENDER"):
            return False
        if self._state == "COMPLETE":
            self._keep_frame()
        elif self._state == "CANCELLED":
            self._error = Cancelled(
                "Rendering was stopped.", "Finished frames stay; rendering again resumes."
            )
        if self._error is not None or not self._todo:
            self.close()
            return True
        self._start_frame()
        return False

    def _start_frame(self) -> None:
        frame, path = self._todo[0]
        scene = bpy.data.scenes[self._scene]
        self.progress = (self._done + self._skipped) / self._total
        self.text = f"Frame {frame} ({self._done + self._skipped + 1} of {self._total})"
        scene.frame_set(frame)
        scene.render.filepath = str(_part(path))
        self._state = "RENDERING"
        try:
            bpy.ops.render.render("INVOKE_DEFAULT", write_still=True, scene=self._scene)
        except RuntimeError as problem:
            self._state = "IDLE"
            reason = str(problem).strip().removeprefix("Error: ").rstrip(".")
            self._error = SettingsError(f"Frame {frame} could not be rendered: {reason}.")

    def _keep_frame(self) -> None:
        frame, path = self._todo.pop(0)
        self._state = "IDLE"
        if png.size_of(_part(path)) is None:
            self._error = SettingsError(
                f"Frame {frame} could not be written to {path.parent}.", "Is the disk full?"
            )
            return
        _part(path).replace(path)
        self._done += 1

    def result(self) -> str:
        """A sentence on what was rendered; raises what went wrong."""
        if self._error is not None:
            raise self._error
        done = f"{self._done} frames rendered, {self._skipped} were finished, in {self._folder}"
        return f"{done}. {self._note}" if self._note else done

    def cancel(self) -> None:
        """Stop before the next frame; a picture in the making is dropped."""
        if self._state != "DONE":
            self._error = self._error or Cancelled("Rendering was stopped.")
            self.close()

    def close(self) -> None:
        """Unhook, and put the output settings back."""
        if self._state == "DONE":
            return
        self._state = "DONE"
        for _frame, path in self._todo[:1]:
            _part(path).unlink(missing_ok=True)
        self._undo.close()


def _part(path: Path) -> Path:
    """Where a frame lies until it is complete."""
    return path.with_name(f".{path.stem}.part.png")
