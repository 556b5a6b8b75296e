# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussian heads as operators and panels see them: which one is meant, what training it takes, what it is."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import bpy

from ..core.checkpoint import note_of
from ..core.errors import SettingsError, SplatError
from ..core.splat.presets import estimate
from . import preferences, roots
from .kinds import Context, Root
from .person import model_of
from .scene import splat_object, splat_state
from .scene.double import role_of
from .scene.rig import role_bones
from .scene.timing import rate_of
from .work import WorkerJob

PACKAGES = ("av", "mediapipe", "numba", "scipy")
"""What the worker needs to train: to read footage, to find who is in it, to fit."""
DRAWING_PACKAGES = ("numba",)
"""What it needs to export."""
MOST_PICTURES = 600
"""Of one take that are trained on."""
_CHECKPOINT = "splats.checkpoint.npz"
_USUAL = (512, 512)


def head_of(context: Context) -> Any:
    """The Gaussian head that is meant: the active one, else that of the chosen double; None where there is
    none. Cheap.
    """
    layer = context.view_layer
    active = layer.objects.active if layer is not None else None
    if splat_state.is_head(active):
        return active
    root = roots.active_root(context)
    return None if root is None else head_of_root(root)


def head_of_root(root: Root) -> Any:
    """The Gaussian head of a double. Looks at the double's own collections only."""
    held = (obj for group in root.users_collection for obj in group.objects if splat_state.is_head(obj))
    mine = (obj for obj in held if obj.get("likeness_id") == root.get("likeness_id"))
    return next((obj for obj in mine if _root_above(obj) == root), None)


def root_of(head: Any) -> Root | None:
    """The double of a head, None when that is gone."""
    return _root_above(head)


def _root_above(head: Any) -> Any:
    body = splat_state.body_of(head)
    while body is not None and role_of(body) != "root":
        body = body.parent
    return body


def require_head(context: Context) -> Any:
    """The same as `head_of`, or a SettingsError."""
    head = head_of(context)
    if head is None:
        raise SettingsError("There is no Gaussian head.", "Train one, or add the one that was trained.")
    return head


def folder_of(root: Root) -> Path:
    """The avatar's folder."""
    return Path(bpy.path.abspath(root.likeness.folder)).absolute()


def splats_path(root: Root) -> Path:
    """Where the splats of a double's avatar lie, whether or not there are any. Cheap."""
    return folder_of(root) / "splats.npz"


def is_trained(root: Root) -> bool:
    """Whether the avatar has splats on disk. Cheap."""
    return bool(root.likeness.folder) and splats_path(root).is_file()


def is_unfinished(root: Root) -> bool:
    """Whether a training of the avatar was stopped and can go on. Cheap."""
    return bool(root.likeness.folder) and has_checkpoint(folder_of(root))


def has_checkpoint(folder: Path) -> bool:
    """The same for the folder of an avatar."""
    return (folder / _CHECKPOINT).is_file()


def begun_with(folder: Path) -> tuple[str, str]:
    """Preset and performance of the training that was stopped, both empty where that is not known. Cheap."""
    path = folder / _CHECKPOINT
    try:
        facts = path.stat()
    except OSError:
        return "", ""
    return _begun(path, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=8)
def _begun(path: Path, _changed: int, _size: int) -> tuple[str, str]:
    preset, _, performance = note_of(path).partition(" ")
    return preset.upper(), performance


def why_anew(root: Root, preset: str) -> str:
    """Why a training cannot go on where one was stopped, in a sentence; empty where it can, or none was."""
    if not is_unfinished(root):
        return ""
    begun, performance = begun_with(folder_of(root))
    filmed = filmed_performance(root)
    if begun and begun != preset:
        return f"What was stopped had the preset {begun.title()}: choose that to go on, this begins anew"
    if performance and filmed is not None and performance != filmed.name:
        return f"What was stopped learned from {performance}: this begins anew"
    return ""


def filmed_performance(root: Root) -> Any:
    """What is known of the performance that splats are learned from: the one that plays if it was fitted to
    footage, else the first that was; None where none was. Cheap.
    """
    note = root.likeness
    playing = note.performances.get(note.performance)
    if playing is not None and playing.has_camera:
        return playing
    return next((fact for fact in note.performances if fact.has_camera), None)


def estimate_text(root: Root, preset: str) -> str:
    """How long a training takes on this computer, in words; empty where there is no footage."""
    fact = filmed_performance(root)
    if fact is None:
        return ""
    size = tuple(fact.picture_size) if min(fact.picture_size) > 0 else _USUAL
    cores = os.cpu_count() or 1
    seconds = estimate(preset.lower(), min(fact.frame_count, MOST_PICTURES), cores, size)
    return f"About {duration(seconds)} on {cores} {'core' if cores == 1 else 'cores'}"


def duration(seconds: float) -> str:
    """So many seconds, minutes or hours, as people say it."""
    if seconds < 55:
        return f"{max(5, round(seconds / 5) * 5)} seconds"
    minutes = max(1, round(seconds / 60))
    if minutes < 90:
        return f"{minutes} {'minute' if minutes == 1 else 'minutes'}"
    return f"{seconds / 3600:.1f} hours"


def train_job(root: Root, preset: str, resume: bool) -> WorkerJob:
    """The worker training the splats of a double's avatar in its footage."""
    fact = filmed_performance(root)
    if fact is None:
        raise SettingsError("No performance of this double was filmed.", "Import a movie or photos.")
    arguments = ["splat", "train", str(roots.avatar_of(root).folder.absolute()), "--preset", preset.lower()]
    arguments += [f"--performance={fact.name}"]
    if resume and is_unfinished(root):
        arguments.append("--resume")
    python = preferences.job_python(PACKAGES, "training splats")
    return WorkerJob(arguments, python, preferences.job_environ())


def add(context: Context, root: Root, path: Path | None = None) -> Any:
    """Put the avatar's splats, or those of another file, onto a double; or bring its head up to date.

    Raises LikenessError, and changes nothing then.
    """
    double = roots.double_of(context.scene, root)
    path = path or splats_path(root)
    if not path.is_file():
        raise SplatError(f"There are no splats at {path}.", "Train them first.")
    bones = role_bones(model_of(roots.avatar_of(root)), "head")
    context.view_layer.update()
    return splat_object.add_head(double, path, bones[0] if bones else None)


def sentence_of(head: Any) -> str:
    """What a head is: how many splats, how near they come to the footage; empty where it cannot be read."""
    avatar = splat_state.splats_of(head)
    if avatar is None:
        return ""
    text = f"{len(avatar.gaussians):,} splats"
    quality = avatar.report.get("psnr_db")
    if isinstance(quality, int | float) and not isinstance(quality, bool):
        where = "in its footage" if avatar.report.get("tested_on_trained") else "in frames it has not seen"
        text += f", {quality:.1f} dB {where}"
    if is_foreign(head):
        text += f"; of another avatar, {avatar.name}" if avatar.name else "; of another avatar"
    return text


def is_foreign(head: Any) -> bool:
    """Whether the splats were made of another avatar, which may be wanted and may be a mistake."""
    avatar = splat_state.splats_of(head)
    return avatar is not None and avatar.avatar_id not in ("", head.get("likeness_id"))


def moment_of(context: Context, root: Root) -> float:
    """Seconds of the performance at the scene's frame."""
    scene = context.scene
    fact = root.likeness.performances.get(root.likeness.performance)
    seconds = scene.frame_current_final / rate_of(scene)
    return min(max(seconds, 0.0), fact.duration if fact is not None else 0.0)
