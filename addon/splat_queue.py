# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames with Gaussian heads, batch after batch: read where the heads are, let the worker draw them while
Blender renders the scene, and put both together.

Same shape as other work: `poll`, `result`, `cancel`. For people each frame is one of Blender's own render
jobs, in scripts `poll` renders it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import bpy

from ..core.errors import Cancelled, LikenessError, SettingsError
from ..core.job import Job
from ..core.progress import Progress, silent
from . import preferences
from .kinds import Context, Scene
from .scene import render, splat_composite
from .scene.presets import safe_engine
from .scene.splat_composite import Parts
from .scene.splat_frames import RunningJob, SplatDrawing, Start, rendered_heads
from .scene.splat_frames_camera import file_size, view_of
from .scene.splat_object import stand_in_render, tidy

PACKAGES = ("numba",)
"""What the worker needs to draw Gaussians."""
_DISK = 512 << 20
"""Bytes of drawn heads that lie on the disk at most."""
_SLICE = 0.1
"""Seconds that one poll reads frames."""
_WAIT = 0.01
_SCRATCH = ".splats"


def start_worker(arguments: list[str]) -> RunningJob:
    """The worker of the preferences. Raises WorkerError where it lacks what it needs."""
    python = preferences.job_python(PACKAGES, "drawing Gaussian heads")
    return Job(arguments, python=python, environ=preferences.job_environ())


class SplatQueue:
    """Renders the frames that are not finished. A frame appears under its name only when it is complete."""

    def __init__(
        self,
        scene: Scene,
        folder: Path,
        resume: bool,
        frames: Iterable[int] | None = None,
        *,
        interactive: bool = False,
        start: Start = start_worker,
    ) -> None:
        """Check, set the output, hook in. Raises LikenessError for a camera, a head or a folder that cannot
        be used.
        """
        self.progress, self.text = 0.0, "Rendering"
        numbers = render.checked_frames(scene, frames)
        self._heads = [head.name for head in rendered_heads(scene)]
        if not self._heads:
            raise SettingsError(
                "No Gaussian head is shown in this scene.", "Train one, or let it show its splats."
            )
        view_of(scene, bpy.context.evaluated_depsgraph_get())
        render.make_folder(folder)
        notes = [safe_engine(scene), splat_composite.limits(scene)]
        self.notes = tuple(note for note in notes if note)
        self._scene, self._folder, self._start = scene.name, folder, start
        self.paths = tuple(render.frame_path(folder, number) for number in numbers)
        self._todo = [
            number
            for number, path in zip(numbers, self.paths, strict=True)
            if not (resume and splat_composite.is_finished(scene, path))
        ]
        self.skipped, self.done = len(numbers) - len(self._todo), 0
        self._batch: list[int] = []
        self._drawing: SplatDrawing | None = None
        self._state: Callable[[], None] | None = self._next_batch
        self._error: LikenessError | None = None
        self._interactive, self._rendering = interactive, ""
        self._began = time.perf_counter()
        self._undo = ExitStack()
        self._prepare(scene)

    def _prepare(self, scene: Scene) -> None:
        context: Context = bpy.context
        if self._interactive:
            view = context.preferences.view
            shown, view.render_display_type = view.render_display_type, "NONE"
            self._undo.callback(setattr, view, "render_display_type", shown)
        for hook, state in (
            (bpy.app.handlers.render_complete, "COMPLETE"),
            (bpy.app.handlers.render_cancel, "CANCELLED"),
        ):

            def ended(*_: Any, state: str = state) -> None:
                self._rendering = state

            hook.append(ended)
            self._undo.callback(hook.remove, ended)
        self._undo.callback(self._give_back)
        self._undo.enter_context(splat_composite.splat_output(scene))

    def poll(self) -> bool:
        """Do the next step; True when all is over."""
        if self._state is not None:
            try:
                self._state()
            except LikenessError as problem:
                self._error = problem
                self._state = None
        if self._state is None:
            self.close()
        return self._state is None

    # --- states: each does a step and may name the next one

    def _next_batch(self) -> None:
        if not self._todo:
            self._state = None
            return
        scene = bpy.data.scenes[self._scene]
        width, height = file_size(scene)
        count = max(8, min(240, _DISK // (8 * width * height * len(self._heads))))
        self._batch, self._todo = self._todo[:count], self._todo[count:]
        self._unread = list(self._batch)
        heads = [bpy.data.objects[name] for name in self._heads]
        self._drawing = SplatDrawing(heads, self._folder / _SCRATCH, self._start)
        self._state = self._read

    def _read(self) -> None:
        """Where everything is, as many frames as a moment allows."""
        assert self._drawing is not None
        scene, until = bpy.data.scenes[self._scene], time.perf_counter() + _SLICE
        while self._unread and time.perf_counter() < until:
            number = self._unread.pop(0)
            scene.frame_set(number)
            self._drawing.read(scene, bpy.context.evaluated_depsgraph_get(), number)
            self.text = f"Reading frame {number}"
        if not self._unread:
            self._drawing.begin()
            self._state = self._render

    def _render(self) -> None:
        """Start Blender on the next frame."""
        if not self._batch:
            self._end_batch()
            self._state = self._next_batch
            return
        if bpy.app.is_job_running("RENDER"):
            return
        scene, number = bpy.data.scenes[self._scene], self._batch[0]
        total = self.skipped + self.done + len(self._batch) + len(self._todo)
        at = self.skipped + self.done
        self.progress, self.text = at / total, f"Frame {number} ({at + 1} of {total})"
        for name in self._heads:
            head = bpy.data.objects.get(name)
            if head is not None:
                stand_in_render(head, True)
        scene.frame_set(number)
        splat_composite.prepare(scene, self._parts(number))
        self._rendering = "RENDERING"
        mode = "INVOKE_DEFAULT" if self._interactive else "EXEC_DEFAULT"
        try:
            bpy.ops.render.render(mode, write_still=True, scene=self._scene)
        except RuntimeError as problem:
            reason = str(problem).strip().removeprefix("Error: ").rstrip(".")
            raise SettingsError(f"Frame {number} could not be rendered: {reason}.") from problem
        self._state = self._keep

    def _keep(self) -> None:
        """Once it is rendered: keep its picture."""
        if self._rendering == "RENDERING" or bpy.app.is_job_running("RENDER"):
            return
        if self._rendering == "CANCELLED":
            raise Cancelled("Rendering was stopped.", "Finished frames stay; rendering again resumes.")
        number = self._batch[0]
        splat_composite.keep_picture(bpy.data.scenes[self._scene], self._parts(number), number)
        self._state = self._compose

    def _compose(self) -> None:
        """Once the worker has drawn the heads: put both together."""
        assert self._drawing is not None
        number = self._batch[0]
        heads = self._drawing.pictures(number)
        if heads is None:
            self.text = f"Frame {number}: waiting for the Gaussian heads"
            return
        path = render.frame_path(self._folder, number)
        splat_composite.finish(bpy.data.scenes[self._scene], path, self._parts(number), heads)
        self._drawing.drop(number)
        self._batch.pop(0)
        self.done += 1
        self._state = self._render

    # --- the end

    @property
    def is_waiting(self) -> bool:
        """Whether the worker has the next step."""
        return self._state == self._compose

    def result(self) -> str:
        """A sentence on what was rendered; raises what went wrong."""
        if self._error is not None:
            raise self._error
        done = f"{self.done} frames with Gaussian heads rendered, {self.skipped} were finished, "
        return " ".join([done + f"in {self._folder}.", *self.notes])

    def rendered(self) -> render.Rendered:
        """What was done; raises what went wrong."""
        self.result()
        seconds = time.perf_counter() - self._began
        return render.Rendered(self.paths, self.done, self.skipped, seconds, self.notes)

    def cancel(self) -> None:
        """Stop before the next frame; what is half done is dropped."""
        if self._state is not None:
            self._error = self._error or Cancelled("Rendering was stopped.")
        self.close()

    def close(self) -> None:
        """Stop the worker, unhook, and put the settings back."""
        self._state = None
        self._end_batch()
        self._undo.close()

    def _give_back(self) -> None:
        """Let Blender's own renders show again what they did."""
        scene = bpy.data.scenes.get(self._scene)
        if scene is not None:
            tidy(scene)

    def _end_batch(self) -> None:
        for number in self._batch[:1]:
            self._parts(number).remove()
        if self._drawing is not None:
            self._drawing.close()
            self._drawing = None

    def _parts(self, number: int) -> Parts:
        return Parts.beside(render.frame_path(self._folder, number))


def render_splat_frames(
    scene: Scene,
    folder: Path,
    frames: Iterable[int] | None = None,
    resume: bool = True,
    progress: Progress = silent,
    start: Start = start_worker,
) -> render.Rendered:
    """Render frames (by default the scene's range) with the scene's Gaussian heads in them, here and now.

    As `scene.render.render_frames`: finished frames are skipped with `resume`, a frame appears only when it
    is complete, settings and frame come back, and what `progress` raises is let through.
    """
    queue = SplatQueue(scene, folder, resume, frames, start=start)
    said = ""
    try:
        while not queue.poll():
            if queue.text != said:
                said = queue.text
                progress(queue.progress, "render", said)
            elif queue.is_waiting:
                time.sleep(_WAIT)
        progress(1.0, "render", f"{queue.done} frames rendered, {queue.skipped} were finished")
    finally:
        queue.cancel()
    return queue.rendered()
