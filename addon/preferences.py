# SPDX-License-Identifier: GPL-3.0-or-later
"""Preferences: worker environment, folders, where a new double stands."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import bpy
from bpy.props import EnumProperty, FloatVectorProperty, StringProperty

from ..core.errors import WorkerError
from . import environment
from .kinds import Context

ADDON_ID = (__package__ or "likeness.addon").rpartition(".")[0]
"""The package that Blender enabled, `bl_ext.<repository>.likeness` when installed."""


class LikenessPreferences(bpy.types.AddonPreferences):
    """Drawn by `ui.preferences`, which may name operators; this module may not."""

    bl_idname = ADDON_ID
    drawer: ClassVar[Callable[[LikenessPreferences, Context], None] | None] = None
    """Set while the extension is registered."""

    worker_python: StringProperty(
        name="Environment",
        description="Python interpreter, or folder of a virtual environment, that heavy jobs run in; "
        "leave empty to use Blender's own Python",
        subtype="FILE_PATH",
    )
    worker_report: StringProperty(
        name="Last Check",
        description="What the last check of the environment found",
        options={"HIDDEN"},
    )
    model_folder: StringProperty(
        name="Head Models",
        description="Folder with your own head models, such as FLAME; the built-in body needs none",
        subtype="DIR_PATH",
    )
    avatars_folder: StringProperty(
        name="Avatars",
        description="Folder where imported captures become avatars; leave empty to keep them beside the "
        "extension's other data",
        subtype="DIR_PATH",
    )
    placement_location: FloatVectorProperty(
        name="Location",
        description="Where the feet of a new double stand, from the world's origin",
        subtype="TRANSLATION",
        unit="LENGTH",
        default=(0.0, 0.0, 0.0),
    )
    placement_rotation: FloatVectorProperty(
        name="Rotation",
        description="How a new double is turned; without rotation it faces the front view",
        subtype="EULER",
        unit="ROTATION",
        default=(0.0, 0.0, 0.0),
    )
    gender: EnumProperty(
        name="Gender",
        description="Body of a new double when the capture does not say",
        items=(
            ("FEMALE", "Female", "A woman's body", 0),
            ("MALE", "Male", "A man's body", 1),
        ),
        default="FEMALE",
    )

    def draw(self, context: Context) -> None:
        """Delegate, so that imports keep running one way."""
        if LikenessPreferences.drawer is not None:
            LikenessPreferences.drawer(self, context)


def get(context: Context | None = None) -> Any:
    """The preferences of this extension. KeyError means that it is not enabled, which is a defect of the
    caller.
    """
    current: Context = context or bpy.context
    return current.preferences.addons[ADDON_ID].preferences


def data_folder() -> Path:
    """Where the extension may keep files of its own: the one Blender gives to extensions."""
    if ADDON_ID.startswith("bl_ext."):
        return Path(bpy.utils.extension_path_user(ADDON_ID, create=True))
    return Path(bpy.utils.user_resource("DATAFILES", path="likeness", create=True))


def avatars_folder() -> Path:
    """Where avatars go: the chosen folder, else one of our own."""
    chosen = get().avatars_folder
    return Path(bpy.path.abspath(chosen)) if chosen else data_folder() / "avatars"


def environment_folder() -> Path:
    """Where an environment of ours is made."""
    return data_folder() / "worker"


def worker_python() -> Path | None:
    """The interpreter of the chosen environment, None when none is chosen.

    Raises WorkerError when the chosen one is gone.
    """
    chosen = get().worker_python
    return environment.resolve(bpy.path.abspath(chosen)) if chosen else None


def job_python(heavy: bool = False) -> str:
    """The interpreter for a job: the environment when there is one, else Blender's own.

    heavy: the job needs more than numpy, so without an environment it is a WorkerError.
    """
    chosen = worker_python()
    if chosen is None and heavy:
        raise WorkerError("This needs the worker environment.", "Create one in the preferences of Likeness.")
    return str(chosen or sys.executable)


CLASSES = (LikenessPreferences,)
