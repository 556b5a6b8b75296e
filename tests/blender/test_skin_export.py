# SPDX-License-Identifier: GPL-3.0-or-later
"""A file that engines read moves as the object in the scene does, and writing it leaves no trace."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from scene_support import part
from skin_export_support import BONES, FRAMES, skinned


def options(**values):
    made = {"first": 10, "last": 10 + FRAMES - 1, "influences": 8, **values}
    return part("addon.scene.skin_export").ExportOptions(**made)


def export(obj, path: Path, **values):
    return part("addon.scene.skin_export").export_skin(bpy.context.scene, obj, path, options(**values))


def state() -> dict[str, object]:
    scene = bpy.context.scene
    return {
        "blocks": {(type(block).__name__, block.name, block.users) for block in bpy.data.user_map()},
        "scene": (scene.name, scene.frame_current, scene.render.fps, scene.render.fps_base),
        "window": bpy.context.window.scene.name if bpy.context.window else "",
        "selected": sorted(o.name for o in bpy.context.selected_objects),
        "active": bpy.context.view_layer.objects.active,
    }


@pytest.mark.parametrize("kind", ["GLB", "FBX"])
@pytest.mark.parametrize("influences", [4, 8])
def test_it_comes_back_as_it_was(empty_scene, tmp_path, kind, influences):
    obj = skinned(influences)
    empty_scene.render.fps, empty_scene.render.fps_base = 30, 1.001
    empty_scene.frame_set(12)
    before = state()
    report = export(obj, tmp_path / f"head.{kind.lower()}", kind=kind, influences=influences)
    print(report, report.measured)
    assert state() == before
    assert report.measured.bones == 1 + 2 * BONES
    assert report.measured.maximum < 0.03
    assert [path.name for path in tmp_path.iterdir()] == [f"head.{kind.lower()}"]
