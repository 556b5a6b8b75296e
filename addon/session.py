# SPDX-License-Identifier: GPL-3.0-or-later
"""What operators, panels and the command line ask of doubles, under one name."""

from __future__ import annotations

from .doubles import (
    BuildChoice,
    add_double,
    rebuild,
    remove,
    reset_identity,
    save_identity,
    summary,
)
from .footage_view import can_show as can_show_footage
from .footage_view import dress as dress_footage
from .footage_view import hide as hide_footage
from .footage_view import is_shown as is_footage_shown
from .footage_view import show as show_footage
from .playing import SHAPE_ITEMS, add_performance, add_sound, current, play, renew
from .roots import (
    active_root,
    avatar_of,
    double_of,
    has_sound,
    is_root,
    parts_missing,
    require_root,
    roots,
)
from .runtime import quietly
from .scene.face_choice import coverage_of, face_of, faces_of, lack_of, show_invented, shows_invented
from .scene.face_flaws import flaws_of
from .scene.materials.look import FACES
from .sliders import flush, forget_requests, request, request_if_stale
from .styling import (
    check_faces,
    lighting_items,
    note_materials,
    reset_look,
    set_face,
    set_lighting,
    set_materials,
)

__all__ = [
    "FACES",
    "SHAPE_ITEMS",
    "BuildChoice",
    "active_root",
    "add_double",
    "add_performance",
    "add_sound",
    "avatar_of",
    "can_show_footage",
    "check_faces",
    "coverage_of",
    "current",
    "double_of",
    "dress_footage",
    "face_of",
    "faces_of",
    "flaws_of",
    "flush",
    "forget_requests",
    "has_sound",
    "hide_footage",
    "is_footage_shown",
    "is_root",
    "lack_of",
    "lighting_items",
    "note_materials",
    "parts_missing",
    "play",
    "quietly",
    "rebuild",
    "remove",
    "renew",
    "request",
    "request_if_stale",
    "require_root",
    "reset_identity",
    "reset_look",
    "roots",
    "save_identity",
    "set_face",
    "set_lighting",
    "set_materials",
    "show_footage",
    "show_invented",
    "shows_invented",
    "summary",
]
