# SPDX-License-Identifier: GPL-3.0-or-later
"""The double on its footage: what is shown, in step with time, and everything back afterwards."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from footage_support import fitted, open_avatar, write_avatar, write_movie, write_photo
from scene_support import part

SIZE = (64, 48)


@pytest.fixture(scope="module")
def movie(module, tmp_path_factory) -> Path:
    return write_movie(tmp_path_factory.mktemp("movie") / "movie.mp4", 12, 25.0, SIZE)


@pytest.fixture
def root(empty_scene, movie, tmp_path):
    """A double that was fitted to the movie."""
    return open_avatar(write_avatar(tmp_path / "Ada.avatar", fitted(12, 25.0, [SIZE]), {"movie": movie}))


def camera_of(root) -> bpy.types.Object:
    return next(child for child in root.children if child.get("likeness_role") == "footage")


def faces_of(root) -> int:
    """How many faces of the body are drawn."""
    body = part("addon.session").double_of(bpy.context.scene, root).body
    return len(body.evaluated_get(bpy.context.evaluated_depsgraph_get()).data.polygons)


def view_of(scene) -> tuple:
    """All that showing the footage changes on the scene and its objects."""
    render = scene.render
    objects = sorted((o.name, o.display_type, o.hide_viewport) for o in bpy.data.objects)
    images = sorted(image.name for image in bpy.data.images)
    numbers = render.resolution_x, render.resolution_y, render.pixel_aspect_x, render.pixel_aspect_y
    modifiers = sum(len(obj.modifiers) for obj in bpy.data.objects)
    return scene.camera, numbers, objects, images, len(bpy.data.actions), modifiers


def shown(camera, graph) -> list:
    """Backgrounds that are visible now, with the picture's number as Blender counts them, from 0."""
    data, scene = camera.evaluated_get(graph).data, graph.scene
    found = []
    for background in data.background_images:
        if background.show_background_image:
            user = background.image_user
            frame = scene.frame_current - user.frame_start + 1
            found.append((background.image, min(max(frame, 0), user.frame_duration) + user.frame_offset - 1))
    return found


@pytest.mark.parametrize("style", ["BLEND", "WIRE"])
def test_showing_and_going_back(root, style):
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.pixel_aspect_x = 1234, 1.5
    before = view_of(scene)
    scene.likeness.footage.style = style
    assert bpy.ops.likeness.show_on_footage() == {"FINISHED"}
    camera = camera_of(root)
    assert scene.camera == camera
    assert (scene.render.resolution_x, scene.render.resolution_y, scene.render.pixel_aspect_x) == (*SIZE, 1.0)
    background = camera.data.background_images[0]
    assert camera.data.show_background_images
    assert background.image.source == "MOVIE"
    assert background.frame_method == "FIT"
    body = part("addon.session").double_of(scene, root).body
    assert (background.display_depth, body.display_type) == (
        ("BACK", "WIRE") if style == "WIRE" else ("FRONT", "TEXTURED")
    )
    assert bpy.ops.likeness.show_on_footage() == {"FINISHED"}
    assert view_of(scene) == before
    assert not camera.data.background_images
    assert not camera.data.show_background_images


def test_alpha_and_style_act_at_once(root):
    bpy.ops.likeness.show_on_footage()
    footage, camera, whole = bpy.context.scene.likeness.footage, camera_of(root), faces_of(root)
    footage.alpha = 0.25
    assert camera.data.background_images[0].alpha == pytest.approx(0.25)
    footage.style = "WIRE"
    hair = part("addon.session").double_of(bpy.context.scene, root).part("hair")
    assert camera.data.background_images[0].alpha == 1.0
    assert hair.hide_viewport
    assert faces_of(root) < 0.8 * whole
    footage.style = "BLEND"
    assert not hair.hide_viewport
    assert faces_of(root) == whole
    assert not bpy.data.node_groups.get("Likeness Skin Only")


def test_changes_of_the_user_stay(root):
    scene = bpy.context.scene
    bpy.ops.likeness.show_on_footage()
    other = bpy.data.objects.new("Mine", bpy.data.cameras.new("Mine"))
    scene.collection.objects.link(other)
    scene.camera = other
    scene.render.resolution_x = 999
    bpy.ops.likeness.show_on_footage()
    assert scene.camera == other
    assert scene.render.resolution_x == 999


def test_it_stays_through_filters_and_rebuilding(root):
    scene = bpy.context.scene
    scene.likeness.footage.style = "WIRE"
    bpy.ops.likeness.show_on_footage()
    bpy.ops.likeness.apply_filters()
    bpy.ops.likeness.set_identity(age=0.9)
    camera = camera_of(root)
    assert scene.camera == camera
    assert len(camera.data.background_images) == 1
    assert part("addon.session").double_of(scene, root).body.display_type == "WIRE"
    bpy.ops.likeness.show_on_footage()
    assert part("addon.session").double_of(scene, root).body.display_type == "TEXTURED"


def test_removing_the_double_goes_back_first(root):
    scene = bpy.context.scene
    before = scene.render.resolution_x
    bpy.ops.likeness.show_on_footage()
    bpy.ops.likeness.remove_double()
    assert scene.render.resolution_x == before
    assert not bpy.data.images.get("Likeness Ada movie.mp4")


def test_undo_of_showing_is_one_step(root):
    scene = bpy.context.scene
    bpy.ops.ed.undo_push(message="before")
    before = scene.camera.name
    bpy.ops.likeness.show_on_footage("EXEC_DEFAULT", True)
    assert bpy.context.scene.camera.name != before
    bpy.ops.ed.undo()
    assert bpy.context.scene.camera.name == before
    assert not part("addon.session").is_footage_shown(bpy.context.scene, bpy.context.scene.likeness.active)


@pytest.mark.parametrize("fps", [25, 24, 60, 12])
def test_the_movie_keeps_in_step_at_any_scene_rate(root, fps):
    scene = bpy.context.scene
    bpy.ops.likeness.show_on_footage()
    scene.render.fps, scene.render.fps_base = fps, 1.0
    bpy.ops.likeness.fix_check(key="RATE")
    camera, graph = camera_of(root), bpy.context.evaluated_depsgraph_get()
    for frame in range(scene.frame_end + 1):
        scene.frame_set(frame)
        ((_image, number),) = shown(camera, graph)
        assert abs(number - frame / fps * 25.0) <= 0.5 + 1e-6
    # Within this take 24 and 25 do not grow apart by more than half a picture.
    assert bool(camera.data.animation_data and camera.data.animation_data.action) == (fps in (12, 60))


def test_uneven_recordings_show_the_picture_that_was_tracked(module):
    """Blender shows the last picture that has begun at count / rate."""
    rng = np.random.default_rng(2)
    begun = np.concatenate([[0.0], np.cumsum(rng.choice([1 / 60, 1 / 30, 1 / 15], 200))])
    rate, times = 60.0, np.arange(0, int(begun[-1] * 24)) / 24.0
    counts = part("addon.scene.movie_clock").pictures_at(times, begun, rate)
    shown_now = np.searchsorted(begun, counts / rate + 1e-6, side="right") - 1
    nearest = np.abs(begun[:, None] - times).argmin(axis=0)
    assert np.abs(begun[shown_now] - begun[nearest]).max() < 1e-9


def test_each_photo_is_shown_in_its_frame(empty_scene, tmp_path):
    sizes = [(90, 120), (120, 90), (60, 80)]
    names = ("photo", "photo_2", "photo_3")
    media = {
        name: write_photo(tmp_path / f"{name}.png", size) for name, size in zip(names, sizes, strict=True)
    }
    root = open_avatar(write_avatar(tmp_path / "Ada.avatar", fitted(3, 1.0, sizes), media, "photos"))
    bpy.ops.likeness.show_on_footage()
    scene, camera = empty_scene, camera_of(root)
    assert (scene.render.resolution_x, scene.render.resolution_y) == (120, 120)
    for frame in range(3):
        scene.frame_set(frame)
        ((image, _number),) = shown(camera, bpy.context.evaluated_depsgraph_get())
        assert tuple(image.size) == sizes[frame]
    bpy.ops.likeness.show_on_footage()
    assert not bpy.data.images
    scene.frame_set(1)
    assert camera.data.lens == pytest.approx(1.2 * 36.0, rel=1e-5)


def test_a_numbered_row_is_shown_by_its_numbers(empty_scene, tmp_path):
    folder = tmp_path / "row"
    folder.mkdir()
    for number in range(7, 12):
        write_photo(folder / f"frame_{number:04d}.png", SIZE)
    media = {"photo": folder / "frame_0007.png"}
    root = open_avatar(write_avatar(tmp_path / "Ada.avatar", fitted(5, 25.0, [SIZE]), media, "frames"))
    bpy.ops.likeness.show_on_footage()
    for frame in range(5):
        empty_scene.frame_set(frame)
        ((image, number),) = shown(camera_of(root), bpy.context.evaluated_depsgraph_get())
        assert image.source == "SEQUENCE"
        assert number + 1 == 7 + frame


def test_the_panel_offers_the_comparison_and_the_cure(root, module):
    from ui_support import draw

    panel = module("ui.capture").FootagePanel
    assert panel.poll(bpy.context)
    layout = draw(panel)
    assert layout.drawn("operator") == ["likeness.show_on_footage", "likeness.refit_neutral"]
    assert not layout.drawn("prop")
    assert any(text.startswith("Frames: 11 of 12") for text in layout.drawn("label"))
    bpy.ops.likeness.show_on_footage()
    assert set(draw(panel).drawn("prop")) == {"style", "alpha"}
    assert "head_position" in draw(module("ui.performance").PerformancePanel).drawn("prop")


def test_footage_that_is_gone_is_one_sentence(root, movie, tmp_path):
    moved = movie.with_suffix(".away")
    movie.rename(moved)
    before = view_of(bpy.context.scene)
    try:
        with pytest.raises(RuntimeError, match="not there any more"):
            bpy.ops.likeness.show_on_footage()
    finally:
        moved.rename(movie)
    assert view_of(bpy.context.scene) == before


def test_a_recorded_performance_has_no_footage_to_show(root):
    note = root.likeness
    note.performances[note.performance].has_camera = False
    with pytest.raises(RuntimeError, match="No camera was fitted"):
        bpy.ops.likeness.show_on_footage()
    with pytest.raises(RuntimeError, match="recorded and not fitted"):
        bpy.ops.likeness.refit_neutral()
    with pytest.raises(RuntimeError, match="No camera was fitted"):
        bpy.ops.likeness.export_fit(filepath="/nowhere/fit.npz")


def test_the_figures_of_the_tracking_are_shown(root):
    lines = root.likeness.tracking.splitlines()
    assert lines[0] == "Landmarks: 0.98% of the face off (1.23 px)"
    assert lines[1] == "Jitter: 0.21 px (the detector's 0.30)"
    assert lines[1] == "Jitter: 0.21 px (the detector's 0.30)"
    assert "Frames: 11 of 12 tracked, 1 lost" in lines
    assert any("2" in line and "People" in line for line in lines)


@pytest.mark.parametrize(
    "report", [{}, {"fit": None}, {"fit": {"jitter_px": "x", "faces": True}}, {"fit": []}]
)
def test_a_report_without_figures_gives_no_lines(module, report):
    assert part("addon.tracking").report_lines(report) == []


def test_the_slider_of_the_position_acts_at_once(root):
    scene = bpy.context.scene
    armature = part("addon.session").double_of(scene, root).armature
    scene.frame_set(8)
    moved = armature.pose.bones["root"].location.length
    root.likeness.head_position = 0.0
    scene.frame_set(8)
    assert moved > 1e-3
    assert armature.pose.bones["root"].location.length == 0.0
