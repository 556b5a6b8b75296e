# SPDX-License-Identifier: GPL-3.0-or-later
"""Load the capture that ships."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..addon import preferences, session
from ..addon.kinds import Context
from ..addon.work import AvatarJob, AvatarOrder
from ..core.errors import CaptureError
from .base import JobAction, Work
from .ids import Op

SAMPLE = Path(__file__).resolve().parents[1] / "core" / "data" / "sample" / "likeness_sample.zip"


class LoadSample(JobAction, bpy.types.Operator):
    """Load the capture that comes with Likeness and run every step on it, which takes less than a minute"""

    bl_idname = Op.LOAD_SAMPLE
    bl_label = "Load Sample"
    bl_options = {"REGISTER", "UNDO"}
    job_label = "Loading the sample"

    def start(self, context: Context) -> Work:
        """Let the worker make the sample's avatar."""
        if not SAMPLE.is_file():
            raise CaptureError(
                f"The sample {SAMPLE.name} is missing from the extension.", "Install Likeness again."
            )
        order = AvatarOrder(
            capture=SAMPLE,
            name="Sample",
            gender="",
            age=None,
            python=preferences.job_python(),
            folder=preferences.avatars_folder(),
            environ=preferences.job_environ(),
        )
        return AvatarJob(order)

    def finish(self, context: Context, result: Path) -> str:
        """Build the double."""
        return session.summary(session.add_double(context, result, session.BuildChoice()))


CLASSES = (LoadSample,)
