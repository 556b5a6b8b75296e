# SPDX-License-Identifier: GPL-3.0-or-later
"""What bones cannot take over is refused before the work, what changed since when it is updated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bpy
import pytest
from mathutils import Matrix
from scene_support import part
from test_compressed import made, patch, skin_for


@pytest.fixture(autouse=True)
def new_file(empty_scene: bpy.types.Scene) -> None:
    """Every test starts in an empty file."""


def _uneven(obj: Any) -> None:
    obj.scale.z = 1.5


def _mirrored(obj: Any) -> None:
    obj.scale.x = -1.0


def _sheared(obj: Any) -> None:
    """Turned below a parent that is longer than wide."""
    obj.parent = bpy.data.objects.new("Parent", None)
    bpy.context.scene.collection.objects.link(obj.parent)
    obj.parent.scale, obj.rotation_euler = (1.0, 1.0, 2.0), (0.5, 0.0, 0.0)


@pytest.mark.parametrize("spoil", [_uneven, _mirrored, _sheared])
def test_what_is_not_scaled_evenly_is_refused(spoil: Callable[[Any], None]) -> None:
    """Before the worker starts, and where a finished skin is put on."""
    obj = patch()
    bpy.context.view_layer.objects.active = obj
    skin = skin_for(obj)
    spoil(obj)
    objects = set(bpy.data.objects)
    sentence = "Apply the object's scale, then compress"
    with pytest.raises(RuntimeError, match=f"Patch is scaled unevenly, mirrored or sheared. {sentence}"):
        bpy.ops.likeness.compress_to_bones()
    with pytest.raises(part("core.errors").ModelError, match="Patch is scaled unevenly"):
        part("addon.scene.compressed").build_compressed(bpy.context, obj, skin)
    assert set(bpy.data.objects) == objects


def _rescaled(obj: Any, scale: float) -> None:
    """What Apply Scale does to a mesh."""
    obj.data.transform(Matrix.Scale(scale, 4), shape_keys=True)


def test_update_notices_another_mesh_or_scale() -> None:
    obj = patch()
    obj.scale = (0.5, 0.5, 0.5)
    copy, report, _skin = made(obj)
    bpy.context.view_layer.objects.active = obj
    update = bpy.ops.likeness.update_compressed
    assert update() == {"FINISHED"}
    for changed in (obj, copy):
        _rescaled(changed, 0.5)
        with pytest.raises(
            RuntimeError, match=f"{changed.name} changed since it was compressed. Compress ag"
        ):
            update()
        _rescaled(changed, 2.0)
    obj.scale.z = 0.7
    with pytest.raises(RuntimeError, match="Patch changed since"):
        update()
    obj.scale = (2.0, 2.0, 2.0)
    assert update() == {"FINISHED"}
    again = part("addon.scene.compressed").bake(bpy.context, copy).error
    assert again.worst == pytest.approx(report.error.worst, rel=1e-3)
