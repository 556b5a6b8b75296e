# SPDX-License-Identifier: GPL-3.0-or-later
"""Splats as cards: in the right place and colour, sorted, and where the double is in every rendered frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
import splat_support
from scene_support import avatar, build, part, performance
from splat_frames_support import bytes_of


@pytest.fixture
def stage(empty_scene, tmp_path) -> Any:
    """A double that acts, alone before its camera in black, with a head of grey splats."""
    scene = empty_scene
    scene.render.resolution_x, scene.render.resolution_y = 60, 80
    model = part("core.head").load_model("anny")
    double = build(avatar(), performance(count=4), model)
    rest = part("core.person").rest_of(model, avatar())
    head = splat_support.add_head(double, model, rest, tmp_path)
    scene.render.film_transparent = True
    scene.view_settings.view_transform = "Standard"
    bpy.context.view_layer.objects.active = head
    scene.camera.data.dof.use_dof = False
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.device, scene.cycles.use_denoising = 4, "CPU", False
    for obj in scene.objects:
        obj.visible_camera = False
        obj.hide_render = obj.type == "LIGHT"
    return scene, head


def rendered(scene: Any, path: Path) -> np.ndarray:
    """(H, W, 4) uint8 by Blender's own Render Image."""
    settings = scene.render.image_settings
    part("addon.scene.bpy_compat").set_png_format(settings)
    settings.color_mode = "RGBA"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    return bytes_of(path)


def outline(scene: Any, head: Any) -> np.ndarray:
    """(H, W) bool: the surface that the splats are on, drawn by itself."""
    graph = splat_support.graph()
    view = part("addon.scene.splat_frames_camera").view_of(scene, graph)
    state = part("addon.scene.splat_state").state_of(graph, head)
    seen = state.vertices @ view.T_view_world[:3, :3].T + view.T_view_world[:3, 3]
    pixels = seen[:, :2] / seen[:, 2:] * [view.fx, view.fy] + [view.cx, view.cy]
    size = view.height, view.width
    triangles = state.avatar.surface.triangles
    return part("core.raster").rasterise(pixels, seen[:, 2], triangles, size, cull=False).covered


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_cards_are_where_the_head_is_in_its_colour(stage, tmp_path):
    scene, head = stage
    scene.frame_set(2)
    assert bpy.ops.likeness.splat_instances() == {"FINISHED"}
    cards = part("addon.scene.splat_instances").cards_of(head)
    assert len(cards.data.polygons) == len(part("addon.scene.splat_state").splats_of(head).gaussians)
    picture = rendered(scene, tmp_path / "a.png")
    solid = picture[..., 3] > 128
    # Gaussians reach a little beyond the surface that they are on, and these leave gaps.
    assert overlap(solid, outline(scene, head)) > 0.75
    # sh 0 is the grey 0.5, moved a little by the expression's own offsets.
    assert abs(np.median(picture[solid][:, :3]) - 127) < 6


def test_cards_follow_in_an_animation_that_blender_renders(stage, tmp_path):
    """Nobody sets a frame but Blender's own Render Animation."""
    scene, head = stage
    head.parent.parent.location = (0.0, 0.0, 0.0)
    for frame, x in ((1, -0.06), (2, 0.06)):
        head.parent.location.x = x
        head.parent.keyframe_insert("location", index=0, frame=frame)
    scene.frame_set(1)
    bpy.ops.likeness.splat_instances()
    settings = scene.render.image_settings
    part("addon.scene.bpy_compat").set_png_format(settings)
    settings.color_mode = "RGBA"
    scene.frame_start, scene.frame_end = 1, 2
    scene.render.filepath = str(tmp_path / "f_")
    bpy.ops.render.render(animation=True)
    solid = [bytes_of(tmp_path / f"f_000{n}.png")[..., 3] > 128 for n in (1, 2)]
    outlines = []
    for number in (1, 2):
        scene.frame_set(number)
        outlines.append(outline(scene, head))
    for n in (0, 1):
        assert overlap(solid[n], outlines[n]) > 0.75
        assert overlap(solid[n], outlines[1 - n]) < 0.6


def test_cards_face_the_camera_and_come_from_back_to_front(stage):
    scene, head = stage
    instances = part("addon.scene.splat_instances")
    cards = instances.add_cards(scene, head)
    mesh = cards.data
    points = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.attributes["position"].data.foreach_get("vector", points)
    corners = points.reshape(-1, 4, 3).astype(np.float64)
    away = corners.mean(axis=1) - np.array(scene.camera.matrix_world.translation)
    distance = np.linalg.norm(away, axis=1)
    assert np.all(np.diff(distance) < 1e-5)
    for side in (corners[:, 1] - corners[:, 0], corners[:, 3] - corners[:, 0]):
        along = np.abs(np.sum(side * away, axis=1)) / distance
        assert np.all(along < 1e-3 * np.linalg.norm(side, axis=1) + 1e-6)


def test_a_card_has_the_outline_of_its_gaussian():
    """A rod that lies across the view, one that points at the eye, and a turned disc."""
    gaussians, instances = part("core.splat.gaussians"), part("addon.scene.splat_instances")
    half = np.sqrt(0.5)
    placed = gaussians.Activated(
        means=np.array([[0.0, 0.0, 0.0]] * 3),
        scales=np.array([[0.3, 0.1, 0.1], [0.1, 0.1, 0.3], [0.2, 0.2, 1e-4]]),
        rotations=np.array([[1.0, 0, 0, 0], [1.0, 0, 0, 0], [half, half, 0, 0]]),  # the disc is edge on
        opacities=np.full(3, 0.5),
        colours=np.full((3, 3), 0.5),
    )
    corners, colours = instances.cards_arrays(placed, np.array([0.0, 0.0, 5.0]))
    wide, high = (
        corners[..., 0].max(1) - corners[..., 0].min(1),
        corners[..., 1].max(1) - corners[..., 1].min(1),
    )
    sides = np.sort(np.stack([wide, high], axis=1), axis=1)
    reach = 2 * instances.REACH
    assert np.allclose(wide, reach * np.array([0.3, 0.1, 0.2]), rtol=1e-3)
    assert np.allclose(sides[:, 0], reach * np.array([0.1, 0.1, 1e-4]), atol=2e-3)
    assert np.allclose(colours, [0.214, 0.214, 0.214, 0.5], atol=1e-3)


def test_final_frames_have_the_splats_themselves_and_cards_can_go_again(stage):
    scene, head = stage
    bpy.ops.likeness.splat_instances()
    instances, composite = part("addon.scene.splat_instances"), part("addon.scene.splat_composite")
    cards = instances.cards_of(head)
    with composite.splat_output(scene):
        assert cards.hide_render
    assert not cards.hide_render
    meshes = len(bpy.data.meshes)
    assert bpy.ops.likeness.splat_instances(remove=True) == {"FINISHED"}
    assert instances.cards_of(head) is None
    assert len(bpy.data.meshes) == meshes - 1
    instances.add_cards(scene, head)
    part("addon.scene.splat_object").remove_head(head)
    assert not instances.all_cards(scene)
    assert len(bpy.data.meshes) == meshes - 2
