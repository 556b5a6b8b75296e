# SPDX-License-Identifier: GPL-3.0-or-later
"""Look through the fitted camera, with the footage laid over the double, and back to what was before."""

from __future__ import annotations

from typing import Any

import bpy

from ..core.errors import AvatarError, SettingsError
from .kinds import Context, Root, Scene
from .roots import avatar_of, double_of
from .scene import footage
from .scene.double import Double, role_of
from .scene.footage_camera import ROLE, frame_of
from .scene.skin_only import show_skin_only

_SHOWN_AS = "likeness_shown_as"
"""On an object while it is drawn otherwise: its own display type, and whether it was hidden."""


def is_shown(scene: Scene, root: Root | None) -> bool:
    """Whether this double is shown on its footage. Cheap."""
    return root is not None and scene.likeness.footage.shown == root


def can_show(root: Root) -> bool:
    """Whether a camera was fitted to the performance that plays. Cheap."""
    fact = root.likeness.performances.get(root.likeness.performance)
    return fact is not None and fact.has_camera


def show(context: Context, root: Root) -> None:
    """Show a double on its footage; another that was shown so goes back first.

    SettingsError without a fitted camera, AvatarError when the footage is gone.
    """
    scene = context.scene
    hide(context)
    double = double_of(scene, root)
    camera = double.part(ROLE)
    if camera is None:
        raise SettingsError(
            f"No camera was fitted to {root.likeness.performance or 'this double'}.",
            "Import a movie or photos, which are tracked.",
        )
    _attach(scene, root, double, camera)
    _remember(scene, context, root)
    scene.camera = camera
    render, (width, height) = scene.render, frame_of(camera)
    render.resolution_x, render.resolution_y = width, height
    render.pixel_aspect_x = render.pixel_aspect_y = 1.0
    view = _view(context)
    if view is not None:
        view.region_3d.view_perspective, view.overlay.show_overlays = "CAMERA", True
    dress(scene)


def hide(context: Context) -> None:
    """Put everything back as it was, where the user has not changed it since."""
    scene = context.scene
    kept = scene.likeness.footage
    root = kept.shown
    if root is None:
        return
    _dress_objects(root, wire=False)
    camera = _camera_of(root)
    if camera is not None:
        footage.detach(camera)
        if scene.camera == camera:
            scene.camera = kept.camera
    render = scene.render
    if camera is None or (render.resolution_x, render.resolution_y) == frame_of(camera):
        render.resolution_x, render.resolution_y = kept.width, kept.height
        render.pixel_aspect_x, render.pixel_aspect_y = kept.aspect_x, kept.aspect_y
    view = _view(context)
    if view is not None and kept.view and view.region_3d.view_perspective == "CAMERA":
        view.region_3d.view_perspective, view.overlay.show_overlays = kept.view, kept.overlays
    kept.shown, kept.camera = None, None


def refresh(context: Context, root: Root) -> None:
    """After new keys: the footage goes on with them, or goes away with its camera."""
    scene = context.scene
    if not is_shown(scene, root):
        return
    double = double_of(scene, root)
    camera = double.part(ROLE)
    if camera is None or footage.footage_of(avatar_of(root)) is None:
        hide(context)
        return
    _attach(scene, root, double, camera)
    scene.camera = camera
    scene.render.resolution_x, scene.render.resolution_y = frame_of(camera)
    dress(scene)


def dress(scene: Scene) -> None:
    """Let footage and double look as the settings of the scene say."""
    kept = scene.likeness.footage
    root = kept.shown
    camera = _camera_of(root) if root is not None else None
    if camera is None:
        return
    wire = kept.style == "WIRE"
    footage.set_appearance(camera, 1.0 if wire else kept.alpha, in_front=not wire)
    _dress_objects(root, wire)


def _attach(scene: Scene, root: Root, double: Double, camera: bpy.types.Object) -> None:
    avatar = avatar_of(root)
    source = footage.footage_of(avatar)
    if source is None:
        raise AvatarError(
            f"The footage of {root['likeness_name']} is not there any more.", "Import the capture again."
        )
    footage.attach(scene, double, camera, source, avatar.load_performance(root.likeness.performance))


def _remember(scene: Scene, context: Context, root: Root) -> None:
    kept, render, view = scene.likeness.footage, scene.render, _view(context)
    kept.shown, kept.camera = root, scene.camera
    kept.width, kept.height = render.resolution_x, render.resolution_y
    kept.aspect_x, kept.aspect_y = render.pixel_aspect_x, render.pixel_aspect_y
    kept.view = view.region_3d.view_perspective if view is not None else ""
    kept.overlays = view.overlay.show_overlays if view is not None else True


def _view(context: Context) -> Any:
    """The 3D view in which a person clicked."""
    space = context.space_data
    return space if space is not None and space.type == "VIEW_3D" and space.region_3d is not None else None


def _camera_of(root: Root) -> bpy.types.Object | None:
    """The footage camera, found among the root's children, as the double may be incomplete."""
    return next((child for child in root.children if role_of(child) == ROLE), None)


def _dress_objects(root: Root, wire: bool) -> None:
    """Draw the skin and clothes as wire and hide the hair, or draw all as before; objects remember how they
    were.
    """
    id = root.get("likeness_id")
    for obj in (obj for obj in bpy.data.objects if obj.get("likeness_id") == id):
        if obj.type not in {"MESH", "CURVES"}:
            continue
        if role_of(obj) == "body":
            show_skin_only(obj, wire)
        if wire and _SHOWN_AS not in obj:
            obj[_SHOWN_AS] = {"kind": obj.display_type, "hidden": obj.hide_viewport}
            obj.display_type = "WIRE"
            obj.hide_viewport = obj.hide_viewport or obj.type == "CURVES"
        elif not wire and _SHOWN_AS in obj:
            before = obj[_SHOWN_AS]
            obj.display_type, obj.hide_viewport = before["kind"], bool(before["hidden"])
            del obj[_SHOWN_AS]
