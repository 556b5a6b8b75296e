# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows a changed slider.

A moment after the last change the shape follows, and when it has been still for longer the rest (keys, hair,
clothes). Without a window there are no timers and everything happens at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import bpy

from ..core.errors import LikenessError
from ..core.person import rest_of
from .doubles import rebuild
from .kinds import Context, Root, Scene
from .person import identity_from, model_of, personified, token_of
from .playing import play
from .roots import avatar_of, double_of, is_root, note_of
from .runtime import SESSION
from .scene import action
from .scene.looks import set_material_mode
from .scene.mesh import update_body
from .styling import light_scene, show_face, wear_look

QUICK, SETTLED = 0.12, 0.7
"""Seconds after the last change of a slider until the shape, and until everything follows."""

_requests: dict[tuple[str, str], float] = {}
"""(name of the datablock, what) -> time on the monotonic clock when it is due."""


def request(owner: Root | Scene, what: str) -> None:
    """Let the scene follow a changed slider of `owner`, a double's root or a scene."""
    of_double = what != "lighting"
    if SESSION.quiet or (of_double and not note_of(owner).folder):
        return
    if bpy.app.background:
        _follow(bpy.context, owner.name, "settle" if what == "identity" else what)
        return
    now = time.monotonic()
    _requests[owner.name, what] = now + QUICK
    if what == "identity":
        _requests[owner.name, "settle"] = now + SETTLED
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=QUICK)


def request_if_stale(root: Root) -> None:
    """After undo: remake the shape and look where the sliders say something else than what was made of
    them.
    """
    note = root.likeness
    if note.folder and note.applied and note.applied != token_of(root):
        request(root, "identity")
        request(root, "look")


def forget_requests() -> None:
    """Drop what is pending, and its timer."""
    _requests.clear()
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)


def flush(context: Context) -> None:
    """Do at once all that is pending."""
    for name, what in list(_requests):
        _requests.pop((name, what), None)
        _follow(context, name, what)


def _tick() -> float | None:
    """The timer: what is due is done, in the first window's context; runs only while something is pending."""
    now = time.monotonic()
    due = [key for key, when in _requests.items() if when <= now]
    context: Context = bpy.context
    window = next(iter(context.window_manager.windows), None)
    for key in due:
        _requests.pop(key, None)
        with context.temp_override(window=window):
            _follow(context, *key)
    return max(0.02, min(_requests.values()) - time.monotonic()) if _requests else None


def _follow(context: Context, name: str, what: str) -> None:
    """Do one thing for the root, or light the scene, of this name; it may have been deleted meanwhile."""
    try:
        if what == "lighting":
            scene = bpy.data.scenes.get(name)
            if scene is not None:
                light_scene(scene)
        elif (root := _root_named(name)) is not None:
            _FOLLOW[what](context, root)
    except LikenessError as error:
        # There is no operator to report through: the panel shows it.
        SESSION.log[:], SESSION.log_is_error = [str(error)], True


def _root_named(name: str) -> Root | None:
    root: Root = bpy.data.objects.get(name)
    return root if root is not None and is_root(root) else None


def _shape(context: Context, root: Root) -> None:
    """The body only, for a slider that is being dragged: about 0.1 s."""
    avatar = avatar_of(root)
    model = model_of(avatar)
    person = personified(model, avatar, identity_from(root.likeness.identity))
    update_body(double_of(context.scene, root).body, model, rest_of(model, person))


def _materials(context: Context, root: Root) -> None:
    set_material_mode(double_of(context.scene, root), root.likeness.look.materials)


def _switch(context: Context, root: Root) -> None:
    action.use_filtered(double_of(context.scene, root), root.likeness.filters.enabled)


def _keys(context: Context, root: Root) -> None:
    if root.likeness.performance:
        play(context, root)


_FOLLOW: dict[str, Callable[[Context, Root], None]] = {
    "identity": _shape,
    "settle": rebuild,
    "look": wear_look,
    "face": show_face,
    "materials": _materials,
    "switch": _switch,
    "keys": _keys,
}
