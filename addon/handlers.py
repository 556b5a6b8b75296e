# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens by itself: a new file forgets the session, and an undone slider takes its shape along."""

from __future__ import annotations

import bpy
from bpy.app.handlers import persistent

from . import runtime, session


@persistent
def on_load(*_: object) -> None:
    """Another file is open: jobs and requests belonged to the last one."""
    session.forget_requests()
    runtime.reset()


@persistent
def on_undo(*_: object) -> None:
    """A slider may have come back without the mesh that it made, which is remade later."""
    session.forget_requests()
    for root in session.roots():
        session.request_if_stale(root)


HANDLERS = (
    (bpy.app.handlers.load_pre, on_load),
    (bpy.app.handlers.undo_post, on_undo),
    (bpy.app.handlers.redo_post, on_undo),
)


def register() -> None:
    """Hook in."""
    for hook, function in HANDLERS:
        hook.append(function)


def unregister() -> None:
    """Unhook, and stop the timer if one runs."""
    for hook, function in reversed(HANDLERS):
        hook.remove(function)
    session.forget_requests()
    runtime.reset()
