# SPDX-License-Identifier: GPL-3.0-or-later
"""Fit the performance again, with the frame on screen as the face at rest."""

from __future__ import annotations

from typing import Any

import bpy

from ..addon import preferences, session
from ..addon.kinds import Context
from ..addon.scene.timing import rate_of
from ..addon.tracking import PACKAGES
from ..addon.work import WorkerJob
from ..core.errors import SettingsError
from .base import JobAction, Work
from .ids import Op
from .polls import NeedsFootage

_SLACK = 0.5
"""Frames by which the current one may lie outside the performance."""


class RefitNeutral(NeedsFootage, JobAction, bpy.types.Operator):
    """Fit the performance again so that the face of this frame is at rest"""

    bl_idname = Op.REFIT_NEUTRAL
    bl_label = "Refit with This Frame as Neutral"
    bl_options = {"REGISTER", "UNDO"}
    bl_description = (
        "Fit the performance again so that the face of this frame is at rest; choose one with a relaxed "
        "face, closed mouth and open eyes. The avatar on disk keeps the new fit"
    )
    job_label = "Refitting"

    def start(self, context: Context) -> Work:
        """Let the worker rewrite the performance of the avatar."""
        root = session.require_root(context)
        name, scene = root.likeness.performance, context.scene
        performance, rate = session.current(root), rate_of(scene)
        seconds = scene.frame_current_final / rate
        first, last = float(performance.time[0]), float(performance.time[-1])
        if not first - _SLACK / rate <= seconds <= last + _SLACK / rate:
            raise SettingsError(
                f"Frame {scene.frame_current} lies outside of {name}.",
                f"Go to one from {first * rate:.0f} to {last * rate:.0f}.",
            )
        seconds = min(max(seconds, first), last)
        folder = str(session.avatar_of(root).folder.absolute())
        arguments = ["refit", folder, "--neutral-time", f"{seconds:.6f}", f"--performance={name}"]
        self._root_name, self._performance = root.name, name
        return WorkerJob(arguments, preferences.job_python(PACKAGES), preferences.job_environ())

    def finish(self, context: Context, result: Any) -> str:
        """Key what was found, unless the double was removed meanwhile."""
        root = bpy.data.objects.get(self._root_name)
        if root is None:
            return "The avatar was fitted again; its double is gone"
        session.renew(context, root, self._performance)
        return f"{self._performance} was fitted again, with its neutral face at this frame"


CLASSES = (RefitNeutral,)
