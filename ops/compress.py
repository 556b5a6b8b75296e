# SPDX-License-Identifier: GPL-3.0-or-later
"""Compress a mesh's shape keys into few bones, bring the result up to date, show where it is off."""

from __future__ import annotations

import bpy

from ..addon import compressing, preferences
from ..addon.kinds import Context
from ..addon.property_compress import CompressOptions, numbers_of
from ..addon.runtime import SESSION
from ..addon.scene.shape_source import read_shapes
from ..addon.skin_job import PACKAGES, SkinJob
from ..core.errors import ModelError
from ..core.skin.compressed import CompressedSkin
from ..core.skin.problem import Budget
from .base import Action, JobAction, Work
from .ids import Op
from .polls import NeedsCompressed, NeedsShapes


class CompressToBones(NeedsShapes, JobAction, CompressOptions, bpy.types.Operator):
    """Copy a mesh with bones in place of its shape keys"""

    bl_idname = Op.COMPRESS_TO_BONES
    bl_label = "Compress to Bones"
    # Without REGISTER: the redo panel would fit anew at each change of a number, and the window wait for it.
    bl_options = {"UNDO"}
    bl_description = (
        "Make a copy of the mesh beside it that a few bones move instead of its shape keys, with the "
        "animation on the bones. The mesh itself stays as it is"
    )
    job_label = "Compressing to bones"

    def start(self, context: Context) -> Work:
        """Let the worker fit bones, weights and motions to the shapes."""
        target = compressing.require_target(context)
        self._shapes, self._target = read_shapes(target), target.session_uid
        bones, influences, numbers = numbers_of(self)
        budget = Budget(bones, influences, numbers * len(self._shapes.names))
        return SkinJob(self._shapes, target.name, budget, self._python(), preferences.job_environ())

    def _python(self) -> str:
        """The worker's interpreter; what it lacks stays in the panel, with the way to mend it."""
        SESSION.lacking.pop("compressing", None)
        try:
            return preferences.job_python(PACKAGES, "compressing")
        except preferences.EnvironmentMissing as error:
            SESSION.lacking["compressing"] = error.message
            raise

    def finish(self, context: Context, result: CompressedSkin) -> str:
        """Build the copy, unless the mesh was removed or changed meanwhile."""
        target = compressing.find_by_session(self._target)
        if target is None:
            raise ModelError("The mesh was removed while it was compressed.", "Nothing was added.")
        return compressing.build(context, target, self._shapes, result, self)


class UpdateCompressed(NeedsCompressed, Action, bpy.types.Operator):
    """Key the bones anew for what the original's shape keys play now, and measure again"""

    bl_idname = Op.UPDATE_COMPRESSED
    bl_label = "Update"
    bl_options = {"REGISTER", "UNDO"}

    def run(self, context: Context) -> str:
        """Bake."""
        return compressing.update(context, compressing.require_compressed(context))


class ShowCompressionError(NeedsCompressed, Action, bpy.types.Operator):
    """Colour the compressed mesh by its distance from the original, or stop that"""

    bl_idname = Op.SHOW_COMPRESSION_ERROR
    bl_label = "Show Compression Error"
    bl_options = {"REGISTER", "UNDO"}

    def run(self, context: Context) -> str:
        """Switch."""
        made = compressing.require_compressed(context)
        compressing.show_error(made, not compressing.shows_error(made))
        return ""


CLASSES = (CompressToBones, UpdateCompressed, ShowCompressionError)
