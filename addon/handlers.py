# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens by itself: a new file forgets the session, an undone slider takes its shape along, and a
predicted face follows its shape keys.
"""

from __future__ import annotations

import bpy
from bpy.app.handlers import persistent

from . import runtime, session
from .scene import face_live, splat_draw, splat_instances, splat_object, splat_state


@persistent
def on_load(*_: object) -> None:
    """Another file is open: jobs and requests belonged to the last one."""
    session.forget_requests()
    runtime.reset()
    splat_state.forget()
    splat_draw.forget()


@persistent
def on_undo(*_: object) -> None:
    """A slider may have come back without the mesh that it made, which is remade later."""
    session.forget_requests()
    for root in session.roots():
        session.request_if_stale(root)
    for scene in bpy.data.scenes:
        splat_object.tidy(scene)


@persistent
def on_loaded(*_: object) -> None:
    """Pictures of faces, and splats, may have been moved or deleted since the file was saved."""
    session.check_faces()
    for scene in bpy.data.scenes:
        splat_object.refresh_all(scene)


@persistent
def on_frame(scene: bpy.types.Scene, graph: bpy.types.Depsgraph | None = None, *_: object) -> None:
    """Faces without keys of their own follow other animation; cards of splats follow their heads."""
    face_live.after_frame(scene)
    splat_instances.after_frame(scene, graph)


@persistent
def on_update(scene: bpy.types.Scene, graph: object) -> None:
    """A shape key that a person drags; a Gaussian head that was deleted."""
    face_live.after_update(scene, graph)
    splat_object.after_update(scene)


HANDLERS = (
    (bpy.app.handlers.load_post, on_loaded),
    (bpy.app.handlers.frame_change_post, on_frame),
    (bpy.app.handlers.depsgraph_update_post, on_update),
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
