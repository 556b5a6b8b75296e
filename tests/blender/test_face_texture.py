# SPDX-License-Identifier: GPL-3.0-or-later
"""The person's own face: still, the track in step with the action, the predicted texture; no purple."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from face_support import STILL, amounts, level_of, pixel, screen, take, write_face_avatar
from footage_support import open_avatar
from scene_support import part

UPPER_LEFT, UPPER_RIGHT, LOWER_RIGHT = (6, 1), (6, 6), (1, 6)
"""Row, from below, and column of a picture of 8 x 8."""
EVEN = np.arange(12) / 25.0


@pytest.fixture(scope="module")
def folder(module, tmp_path_factory) -> Path:
    """An avatar with a track, a still and a predicted texture."""
    return write_face_avatar(tmp_path_factory.mktemp("face") / "Ada.avatar", {"take": EVEN})


@pytest.fixture
def root(empty_scene, folder):
    return open_avatar(folder)


def double_of(root) -> Any:
    return part("addon.session").double_of(bpy.context.scene, root)


def shown_picture(frame: int, tmp_path: Path, engine: str = "CYCLES") -> float:
    """Number of the track's picture that a rendering shows."""
    return (pixel(frame, tmp_path, engine)[1] - level_of(0)) / (level_of(1) - level_of(0))


def nearest(times: np.ndarray, fps: float, frame: int) -> np.ndarray:
    """Pictures that may be shown at a scene frame: the nearest in time, and another as near as that."""
    apart = np.abs(times - frame / fps)
    return np.flatnonzero(apart < apart.min() + 1e-3)


@pytest.mark.parametrize("fps", [25, 24, 60, 12])
def test_the_track_keeps_in_step_at_any_scene_rate(root, tmp_path, fps):
    scene = bpy.context.scene
    screen(double_of(root))
    scene.render.fps, scene.render.fps_base = fps, 1.0
    bpy.ops.likeness.fix_check(key="RATE")
    for frame in np.unique(np.linspace(0, scene.frame_end, 6).astype(int)).tolist():
        shown = shown_picture(frame, tmp_path)
        assert np.abs(nearest(EVEN, fps, frame) - shown).min() < 0.4, frame


def test_the_first_picture_holds_before_and_the_last_one_after(root, tmp_path):
    screen(double_of(root))
    for frame, picture in ((-4, 0), (0, 0), (1, 1), (11, 11), (12, 11), (40, 11)):
        assert shown_picture(frame, tmp_path) == pytest.approx(picture, abs=0.4), frame


@pytest.mark.parametrize("kind", ["late", "uneven"])
def test_late_and_uneven_recordings(empty_scene, tmp_path, kind):
    rng = np.random.default_rng(1)
    times = {"late": 0.4 + EVEN, "uneven": np.cumsum(rng.choice([1 / 50, 1 / 25, 3 / 50], 12))}[kind]
    root = open_avatar(write_face_avatar(tmp_path / "Ada.avatar", {"take": times}))
    screen(double_of(root))
    scene = bpy.context.scene
    fps = part("addon.scene.timing").rate_of(scene)
    for frame in range(int(times[0] * fps), scene.frame_end + 1, 3):
        seen = round(shown_picture(frame, tmp_path))
        assert abs(times[seen] - frame / fps) <= abs(times - frame / fps).min() + 1 / 50 + 1e-3


def test_another_performance_brings_its_own_track(empty_scene, tmp_path):
    root = open_avatar(write_face_avatar(tmp_path / "Ada.avatar", {"first": EVEN, "second": EVEN[:8]}))
    session = part("addon.session")
    screen(double_of(root))
    seen = {}
    for name in ("first", "second", "first"):
        session.play(bpy.context, root, name)
        seen[name] = shown_picture(4, tmp_path)
    assert seen["first"] == pytest.approx(4, abs=0.4)
    assert seen["second"] == pytest.approx(3 + 4, abs=0.4)


def test_a_saved_file_shows_the_same_face(root, tmp_path):
    screen(double_of(root))
    before = shown_picture(7, tmp_path)
    path = str(tmp_path / "scene.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=path)
    assert before == pytest.approx(7, abs=0.4)
    assert shown_picture(7, tmp_path) == pytest.approx(before, abs=0.01)
    assert shown_picture(2, tmp_path) == pytest.approx(2, abs=0.4)


def test_the_other_engine_shows_the_same_picture(root, tmp_path):
    if not part("addon.scene.graphics").has_opengl():
        pytest.skip("EEVEE needs OpenGL, which this machine does not have")
    screen(double_of(root))
    engine = part("addon.scene.bpy_compat").EEVEE
    for frame in (3, 9):
        assert shown_picture(frame, tmp_path, engine) == pytest.approx(frame, abs=0.5)


def test_the_predicted_face_follows_keys_and_a_hand_moved_slider(root, tmp_path):
    double = double_of(root)
    root.likeness.look.face = "PREDICTED"
    screen(double)
    still = 255 * np.array(STILL)
    seen = {}
    for frame, at in ((0, UPPER_LEFT), (11, UPPER_LEFT), (11, UPPER_RIGHT), (11, LOWER_RIGHT)):
        seen[frame, at] = pixel(frame, tmp_path, at=at) - still
    assert seen[0, UPPER_LEFT] == pytest.approx(0.0, abs=1.5)
    assert seen[11, UPPER_LEFT] == pytest.approx(40.0, abs=4.0)
    assert seen[11, UPPER_RIGHT] == pytest.approx(0.0, abs=1.5)
    assert seen[11, LOWER_RIGHT] == pytest.approx([40.0, 0.0, 0.0], abs=4.0)
    bpy.context.scene.frame_set(0)
    double.shape_keys.key_blocks["jawOpen"].value = 0.5
    bpy.context.view_layer.update()
    assert amounts(double)[0] == pytest.approx(0.5 * 0.4, abs=1e-3)
    bpy.context.scene.frame_set(11)
    assert amounts(double)[0] == pytest.approx(0.4, abs=1e-3)


def test_a_face_without_keys_is_predicted_at_every_frame(root):
    root.likeness.look.face = "PREDICTED"
    double = double_of(root)
    tree = part("addon.scene.materials.face_components").find_components_group(double.id)
    tree.animation_data.action = None
    for frame, share in ((0, 0.0), (11, 1.0)):
        bpy.context.scene.frame_set(frame)
        assert amounts(double)[0] == pytest.approx(0.4 * share, abs=1e-3)


def test_amounts_of_the_rig_are_those_of_the_performance(root):
    """Head and gaze are read back from the bones as they were keyed."""
    double = double_of(root)
    rotation = part("core.rotation")
    turn = rotation.from_rotation_vector(np.array([[0.2, -0.3, 0.1]]))
    gaze = np.array([[[0.3, -0.1], [0.25, -0.15]]])
    take = part("core.performance").Performance(
        "turned", np.zeros(1), np.zeros((1, 52), np.float32), head_rotation=turn, gaze=gaze
    )
    model, person = part("core.head").load_model("anny"), part("addon.session").avatar_of(root)
    part("addon.scene.build").apply_performance(bpy.context.scene, double, person, take, model=model)
    bpy.context.view_layer.update()
    bones = part("addon.scene.face_components").bones_of(double.id)
    found, looks = part("addon.scene.face_amounts")._posed(double.armature, *bones)
    assert np.abs(np.sum(found * turn)) == pytest.approx(1.0, abs=1e-6)
    assert looks == pytest.approx(gaze, abs=1e-5)


def test_sliders_set_numbers_and_leave_an_artists_nodes_alone(root):
    double = double_of(root)
    skin = part("addon.scene.materials.assign").slot_material(double.body.data, "Skin")
    group = skin.node_tree.nodes["Likeness Skin"]
    group.inputs["Pores"].default_value = 0.123
    group.inputs["Melanin"].default_value = 0.9
    mine = skin.node_tree.nodes.new("ShaderNodeRGB")
    look = root.likeness.look
    look.redness, look.face_strength, look.face = 0.8, 0.4, "STILL"
    assert part("addon.scene.materials.assign").slot_material(double.body.data, "Skin") == skin
    assert mine.name in skin.node_tree.nodes
    assert group.inputs["Pores"].default_value == pytest.approx(0.123)
    assert group.inputs["Melanin"].default_value == pytest.approx(0.9)
    assert group.inputs["Redness"].default_value == pytest.approx(0.8)
    tree = part("addon.scene.materials.face").find_face_group(double.id)
    values = {name: tree.nodes[name].outputs[0].default_value for name in ("Strength", "Track Share")}
    assert values == pytest.approx({"Strength": 0.4, "Track Share": 0.0})
    look.face = "NONE"
    assert tree.nodes["Strength"].outputs[0].default_value == 0.0


def test_painted_skin_meets_the_texture_in_one_colour(root):
    double = double_of(root)
    skin = part("addon.scene.materials.assign").slot_material(double.body.data, "Skin")
    look = part("addon.scene.materials").Look.of(part("addon.session").avatar_of(root))
    painted = part("addon.scene.materials.skin").body_colour(look)
    tint = skin.node_tree.nodes["Likeness Skin"].inputs["Body Tint"]
    own = part("addon.scene.face_pictures").linear(np.array(STILL))
    assert np.array(painted) * tint.default_value[:3] == pytest.approx(own, rel=0.02)
    root.likeness.look.face = "NONE"
    assert tuple(tint.default_value[:3]) == (1.0, 1.0, 1.0)


def test_missing_files_give_the_painted_skin_and_one_sentence(empty_scene, tmp_path):
    from ui_support import draw

    root = open_avatar(write_face_avatar(tmp_path / "Ada.avatar", {"take": EVEN}))
    blend, textures = str(tmp_path / "scene.blend"), tmp_path / "Ada.avatar" / "textures"
    bpy.ops.wm.save_as_mainfile(filepath=blend)
    textures.rename(tmp_path / "away")
    bpy.ops.wm.open_mainfile(filepath=blend)
    root = bpy.context.scene.likeness.active
    assert part("addon.session").face_of(root)[0] == "NONE"
    drawn = " ".join(draw(part("ui.look").FacePanel).drawn("label"))
    assert "albedo.png" in drawn
    tree = part("addon.scene.materials.face").find_face_group(root["likeness_id"])
    assert tree.nodes["Strength"].outputs[0].default_value == 0.0
    (tmp_path / "away").rename(textures)
    bpy.ops.wm.open_mainfile(filepath=blend)
    assert part("addon.session").face_of(bpy.context.scene.likeness.active) == ("TRACK", "")


def faces_and_text(root) -> tuple[tuple[str, ...], str]:
    """What a double can show, and what the panel says."""
    from ui_support import draw

    drawn = " ".join(draw(part("ui.look").FacePanel).drawn("label"))
    return part("addon.session").faces_of(root), drawn


ALL = ("NONE", "STILL", "TRACK", "PREDICTED")


@pytest.mark.parametrize(
    ("file", "can"),
    [
        ("predicted.npz", ("NONE", "STILL", "TRACK")),
        ("albedo.png", ("NONE",)),
        ("normal.png", ALL),
        ("face_0.mp4", ("NONE", "STILL", "PREDICTED")),
    ],
)
def test_a_damaged_file_is_named_left_out_and_read_again(empty_scene, tmp_path, file, can):
    damaged = write_face_avatar(tmp_path / "Ada.avatar", {"take": EVEN}) / "textures" / file
    whole, rebuild = damaged.read_bytes(), part("addon.session").rebuild
    damaged.write_bytes(b"damaged")
    root = open_avatar(tmp_path / "Ada.avatar")
    assert part("addon.session").active_root(bpy.context) == root
    faces, drawn = faces_and_text(root)
    assert faces == can
    assert f"{file} is damaged: take the textures" in drawn
    damaged.write_bytes(whole)
    rebuild(bpy.context, root)
    faces, drawn = faces_and_text(root)
    assert faces == ALL
    assert file not in drawn
    damaged.write_bytes(b"damaged again")
    rebuild(bpy.context, root)
    faces, drawn = faces_and_text(root)
    assert faces == can
    assert f"{file} is damaged" in drawn


def test_textures_made_again_take_the_place_of_the_old_ones(root):
    part("addon.session").rebuild(bpy.context, root)
    assert [image.name for image in bpy.data.images if image.source == "MOVIE"] == ["face_0.mp4"]


def test_a_performance_without_a_track_says_so(empty_scene, tmp_path):
    folder = write_face_avatar(tmp_path / "Ada.avatar", {"take": EVEN})
    avatar = part("core.avatar").Avatar.load(folder)
    avatar.add_performance(take(EVEN, "other"))
    root = open_avatar(folder)
    session = part("addon.session")
    session.play(bpy.context, root, "take")
    assert session.face_of(root) == ("TRACK", "")
    session.play(bpy.context, root, "other")
    shown, note = session.face_of(root)
    assert shown == "PREDICTED"
    assert "no face track" in note


def test_two_people_of_one_name_have_their_own_skins(empty_scene, tmp_path):
    first = open_avatar(write_face_avatar(tmp_path / "a.avatar", {}, textures=True))
    second = open_avatar(write_face_avatar(tmp_path / "b.avatar", {}, textures=False))
    skins = [
        part("addon.scene.materials.assign").slot_material(double_of(root).body.data, "Skin")
        for root in (first, second)
    ]
    assert skins[0] != skins[1]
    assert part("addon.session").faces_of(second) == ("NONE",)
    assert part("addon.session").face_of(first)[0] == "STILL"


def test_measured_colours_make_the_look(module):
    from types import SimpleNamespace

    look = part("addon.scene.materials").Look
    person = SimpleNamespace(
        identity={}, appearance={"iris_radius": 0.4, "pupil": 0.5},
        colours={"iris": [0.1, 0.2, 0.3], "hair": [0.2014, 0.1107, 0.0504], "lip": [0.4, 0.1, 0.1]},
    )  # fmt: skip
    own = look.of(person)
    assert (own.eye_colour, own.lip_colour) == ((0.1, 0.2, 0.3), (0.4, 0.1, 0.1))
    assert (own.iris_radius, own.pupil) == (0.4, 0.5)
    hair = part("addon.scene.materials.pigment").hair_colour(own.hair_melanin, own.hair_redness)
    assert hair == pytest.approx((0.2014, 0.1107, 0.0504), rel=0.1)


def test_skin_tone_and_tint_move_texture_and_body_together(root):
    double, look = double_of(root), root.likeness.look
    skin = part("addon.scene.materials.assign").slot_material(double.body.data, "Skin")
    inputs = skin.node_tree.nodes["Likeness Skin"].inputs
    assert tuple(inputs["Face Tint"].default_value[:3]) == (1.0, 1.0, 1.0)
    look.melanin, look.skin_tint = 0.8, (1.0, 0.5, 0.5)
    tone = part("addon.scene.materials.pigment").tone
    ratio = np.array(tone(0.8)) / np.array(tone(0.4))
    assert np.array(inputs["Face Tint"].default_value[:3]) == pytest.approx(ratio, rel=1e-3)
    assert inputs["Melanin"].default_value == pytest.approx(0.8)
    assert tuple(inputs["Tint"].default_value[:3]) == pytest.approx((1.0, 0.5, 0.5))


def test_hair_takes_a_plain_colour_and_brows_may_go(root):
    look, double = root.likeness.look, double_of(root)
    hair = double.part("hair").data.materials[0]
    inputs = next(node for node in hair.node_tree.nodes if node.type == "GROUP").inputs
    look.hair_colour = (0.5, 0.05, 0.1)
    before = inputs["Melanin"].default_value
    look.use_hair_colour = True
    white = np.array(part("addon.scene.materials.pigment").hair_colour(0.0, 0.0))
    assert np.array(inputs["Tint"].default_value[:3]) * white == pytest.approx((0.5, 0.05, 0.1), rel=1e-3)
    look.use_hair_colour, look.brow_hairs = False, False
    assert inputs["Melanin"].default_value == before
    assert double.part("brows").hide_render
    assert bpy.ops.likeness.set_face(face="NONE") == {"FINISHED"}
    assert not double.part("brows").hide_render  # a painted face has no others


def test_operators_choose_the_face_and_show_what_was_invented(root):
    session = part("addon.session")
    assert bpy.ops.likeness.set_face(face="STILL") == {"FINISHED"}
    assert (root.likeness.look.face, session.face_of(root)) == ("STILL", ("STILL", ""))
    bpy.ops.likeness.show_invented()
    assert not session.shows_invented(root)  # there is no coverage picture
    tree = part("addon.scene.materials.face").find_face_group(root["likeness_id"])
    assert not tree.nodes["Track"].image_user.use_auto_refresh
    bpy.ops.likeness.set_face(face="TRACK")
    assert tree.nodes["Track"].image_user.use_auto_refresh
