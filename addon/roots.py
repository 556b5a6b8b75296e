# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding doubles from their roots. Cheap enough for `poll` and `draw`, save for `double_of` and
`avatar_of`.
"""

from __future__ import annotations

from typing import Any

import bpy

from ..core.avatar import Avatar
from ..core.errors import AvatarError, SettingsError
from .kinds import Context, Root, Scene
from .person import load_avatar
from .scene.double import Double, find_double, role_of


def is_root(candidate: Root) -> bool:
    """Whether this object is the root of a double."""
    return role_of(candidate) == "root"


def roots() -> list[Root]:
    """The roots of all doubles of all scenes."""
    return [obj for obj in bpy.data.objects if is_root(obj)]


def note_of(root: Root) -> Any:
    """What the file remembers of a double, a `properties.LikenessDouble`."""
    return root.likeness


def active_root(context: Context) -> Root | None:
    """The root of the chosen double, None when there is none. Cheap enough for `poll` and `draw`."""
    scene: Scene = context.scene
    if scene is None:
        return None
    chosen: Root = scene.likeness.active
    if chosen is None or not is_root(chosen) or scene.objects.get(chosen.name) != chosen:
        return None
    return chosen


def require_root(context: Context) -> Root:
    """The same, or a SettingsError."""
    root = active_root(context)
    if root is None:
        raise SettingsError("There is no double in this scene.", "Import a capture first.")
    return root


def double_of(scene: Scene, root: Root) -> Double:
    """The double of a root; AvatarError when its parts were deleted."""
    double = find_double(scene, str(root.get("likeness_id", "")))
    if double is None:
        raise AvatarError(f"Parts of {root.name} were deleted.", "Rebuild the double.")
    return double


def avatar_of(root: Root) -> Avatar:
    """The avatar of a double as it lies on disk; AvatarError when it is gone."""
    return load_avatar(bpy.path.abspath(root.likeness.folder))


def has_sound(scene: Scene, root: Root) -> bool:
    """Whether the double's sound strip is in the sequencer. Cheap."""
    editor: Any = scene.sequence_editor
    return editor is not None and f"Likeness {root.get('likeness_name', '')} Sound" in editor.strips


def parts_missing(scene: Scene, root: Root) -> bool:
    """Whether the body or the armature of a double was deleted. Looks at the double's own collection only."""
    held = next((c for c in root.users_collection if c.get("likeness_id") == root.get("likeness_id")), None)
    if held is None:
        return True
    roles = {role_of(obj) for obj in held.objects}
    return not {"armature", "body"} <= roles
