# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing doubles into the scene, building them again, taking them out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bpy

from ..core.avatar import Avatar
from ..core.performance import Performance
from ..core.person import rest_of
from . import footage_view, preferences, tracking
from .kinds import Context, Root, Scene
from .looks import change_look, note_look
from .person import (
    fill_identity,
    fill_look,
    filters_from,
    identity_from,
    load_avatar,
    look_from,
    model_of,
    personified,
    token_of,
)
from .roots import avatar_of, note_of
from .runtime import quietly
from .scene import action, sound, splat_hiding
from .scene.build import build
from .scene.double import Double, find_double, find_doubles
from .scene.face_choice import faces_of
from .scene.head_motion import has_position
from .scene.materials import Look
from .scene.settings import BuildSettings
from .scene.timing import rate_of


@dataclass(frozen=True)
class BuildChoice:
    """What an import may leave out."""

    sound: bool = True
    camera: bool = True
    lights: bool = True
    keep_rate: bool = False


def add_double(context: Context, folder: Path, choice: BuildChoice) -> Root:
    """Bring an avatar with its latest performance into the scene, or update its double; returns the root."""
    avatar = load_avatar(folder)
    scene = context.scene
    earlier = find_double(scene, avatar.id)
    chosen = tracking.first_choice(avatar.performances)
    performance = avatar.load_performance(chosen) if chosen else None
    facts = facts_of(avatar, performance)
    settings = _placed(
        BuildSettings(
            lights="NEUTRAL" if choice.lights else None,
            camera=choice.camera,
            sound=choice.sound,
            fps=rate_of(scene) if choice.keep_rate else None,
        )
    )
    look = Look.of(avatar)
    if earlier is not None:
        note = note_of(earlier.root)
        if faces_of(earlier.root) == ("NONE",):  # it may have got textures since
            with quietly():
                note.look.face = look.face
        look = look_from(note.look, avatar)
        settings = replace(
            settings,
            filters=filters_from(note.filters),
            materials=note.look.materials,
            head_position=note.head_position,
        )
    settings = replace(settings, look=look)
    double = build(context, avatar, performance, settings)
    with quietly():
        _remember(scene, double, avatar, performance)
        list_performances(note_of(double.root), facts)
        if earlier is None:
            fill_look(note_of(double.root).look, avatar)
            note_look(double, look)
    if earlier is not None:
        change_look(double, model_of(avatar), rest_of(model_of(avatar), avatar), avatar, look)
    note_of(double.root).applied = token_of(double.root)
    scene.likeness.active = double.root
    footage_view.refresh(context, double.root)
    return double.root


def _placed(settings: BuildSettings) -> BuildSettings:
    chosen = preferences.get()
    return replace(
        settings, location=tuple(chosen.placement_location), rotation=tuple(chosen.placement_rotation)
    )


def _remember(scene: Scene, double: Double, avatar: Avatar, performance: Performance | None) -> None:
    """Write onto the root what panels show and rebuilding needs."""
    note = note_of(double.root)
    note.folder = str(avatar.folder)
    capture = avatar.provenance.get("capture", {})
    note.source = str(capture.get("path", "")) if isinstance(capture, dict) else ""
    movie = avatar.media_path("movie")
    note.movie = str(movie) if movie is not None else ""
    note.silent, note.dismissed = False, ""
    note.tracking = "\n".join(tracking.lines(avatar))
    note.warnings.clear()
    for warning in avatar.warnings:
        note.warnings.add().name = warning
    fill_identity(note.identity, model_of(avatar), avatar)
    note.performance = performance.name if performance is not None else ""
    note.keyed_rate = rate_of(scene) if performance is not None else 0.0


def facts_of(avatar: Avatar, loaded: Performance | None = None) -> list[dict[str, Any]]:
    """What panels show of each performance. Reads every file that is not at hand; AvatarError for a damaged
    one.
    """
    facts = []
    for name in avatar.performances:
        performance = loaded if loaded is not None and loaded.name == name else avatar.load_performance(name)
        facts.append(
            {
                "name": name,
                "frame_count": performance.frame_count,
                "duration": performance.duration,
                "rate": performance.rate,
                "has_head": performance.head_rotation is not None,
                "has_gaze": performance.gaze is not None,
                "has_position": has_position(performance),
                "has_camera": performance.camera is not None,
                "picture_size": _picture_size(performance),
                "has_flame": performance.flame is not None,
            }
        )
    return facts


def _picture_size(performance: Performance) -> tuple[int, int]:
    camera = performance.camera
    return (0, 0) if camera is None else (int(camera.size[0, 0]), int(camera.size[0, 1]))


def list_performances(note: Any, facts: list[dict[str, Any]]) -> None:
    """Put the facts where panels find them."""
    note.performances.clear()
    for fact in facts:
        item = note.performances.add()
        for key, value in fact.items():
            setattr(item, key, value)


def rebuild(context: Context, root: Root, keep_rate: bool = True) -> None:
    """Build a double again from its avatar and its sliders; the user's own changes to materials and lights
    stay.
    """
    avatar, scene, note = avatar_of(root), context.scene, root.likeness
    model = model_of(avatar)
    person = personified(model, avatar, identity_from(note.identity))
    performance = avatar.load_performance(note.performance) if note.performance else None
    settings = replace(
        _placed(BuildSettings()),
        lights=None,
        camera=False,
        look=look_from(note.look, person),
        materials=note.look.materials,
        filters=filters_from(note.filters),
        decimate_error=note.filters.decimate_error if note.filters.decimate else None,
        head_position=note.head_position,
        fps=rate_of(scene) if keep_rate else None,
    )
    double = build(context, person, performance, settings, model)
    change_look(double, model, rest_of(model, person), person, look_from(note.look, person))
    action.use_filtered(double, note.filters.enabled)
    note.keyed_rate = rate_of(scene) if performance is not None else 0.0
    note.applied = token_of(root)
    footage_view.refresh(context, root)


def remove(context: Context, root: Root) -> None:
    """Take a double with all its objects, data and actions out of the file; the avatar on disk stays."""
    id = str(root.get("likeness_id", ""))
    scene = context.scene
    if footage_view.is_shown(scene, root):
        footage_view.hide(context)
    double = find_double(scene, id)
    if double is not None:
        sound.update_sound(scene, double, None, 0)
    collections = [c for c in bpy.data.collections if c.get("likeness_id") == id]
    objects = [obj for obj in bpy.data.objects if obj.get("likeness_id") == id]
    data = [obj.data for obj in objects if obj.data is not None]
    actions = [a for a in bpy.data.actions if a.get("likeness_id") == id]
    bpy.data.batch_remove([*objects, *collections, *actions])
    bpy.data.batch_remove([block for block in data if not block.users])
    splat_hiding.drop_unused()
    others = find_doubles(scene)
    scene.likeness.active = others[0].root if others else None


def summary(root: Root) -> str:
    """One sentence on what stands in the scene now."""
    note = root.likeness
    if not note.performance:
        return f"{root['likeness_name']} stands in the scene, without a performance"
    fact = note.performances[note.performance]
    return f"{root['likeness_name']} plays {fact.name}: {fact.frame_count} samples, {fact.duration:.2f} s"


def reset_identity(context: Context, root: Root) -> None:
    """Set the shape to that of the avatar on disk."""
    avatar = avatar_of(root)
    with quietly():
        fill_identity(root.likeness.identity, model_of(avatar), avatar)
    rebuild(context, root)


def save_identity(root: Root) -> Avatar:
    """Write the sliders into the avatar on disk."""
    avatar = avatar_of(root)
    changed = personified(model_of(avatar), avatar, identity_from(root.likeness.identity))
    changed.save()
    return changed
