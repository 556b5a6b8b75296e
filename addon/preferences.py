# SPDX-License-Identifier: GPL-3.0-or-later
"""Preferences: worker environment, folders, where a new double stands."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import bpy
from bpy.props import EnumProperty, FloatVectorProperty, StringProperty

from ..core.errors import WorkerError
from . import environment
from .kinds import Context
from .runtime import SESSION

ADDON_ID = (__package__ or "likeness.addon").rpartition(".")[0]
"""The package that Blender enabled, `bl_ext.<repository>.likeness` when installed."""


MODELS_VARIABLE = "LIKENESS_MODELS"
"""How the worker is told where models are."""
BUNDLE = "face_landmarker.task"
"""File name of the landmark model that also gives expression scores."""


_MOST_FILES = 2000
"""Files that are looked at in a folder of models."""


def _environment_changed(chosen: Any, _context: Context) -> None:
    chosen.worker_report = ""
    SESSION.lacking.clear()


def _models_changed(_preferences: Any, _context: Context) -> None:
    look_again()


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
        update=_environment_changed,
    )
    worker_report: StringProperty(
        name="Last Check",
        description="What the last check of the environment found",
        options={"HIDDEN"},
    )
    model_folder: StringProperty(
        name="Models",
        description="Folder with the landmark model and with head models of your own, such as FLAME; leave "
        "empty to keep them beside the extension's other data",
        subtype="DIR_PATH",
        update=_models_changed,
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


def models_folder() -> Path:
    """Where models of landmarks and heads lie: the chosen folder, else one of our own."""
    chosen = get().model_folder
    return Path(bpy.path.abspath(chosen)) if chosen else data_folder() / "models"


@lru_cache(maxsize=8)
def has_landmarks(folder: Path) -> bool:
    """Whether a folder of models has the landmark model. Looked up once, until `look_again`."""
    return (folder / BUNDLE).is_file()


@lru_cache(maxsize=8)
def has_flame(folder: Path) -> bool:
    """Whether a folder of models seems to have a FLAME model. Looked up once, until `look_again`."""
    inside = islice(folder.glob("**/*"), _MOST_FILES)
    return any("flame" in path.name.lower() and path.suffix.lower() in {".pkl", ".npz"} for path in inside)


def look_again() -> None:
    """Forget which models were found."""
    has_landmarks.cache_clear()
    has_flame.cache_clear()


def job_python(needed: Sequence[str] = (), purpose: str = "tracking") -> str:
    """The interpreter for a job: the environment when there is one, else Blender's own.

    needed: packages that the job cannot do without; a WorkerError names those that are missing and the
    `purpose`. Asking takes about 0.1 s.
    """
    chosen = worker_python()
    python = chosen or Path(sys.executable)
    missing = environment.check(python, names=needed).missing if needed else ()
    if missing:
        raise EnvironmentMissing(
            f"{'The worker environment' if chosen else 'Blender itself'} lacks {', '.join(missing)}, which "
            f"{purpose} needs.",
            "Create the worker environment in the preferences of Likeness.",
        )
    return str(python)


def has_packages(needed: Sequence[str]) -> bool:
    """Whether the worker's interpreter has these packages. Takes about 0.1 s."""
    try:
        return not environment.check(worker_python() or Path(sys.executable), names=needed).missing
    except WorkerError:
        return False


def job_environ() -> dict[str, str]:
    """Environment variables of a job: where models are found."""
    if MODELS_VARIABLE in os.environ and not get().model_folder:
        return {}
    return {MODELS_VARIABLE: str(models_folder())}


class EnvironmentMissing(WorkerError):
    """A job needs packages that its Python does not have."""


CLASSES = (LikenessPreferences,)
