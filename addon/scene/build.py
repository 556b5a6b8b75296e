# SPDX-License-Identifier: GPL-3.0-or-later
"""`build`: one call from avatar and performance to a double in the scene; again, and the same double is
updated.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from ...core.avatar import Avatar
from ...core.filters import FilterSettings
from ...core.head import HeadModel, Rest, load_model
from ...core.performance import Performance
from ...core.person import rest_of
from . import action, camera, face_choice, face_texture, footage_camera, lights, posture, rig, sound, timing
from .double import Double, tag, tagged
from .looks import apply_look
from .materials import Look
from .mesh import update_body
from .placement import eye_centre, feet_height, parent_to_head, place_root
from .settings import BuildSettings
from .workspace import preserved, scene_and_layer

DEFAULTS = BuildSettings()


def build(
    context: bpy.types.Context,
    avatar: Avatar,
    performance: Performance | None = None,
    settings: BuildSettings = DEFAULTS,
    model: HeadModel | None = None,
) -> Double:
    """Put a person into the scene, or update the one of the same avatar: body, keys, armature and action.

    What the user made of materials, lights, camera, pose and other F-Curves stays. `model`: instead of the
    one that the avatar names. Raises AvatarError or ModelError before anything is touched.
    """
    model = model or load_model(avatar.model)
    rest = rest_of(model, avatar)
    scene, layer = scene_and_layer(context)
    with preserved(context):
        double, created = _objects(scene, avatar, settings)
        fresh_bones = rig.update_armature(context, double.armature, model, rest)
        double.armature.location = (0.0, 0.0, feet_height(model, rest, settings.relaxed))
        update_body(double.body, model, rest)
        rig.add_modifiers(double.body, double.armature)
        if fresh_bones and settings.relaxed:
            posture.relax(double.armature, model, rest)
        double = _focus_and_camera(scene, double, model, rest, settings)
        face_texture.load_face(double, model, avatar)
        _perform(scene, double, model, rest, performance, settings)
        apply_look(
            double, model, rest, avatar, settings.look, settings.materials, settings.hair, settings.clothes
        )
        if performance is not None or action.current_performance(double) is None:
            face_texture.show_performance(scene, double, avatar, performance, settings.first_frame)
        face_choice.wear_face(double, avatar, settings.look or Look.of(avatar))
        _light(scene, layer, double, created, settings)
        _attach_media(scene, double, avatar, settings)
    return double


def apply_performance(
    scene: bpy.types.Scene,
    double: Double,
    avatar: Avatar,
    performance: Performance,
    settings: BuildSettings = DEFAULTS,
    filters: FilterSettings | None = None,
    model: HeadModel | None = None,
) -> bpy.types.Action:
    """Key another performance, or the same one with other filters, always from the recorded values."""
    model = model or load_model(avatar.model)
    rest = rest_of(model, avatar)
    written = _key(scene, double, model, rest, performance, settings, filters or settings.filters)
    face_texture.show_performance(scene, double, avatar, performance, settings.first_frame)
    face_choice.choose_again(double)
    return written


def _objects(scene: bpy.types.Scene, avatar: Avatar, settings: BuildSettings) -> tuple[Double, bool]:
    """The collection and the three objects every double has, found or made."""
    id, title = avatar.id, f"Likeness {avatar.name}"
    collection = tagged(scene.collection.children_recursive, id, "collection")
    if collection is None:
        collection = tag(bpy.data.collections.new(title), id, "collection")
        scene.collection.children.link(collection)
    root = tagged(collection.all_objects, id, "root")
    created = root is None
    if root is None:
        root = _new(collection, id, "root", title, None)
        root.empty_display_type, root.empty_display_size = "ARROWS", 0.25
        place_root(scene, root, settings)
    root["likeness_name"] = avatar.name
    armature = tagged(collection.all_objects, id, "armature")
    if armature is None:
        armature = _new(collection, id, "armature", f"{title} Rig", bpy.data.armatures.new(f"{title} Rig"))
        armature.parent = root
    body = tagged(collection.all_objects, id, "body")
    if body is None:
        body = _new(collection, id, "body", f"{title} Body", bpy.data.meshes.new(f"{title} Body"))
        body.parent = armature
    return Double(id, str(avatar.name), collection, root, armature, body), created


def _new(collection: bpy.types.Collection, id: str, role: str, name: str, data: Any) -> bpy.types.Object:
    obj = tag(bpy.data.objects.new(name, data), id, role)
    collection.objects.link(obj)
    return obj


def _focus_and_camera(
    scene: bpy.types.Scene, double: Double, model: HeadModel, rest: Rest, settings: BuildSettings
) -> Double:
    title = f"Likeness {double.name}"
    focus = double.part("focus")
    if focus is None:
        focus = _new(double.collection, double.id, "focus", f"{title} Focus", None)
        focus.empty_display_type, focus.empty_display_size = "SPHERE", 0.02
    head = rig.role_bones(model, "head")
    parent_to_head(focus, double.armature, head[0] if head else None)
    focus.location = eye_centre(model, rest).tolist()
    shot = double.part("camera")
    if shot is None and settings.camera:
        shot = _new(
            double.collection, double.id, "camera", f"{title} Camera", bpy.data.cameras.new(f"{title} Camera")
        )
        camera.set_up_camera(scene, shot, double.root, focus)
        camera.frame_camera(scene, shot, camera.head_and_shoulders(model, rest, double.armature.location.z))
        if scene.camera is None or "likeness_role" not in scene.camera:
            scene.camera = shot
    return Double(
        double.id, double.name, double.collection, double.root, double.armature, double.body, focus, shot
    )


def _perform(
    scene: bpy.types.Scene,
    double: Double,
    model: HeadModel,
    rest: Rest,
    performance: Performance | None,
    settings: BuildSettings,
) -> None:
    if performance is not None:
        _key(scene, double, model, rest, performance, settings, settings.filters)
    elif action.current_performance(double) is None:
        action.rest_eyes(double, model, rest, settings.eye_angle)


def _key(
    scene: bpy.types.Scene,
    double: Double,
    model: HeadModel,
    rest: Rest,
    performance: Performance,
    settings: BuildSettings,
    filters: FilterSettings,
) -> bpy.types.Action:
    if timing.is_only_performer(scene, double.root):
        rate = settings.fps or performance.rate
        if rate > 0.0:
            timing.set_rate(scene, rate)
    options = action.KeyOptions(
        settings.first_frame,
        settings.neck_share,
        settings.eye_angle,
        settings.decimate_error,
        settings.head_position,
    )
    written = action.write_performance(scene, double, model, rest, performance, filters, options)
    frames = settings.first_frame + performance.time * timing.rate_of(scene)
    footage_camera.update_footage_camera(double, performance, frames)
    timing.fit_range(scene, double.root, performance, settings.first_frame)
    return written


def _light(
    scene: bpy.types.Scene, layer: bpy.types.ViewLayer, double: Double, created: bool, settings: BuildSettings
) -> None:
    if settings.lights is None or lights.has_lights(scene) or not created:
        return
    layer.update()  # the rig is put where the eyes are
    lights.apply_lights(scene, settings.lights, double.focus)


def _attach_media(scene: bpy.types.Scene, double: Double, avatar: Avatar, settings: BuildSettings) -> None:
    movie = media_path(avatar, "movie")
    if settings.sound:
        sound.update_sound(scene, double, media_path(avatar, "sound") or movie, settings.first_frame)
    if settings.reference and movie is not None and double.camera is not None:
        camera.show_reference(double.camera, str(movie), settings.first_frame)


def media_path(avatar: Avatar, role: str) -> Path | None:
    """Absolute path of a medium that the avatar names and that is still there."""
    path = avatar.media_path(role)
    return path.resolve() if path is not None and path.is_file() else None
