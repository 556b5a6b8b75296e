# SPDX-License-Identifier: GPL-3.0-or-later
"""Leave the user where they were: mode, active object, selection and frame."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import bpy


def scene_and_layer(context: bpy.types.Context) -> tuple[bpy.types.Scene, bpy.types.ViewLayer]:
    """The scene and view layer to work in. There always are some; the type stubs say otherwise."""
    scene: Any = context.scene
    layer: Any = context.view_layer
    return scene, layer


@contextmanager
def preserved(context: bpy.types.Context) -> Iterator[None]:
    """Work in object mode, then restore mode, active object, selection and frame, also after an error."""
    scene, layer = scene_and_layer(context)
    active, mode = layer.objects.active, context.mode
    selected = [o for o in layer.objects if o.select_get(view_layer=layer)]
    frame, subframe = scene.frame_current, scene.frame_subframe
    object_mode = active.mode if active is not None else "OBJECT"
    if mode != "OBJECT" and active is not None:
        bpy.ops.object.mode_set(mode="OBJECT")
    try:
        yield
    finally:
        if (scene.frame_current, scene.frame_subframe) != (frame, subframe):
            scene.frame_set(frame, subframe=subframe)
        _select(layer, selected, active)
        if object_mode != "OBJECT" and alive(active):
            bpy.ops.object.mode_set(mode=object_mode)


def alive(datablock: Any) -> bool:
    """Whether a reference still names something; Blender raises ReferenceError for what was removed."""
    with suppress(ReferenceError):
        return datablock is not None and bool(datablock.name)
    return False


def _select(layer: bpy.types.ViewLayer, selected: list[Any], active: Any) -> None:
    for obj in layer.objects:
        obj.select_set(False, view_layer=layer)
    for obj in selected:
        if alive(obj) and obj.name in layer.objects:
            obj.select_set(True, view_layer=layer)
    layer.objects.active = active if alive(active) and active.name in layer.objects else None


@contextmanager
def edit_mode(context: bpy.types.Context, obj: bpy.types.Object) -> Iterator[None]:
    """Edit `obj`, which may be hidden or in an excluded collection: bones exist only in edit mode."""
    scene, layer = scene_and_layer(context)
    hidden = obj.hide_viewport
    obj.hide_viewport = False
    linked = obj.name not in scene.collection.objects
    if linked:
        scene.collection.objects.link(obj)
    layer.update()
    concealed = obj.hide_get(view_layer=layer)
    obj.hide_set(False, view_layer=layer)
    layer.objects.active = obj
    bpy.ops.object.mode_set(mode="EDIT")
    try:
        yield
    finally:
        bpy.ops.object.mode_set(mode="OBJECT")
        obj.hide_set(concealed, view_layer=layer)
        obj.hide_viewport = hidden
        if linked:
            scene.collection.objects.unlink(obj)
