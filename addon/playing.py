# SPDX-License-Identifier: GPL-3.0-or-later
"""Performances of a double: play, add, and the sound that belongs to them."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..core.arkit import ARKIT_NAMES
from ..core.avatar import Avatar
from ..core.errors import SettingsError
from ..core.performance import Performance
from . import footage_view, tracking
from .doubles import facts_of, list_performances, rebuild
from .kinds import Context, Root
from .person import fill_identity, filters_from, identity_from, model_of, personified
from .roots import avatar_of, double_of
from .runtime import quietly
from .scene import action, sound
from .scene.build import apply_performance
from .scene.face_choice import faces_of
from .scene.materials.look import best_face
from .scene.settings import BuildSettings
from .scene.timing import rate_of

SHAPE_ITEMS = tuple((name, name, f"The ARKit shape {name}") for name in ARKIT_NAMES)
"""Enum items of the 52 shapes."""


def play(context: Context, root: Root, name: str = "", fps: float | None = None) -> None:
    """Key a performance of the avatar with the double's filters; without a name the one that plays.

    fps: rate of the scene; None keeps the scene's for the performance that plays already, and else takes that
    of the new one where the double is the scene's only performer.
    """
    avatar, note, scene = avatar_of(root), root.likeness, context.scene
    chosen = name or note.performance
    performance = avatar.load_performance(chosen)
    if fps is None and chosen == note.performance:
        fps = rate_of(scene)
    person = personified(model_of(avatar), avatar, identity_from(note.identity))
    error = note.filters.decimate_error if note.filters.decimate else None
    settings = BuildSettings(
        fps=fps,
        filters=filters_from(note.filters),
        decimate_error=error,
        head_position=note.head_position,
    )
    double = double_of(scene, root)
    apply_performance(scene, double, person, performance, settings)
    action.use_filtered(double, note.filters.enabled)
    note.performance, note.keyed_rate = chosen, rate_of(scene)
    if chosen not in note.performances:
        list_performances(note, facts_of(avatar, performance))
    footage_view.refresh(context, root)


def renew(context: Context, root: Root, name: str) -> None:
    """Build a double again whose head and performance were fitted anew on disk."""
    avatar, note = avatar_of(root), root.likeness
    list_performances(note, facts_of(avatar))
    note.tracking, note.performance = "\n".join(tracking.lines(avatar)), name
    with quietly():
        if faces_of(root) == ("NONE",):
            note.look.face = best_face(avatar)
        fill_identity(note.identity, model_of(avatar), avatar)
    rebuild(context, root)


def add_performance(context: Context, root: Root, performance: Performance) -> None:
    """Put a performance into the avatar on disk and play it."""
    avatar = Avatar.load(bpy.path.abspath(root.likeness.folder))
    avatar.add_performance(performance)
    list_performances(root.likeness, facts_of(avatar, performance))
    play(context, root, performance.name)


def current(root: Root) -> Performance:
    """The recorded performance that a double plays; SettingsError when it has none."""
    if not root.likeness.performance:
        raise SettingsError(
            f"{root.name} has no performance.", "Add one from a capture with recorded weights."
        )
    return avatar_of(root).load_performance(root.likeness.performance)


def add_sound(context: Context, root: Root, path: Path | None = None) -> bool:
    """Put sound into the sequencer, from the capture's movie or another file; False where the file has
    none.
    """
    source = path or Path(bpy.path.abspath(root.likeness.movie))
    done = sound.update_sound(context.scene, double_of(context.scene, root), source.resolve(), 0)
    root.likeness.silent = not done and path is None
    return done
