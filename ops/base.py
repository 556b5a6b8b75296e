# SPDX-License-Identifier: GPL-3.0-or-later
"""What operators share: expected errors as reports, and long work that blocks in scripts and is modal for
people.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

import bpy

from ..addon import previews
from ..addon.kinds import Context, Event, Result
from ..addon.runtime import SESSION
from ..core.errors import Cancelled, LikenessError

TICK = 0.1
"""Seconds between two looks at a running job."""


class Action:
    """Mix-in: `run` does the one thing; expected errors, and only these, become a report and CANCELLED."""

    if TYPE_CHECKING:
        options: Any
        layout: Any
        filepath: Any

        def report(self, type: Any, message: str) -> None:
            """Blender's own."""

    def run(self, context: Context) -> str:
        """Do it. Returns a sentence to report, or nothing to say nothing. Raises LikenessError."""
        raise NotImplementedError

    def execute(self, context: Context) -> Result:
        """Run and report."""
        try:
            message = self.run(context)
        except LikenessError as error:
            return self._failed(error)
        if message:
            self.report({"INFO"}, message)
        return {"FINISHED"}

    def _failed(self, error: LikenessError) -> Result:
        self.report({"WARNING" if isinstance(error, Cancelled) else "ERROR"}, str(error))
        return {"CANCELLED"}


class Work(Protocol):
    """Work in a child process."""

    progress: float
    text: str

    def poll(self) -> bool:
        """Look without waiting; True when it is over, however it ended."""
        ...

    def result(self) -> Any:
        """What came out; raises LikenessError when it failed or was stopped."""
        ...

    def cancel(self) -> None:
        """End it and remove what is half-done."""
        ...


class JobAction(Action):
    """Mix-in for long work: `start` begins it in a child process, `finish` brings the result into the scene.

    The scene is not touched before `finish`, so stopping or a killed child leaves it as it was.
    """

    job_label = "Working"
    """Shown in the panel while it runs."""

    def start(self, context: Context) -> Work:
        """Validate and begin. Raises LikenessError."""
        raise NotImplementedError

    def finish(self, context: Context, result: Any) -> str:
        """Use the result; returns a sentence to report. Raises LikenessError."""
        raise NotImplementedError

    def stopped_hint(self) -> str:
        """What is said to a person who stopped it."""
        return "The scene is as it was."

    def execute(self, context: Context) -> Result:
        """Block in scripts and in the background, go modal when a person clicked."""
        if SESSION.job.active:
            self.report({"ERROR"}, f"{SESSION.job.label} is still running. Stop it first.")
            return {"CANCELLED"}
        try:
            self._work = self.start(context)
        except LikenessError as error:
            return self._failed(error)
        SESSION.job.begin(self.job_label)
        if is_interactive(self):
            return self._go_modal(context)
        return self._block(context)

    def _block(self, context: Context) -> Result:
        try:
            while not self._work.poll():
                time.sleep(TICK / 4)
        except BaseException:
            self._work.cancel()
            raise
        finally:
            SESSION.job.end()
        return self._conclude(context)

    def _conclude(self, context: Context) -> Result:
        try:
            message = self.finish(context, self._work.result())
        except LikenessError as error:
            return self._failed(error)
        if message:
            self.report({"INFO"}, message)
        return {"FINISHED"}

    def _go_modal(self, context: Context) -> Result:
        manager = context.window_manager
        self._timer = manager.event_timer_add(TICK, window=context.window)
        manager.modal_handler_add(self)
        context.workspace.status_text_set(f"{self.job_label}: Esc stops")
        return {"RUNNING_MODAL"}

    def modal(self, context: Context, event: Event) -> Result:
        """Look at the job at each tick; everything but Esc is passed on, so the window stays usable."""
        if event.type == "ESC" and event.value == "PRESS":
            SESSION.job.stop_requested = True
        elif event.type != "TIMER":
            return {"PASS_THROUGH"}
        if SESSION.job.stop_requested:
            self.cancel(context)
            return self._failed(Cancelled(f"{self.job_label} was stopped.", self.stopped_hint()))
        over = self._work.poll()
        SESSION.job.progress, SESSION.job.text = self._work.progress, self._work.text
        SESSION.job.icon = previews.icon_of(getattr(self._work, "preview", ""))
        redraw(context)
        if not over:
            return {"PASS_THROUGH"}
        self._leave(context)
        return self._conclude(context)

    def cancel(self, context: Context) -> None:
        """End the job; Blender calls this too when it quits or loads another file."""
        work = getattr(self, "_work", None)
        if work is not None:
            work.cancel()
            self._leave(context)

    def _leave(self, context: Context) -> None:
        timer = getattr(self, "_timer", None)
        if timer is not None:
            context.window_manager.event_timer_remove(timer)
            self._timer = None
        if context.workspace is not None:
            context.workspace.status_text_set(None)
        SESSION.job.end()
        previews.clear()
        redraw(context)


def is_interactive(operator: Any) -> bool:
    """Whether a person clicked, in a window; F9 wants its result at once."""
    return operator.options.is_invoke and not operator.options.is_repeat and not bpy.app.background


def redraw(context: Context) -> None:
    """Ask every 3D view and preferences window to draw its panels anew."""
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in {"VIEW_3D", "PREFERENCES"}:
                area.tag_redraw()
