# SPDX-License-Identifier: GPL-3.0-or-later
"""Look and light of doubles."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..core.errors import SettingsError
from ..core.person import rest_of
from .kinds import Context, Root, Scene
from .looks import change_look
from .person import fill_look, identity_from, look_from, model_of, personified, token_of
from .roots import avatar_of, double_of, note_of
from .runtime import quietly
from .scene import lights
from .scene.double import find_doubles
from .scene.face_choice import check_pictures, face_of, wear_face
from .scene.light_sets import items as lighting_items
from .scene.looks import material_mode, set_material_mode

__all__ = [
    "check_faces",
    "light_scene",
    "lighting_items",
    "note_materials",
    "reset_look",
    "set_face",
    "set_lighting",
    "set_materials",
    "show_face",
    "wear_look",
]


def wear_look(context: Context, root: Root) -> None:
    """Bring the look that the sliders describe onto a double."""
    avatar = avatar_of(root)
    model = model_of(avatar)
    person = personified(model, avatar, identity_from(root.likeness.identity))
    double = double_of(context.scene, root)
    change_look(double, model, rest_of(model, person), person, look_from(root.likeness.look, person))
    root.likeness.applied = token_of(root)


def show_face(context: Context, root: Root) -> None:
    """Show the face that the sliders describe; sets numbers only."""
    avatar = avatar_of(root)
    person = personified(model_of(avatar), avatar, identity_from(root.likeness.identity))
    wear_face(double_of(context.scene, root), person, look_from(root.likeness.look, person))
    root.likeness.applied = token_of(root)


def set_face(context: Context, root: Root, face: str) -> str:
    """Show one of the faces, or the nearest to it that there is; a sentence where that is another one."""
    with quietly():
        root.likeness.look.face = face
    show_face(context, root)
    return face_of(root)[1]


def check_faces() -> None:
    """After a file was opened: find faces' pictures that have moved along with their avatars."""
    for scene in bpy.data.scenes:
        for double in (d for d in find_doubles(scene) if d.root.library is None):
            check_pictures(double, Path(bpy.path.abspath(note_of(double.root).folder)) / "textures")


def light_scene(scene: Scene) -> None:
    """Light a scene with the set that its property names."""
    root: Root = scene.likeness.active
    target = double_of(scene, root).focus if root is not None else None
    lights.apply_lights(scene, scene.likeness.lighting, target)


def set_materials(context: Context, root: Root, mode: str) -> None:
    """Switch the set of materials of a double."""
    with quietly():
        root.likeness.look.materials = mode
    set_material_mode(double_of(context.scene, root), mode)


def note_materials(scene: Scene) -> None:
    """Let the panels say which materials the doubles wear, after a render preset changed them."""
    with quietly():
        for double in find_doubles(scene):
            note_of(double.root).look.materials = material_mode(double)


def set_lighting(context: Context, key: str) -> None:
    """Switch the lighting set of the scene; an unknown one is a SettingsError."""
    known = [item[0] for item in lighting_items()]
    if key not in known:
        raise SettingsError(f"There is no lighting set {key!r}.", f"Choose one of {', '.join(known)}.")
    with quietly():
        context.scene.likeness.lighting = key
    light_scene(context.scene)


def reset_look(context: Context, root: Root) -> None:
    """Set the look to what suits the person."""
    avatar = avatar_of(root)
    with quietly():
        fill_look(
            root.likeness.look, personified(model_of(avatar), avatar, identity_from(root.likeness.identity))
        )
    wear_look(context, root)
