# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished Leap avatar in Blender: its movie, clip, shapes and eyes, and nothing at all when it fails."""

from __future__ import annotations

import importlib.util
import json
import struct
from fractions import Fraction
from pathlib import Path

import bpy
import numpy as np
import pytest
from footage_support import _span
from mathutils import Vector
from scene_support import part

TESTS = Path(__file__).resolve().parents[1]
METAPERSON = TESTS.parents[1] / "shared" / "data" / "metaperson" / "head_lod2.glb"
SIZE, PICTURES, RATE = 64, 13, 24.0
"""The movie: 13 pictures at 24 frames/s, which is as long as the clip."""


def _load(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


leap = _load(TESTS / "sample" / "leap_result.py")


def level(picture: int) -> int:
    """Grey of a picture of the movie, 0..255."""
    return 40 + 15 * picture


def write_greys(path: Path, begins: np.ndarray | None = None) -> Path:
    """A movie whose grey tells the number of the picture; at `begins` seconds, or at a steady rate."""
    try:
        import av
    except ImportError:
        if begins is not None:
            pytest.skip("a movie without a steady rate needs the av library")
        return _greys_by_blender(path)
    with av.open(str(path), "w") as movie:
        stream = movie.add_stream("libx264", rate=Fraction(RATE))
        stream.width = stream.height = SIZE
        stream.pix_fmt, stream.gop_size = "yuv420p", 4
        stream.codec_context.time_base = Fraction(1, 90000)
        times = np.arange(PICTURES) / RATE if begins is None else begins
        for number, time in enumerate(times):
            picture = av.VideoFrame.from_ndarray(np.full((SIZE, SIZE, 3), level(number), np.uint8), "rgb24")
            picture.pts, picture.time_base = round(time * 90000), Fraction(1, 90000)
            movie.mux(stream.encode(picture))
        movie.mux(stream.encode())
    return path


def _greys_by_blender(path: Path) -> Path:
    scene = bpy.data.scenes.new("Greys")
    part("addon.scene.timing").set_rate(scene, RATE)
    scene.render.resolution_x = scene.render.resolution_y = SIZE
    scene.frame_start, scene.frame_end = 1, PICTURES
    strip = scene.sequence_editor_create().strips.new_effect("Grey", "COLOR", 1, 1, **_span(PICTURES))
    for number in range(PICTURES):
        strip.color = (level(number) / 255.0,) * 3
        strip.keyframe_insert("color", frame=1 + number)
    part("addon.scene.bpy_compat").set_movie_format(scene.render.image_settings)
    scene.view_settings.view_transform = "Standard"
    scene.render.ffmpeg.format, scene.render.ffmpeg.codec = "MPEG4", "H264"
    scene.render.ffmpeg.constant_rate_factor = "PERC_LOSSLESS"
    scene.render.filepath = str(path)
    bpy.ops.render.render(animation=True, scene=scene.name)
    bpy.data.scenes.remove(scene)
    return path


@pytest.fixture(scope="module")
def greys(module, tmp_path_factory) -> Path:
    return write_greys(tmp_path_factory.mktemp("greys") / "textures.mp4")


@pytest.fixture
def folder(empty_scene, greys, tmp_path) -> Path:
    """Painted eyes, one clip, a texture movie and a scalp."""
    return leap.write_result(tmp_path / "Vera", greys.read_bytes())


def run(folder: Path, **options) -> set[str]:
    return bpy.ops.likeness.import_results(filepath=str(folder), **{"use_lights": False, **options})


def role(name: str) -> list[bpy.types.Object]:
    return [obj for obj in bpy.context.scene.objects if obj.get("likeness_role") == name]


def head() -> bpy.types.Object:
    (found,) = role("leap_head")
    return found


def rig() -> bpy.types.Object:
    (found,) = role("leap_armature")
    return found


def inventory() -> list[str]:
    """Names of all that is in the file."""
    return sorted(f"{type(block).__name__} {block.name}" for block in bpy.data.user_map())


def flat_render(frame: int, where=(0.25, -0.25)) -> np.ndarray:
    """(3,) linear colour that Cycles shows of the head's base colour at a scene frame.

    `where`: metres to the side of and above the middle of the head.
    """
    scene, tree = bpy.context.scene, None
    for slot in head().material_slots:
        tree = slot.material.node_tree
    if "Flat" not in tree.nodes:
        shader = next(n for n in tree.nodes if n.type == "BSDF_PRINCIPLED")
        flat = tree.nodes.new("ShaderNodeEmission")
        flat.name = "Flat"
        tree.links.new(shader.inputs["Base Color"].links[0].from_socket, flat.inputs["Color"])
        out = next(n for n in tree.nodes if n.type == "OUTPUT_MATERIAL")
        tree.links.new(flat.outputs[0], out.inputs["Surface"])
    if "Flat" not in bpy.data.objects:
        camera = bpy.data.cameras.new("Flat")
        camera.type, camera.ortho_scale = "ORTHO", 0.02
        scene.collection.objects.link(bpy.data.objects.new("Flat", camera))
    shot = bpy.data.objects["Flat"]
    head().data.shape_keys.animation_data_clear()
    rig().animation_data_clear()
    for bone in rig().pose.bones:
        bone.matrix_basis.identity()
    points = part("addon.scene.vendor_stage").points_of(head())
    middle = 0.5 * (points.min(axis=0) + points.max(axis=0))
    shot.location = (
        np.array(role("leap_root")[0].location) + middle + np.array((where[0] * 0.2, -1.0, where[1] * 0.25))
    )
    shot.rotation_euler = (np.pi / 2, 0.0, 0.0)
    scene.camera = shot
    scene.render.engine, scene.cycles.samples, scene.cycles.device = "CYCLES", 1, "CPU"
    scene.render.resolution_x = scene.render.resolution_y = 4
    scene.render.resolution_percentage = 100
    scene.render.use_sequencer = scene.cycles.use_denoising = False
    scene.view_settings.view_transform = "Raw"
    scene.render.image_settings.file_format = "OPEN_EXR"
    scene.render.image_settings.color_depth = "32"
    scene.frame_set(frame)
    path = Path(bpy.app.tempdir) / f"flat{frame}.exr"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(str(path), check_existing=False)
    pixels = np.array(image.pixels[:]).reshape(-1, image.channels)[:, :3].mean(axis=0)
    bpy.data.images.remove(image)
    return pixels


def linear(value: float) -> float:
    """Of an sRGB level 0..255."""
    share = value / 255.0
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4


def srgb(value: float) -> float:
    return 255.0 * (12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055)


def shown_picture(frame: int, where=(0.25, -0.25)) -> float:
    """Number of the picture on the head, by its grey."""
    return (srgb(float(flat_render(frame, where).mean())) - level(0)) / 15.0


def test_the_person_stands_there(folder):
    assert run(folder) == {"FINISHED"}
    scene = bpy.context.scene
    collection = bpy.data.collections["LeapSequence_Vera"]
    (root,) = role("leap_root")
    assert {obj.name for obj in collection.objects} >= {root.name, rig().name, head().name}
    assert rig().parent == root
    assert head().name == "Leap Vera AvatarHead"
    assert scene.camera.get("likeness_role") == "camera"
    assert not [obj for obj in scene.objects if obj.type == "EMPTY" and "AvatarHead" in obj.name]
    assert (scene.render.fps, scene.render.fps_base) == (24, 1.0)
    assert (scene.frame_start, scene.frame_end) == (0, 12)


def test_the_camera_frames_head_and_shoulders(folder):
    from bpy_extras.object_utils import world_to_camera_view

    run(folder)
    scene = bpy.context.scene
    bpy.context.view_layer.update()
    points = part("addon.scene.vendor_stage").points_of(head())
    seen = [world_to_camera_view(scene, scene.camera, Vector(p)) for p in (points.min(0), points.max(0))]
    assert all(0.1 < s.x < 0.9 and 0.2 < s.y < 0.98 and s.z > 0.0 for s in seen)


@pytest.mark.parametrize("rate", [(24, 1.0), (30, 1.0), (60, 1.0), (30, 1.001)])
def test_the_movie_follows_time_at_any_rate(folder, rate):
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = rate
    assert run(folder, use_scene_rate=True) == {"FINISHED"}
    assert (scene.render.fps, scene.render.fps_base) == (rate[0], pytest.approx(rate[1]))
    fps = rate[0] / rate[1]
    for frame in (0, 1, round(0.2 * fps), round(0.45 * fps)):
        exact = frame / fps * RATE
        assert abs(shown_picture(frame) - exact) < 0.6, frame
    assert shown_picture(scene.frame_end + 20) == pytest.approx(PICTURES - 1, abs=0.1)


def test_a_movie_without_steady_rate_goes_by_its_time_stamps(empty_scene, tmp_path):
    begins = np.cumsum([0.0] + [0.02, 0.06] * 6)
    movie = write_greys(tmp_path / "uneven.mp4", begins)
    run(leap.write_result(tmp_path / "Vera", movie.read_bytes()), use_scene_rate=True)
    scene = bpy.context.scene
    fps = scene.render.fps / scene.render.fps_base
    for frame in (0, 2, 5, 8, 11):
        nearest = np.abs(begins - frame / fps)
        assert nearest[round(shown_picture(frame))] <= nearest.min() + 2e-3, frame


def test_the_scalp_lies_over_the_movie_in_linear_light(folder):
    run(folder)
    through, over = flat_render(0, (0.25, 0.0)), flat_render(0, (-0.25, 0.0))
    assert through == pytest.approx(np.full(3, linear(level(0))), abs=0.004)
    colour, alpha = np.array([linear(c) for c in leap.SCALP[1][:3]]), leap.SCALP[1][3] / 255.0
    assert over == pytest.approx(colour * alpha + through * (1.0 - alpha), abs=0.01)


def evaluated(obj: bpy.types.Object) -> np.ndarray:
    shown = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
    points = np.empty(3 * len(shown.data.vertices), np.float32)
    shown.data.vertices.foreach_get("co", points)
    world = np.array(shown.matrix_world)
    return points.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3]


@pytest.mark.parametrize("rate", [(24, 1.0), (30, 1.001)])
@pytest.mark.parametrize("clips", [1, 2])
def test_shapes_and_bones_play_the_clip_in_time(empty_scene, greys, tmp_path, clips, rate):
    folder = leap.write_result(tmp_path / "Vera", greys.read_bytes(), clips=clips)
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = rate
    run(folder, use_scene_rate=True)
    for frame in (0, 5, 10):
        scene.frame_set(frame)
        seconds = frame * rate[1] / rate[0]
        keys = head().data.shape_keys.key_blocks
        wanted = [np.interp(seconds, leap.clip_times(), values) for values in leap.clip_weights().T]
        assert [keys[name].value for name in leap.SHAPES] == pytest.approx(wanted, abs=1e-4)
        turn = rig().pose.bones["Head"].matrix_basis.to_quaternion().angle
        assert turn == pytest.approx(np.interp(seconds, leap.clip_times(), leap.clip_turn()), abs=1e-4)
    scene.frame_set(0)
    start = evaluated(head())
    scene.frame_set(10)
    assert np.abs(evaluated(head()) - start).max() > 0.01
    for owner in (rig(), head().data.shape_keys):
        assert owner.animation_data.action_slot is not None


def test_other_parts_with_the_same_shapes_move_along(empty_scene, greys, tmp_path):
    run(leap.write_result(tmp_path / "Vera", greys.read_bytes(), lashes=True))
    bpy.context.scene.frame_set(9)
    lashes = next(obj for obj in role("leap_part") if "Eyelashes" in obj.name)
    assert lashes.data.shape_keys.key_blocks["jawOpen"].value == pytest.approx(
        head().data.shape_keys.key_blocks["jawOpen"].value
    )
    assert lashes.data.shape_keys.key_blocks["jawOpen"].value > 0.5


def notes_of(folder: Path, **options) -> str:
    """What the import has to say."""
    results = part("core.capture.results").open_results(folder, options.get("customised"))
    made = part("addon.scene.vendor").import_results(
        bpy.context, results, part("addon.scene.settings").BuildSettings(lights=None), "Vera"
    )
    return " ".join(made.notes)


def test_painted_eyes_are_left_to_the_movie(folder):
    assert "painted" in notes_of(folder)


def test_eye_meshes_follow_their_bones(empty_scene, greys, tmp_path):
    folder = leap.write_result(tmp_path / "Vera", greys.read_bytes(), eyes=True)
    assert "follow their bones" in notes_of(folder)
    eye = next(obj for obj in role("leap_part") if "LeftEyeball" in obj.name)
    before = evaluated(eye)
    bone = rig().pose.bones["LeftEye"]
    bone.rotation_mode = "XYZ"
    bone.rotation_euler = (0.0, 0.0, 0.4)
    bpy.context.view_layer.update()
    assert np.abs(evaluated(eye) - before).max() > 0.002


def test_the_customised_model_plays_the_clip_of_the_original(empty_scene, greys, tmp_path):
    folder = leap.write_result(tmp_path / "Vera", greys.read_bytes(), cloud=True)
    assert run(folder, use_customised=True) == {"FINISHED"}
    assert [obj for obj in role("leap_part") if "Eyeball" in obj.name]
    bpy.context.scene.frame_set(9)
    assert head().data.shape_keys.key_blocks["jawOpen"].value > 0.5
    assert rig().pose.bones["Head"].matrix_basis.to_quaternion().angle > 0.2
    assert len([obj for obj in bpy.data.objects if obj.type == "ARMATURE"]) == 1
    assert len([a for a in bpy.data.actions if a.get("likeness_role") == "leap_clip"]) == 1


def test_importing_again_replaces_and_keeps_what_was_placed(folder):
    run(folder)
    (root,) = role("leap_root")
    root.location.x = 1.5
    bpy.context.scene.camera.location.z = 2.0
    before = inventory()
    assert run(folder) == {"FINISHED"}
    (again,) = role("leap_root")
    assert again.location.x == 1.5
    assert bpy.context.scene.camera.location.z == 2.0
    assert sorted(set(inventory()) ^ set(before)) == []
    assert shown_picture(5) == pytest.approx(5, abs=0.3)


def test_two_people_stand_beside_each_other(folder, greys, tmp_path):
    run(folder)
    run(leap.write_result(tmp_path / "Vito", greys.read_bytes(), eyes=True))
    first, second = sorted(role("leap_root"), key=lambda obj: obj.name)
    assert (first.location - second.location).length > 0.4
    assert len(role("leap_head")) == 2


def test_arms_hang_and_can_be_left(folder):
    run(folder)
    arm = rig().pose.bones["LeftArm"]
    bpy.context.view_layer.update()
    along = rig().pose.bones["LeftForeArm"].head - arm.head
    assert along.normalized().z < -0.9
    run(folder, use_relaxed=False)
    bpy.context.view_layer.update()
    along = rig().pose.bones["LeftForeArm"].head - rig().pose.bones["LeftArm"].head
    assert along.normalized().x == pytest.approx(1.0, abs=1e-3)


def test_sound_and_recording_come_along(folder, greys):
    (folder / "source").mkdir()
    (folder / "source" / "ARVideo.mp4").write_bytes(greys.read_bytes())
    run(folder)
    scene = bpy.context.scene
    (background,) = scene.camera.data.background_images
    assert background.image.source == "MOVIE"
    run(folder)
    (background,) = scene.camera.data.background_images
    assert background.image_user.frame_start == 0


def test_the_sound_starts_at_time_zero(folder):
    av = pytest.importorskip("av")
    (folder / "source").mkdir()
    with av.open(str(folder / "source" / "ARVideo.mp4"), "w") as movie:
        pictures = movie.add_stream("libx264", rate=30)
        pictures.width = pictures.height = SIZE
        pictures.pix_fmt = "yuv420p"
        tone = movie.add_stream("aac", rate=16000)
        for _ in range(15):
            grey = np.full((SIZE, SIZE, 3), 90, np.uint8)
            movie.mux(pictures.encode(av.VideoFrame.from_ndarray(grey, "rgb24")))
        movie.mux(pictures.encode())
        samples = np.sin(np.arange(8000) * 0.2).astype(np.float32)[None]
        heard = av.AudioFrame.from_ndarray(samples, "fltp", "mono")
        heard.sample_rate, heard.pts = 16000, 0
        movie.mux(tone.encode(heard))
        movie.mux(tone.encode())
    run(folder)
    scene = bpy.context.scene
    (strip,) = scene.sequence_editor.strips
    assert strip.type == "SOUND"
    assert part("addon.scene.bpy_compat").strip_start(strip) == 0.0
    run(folder, use_sound=False, use_footage=False)
    assert len(scene.sequence_editor.strips) == 1


def test_lights_stand_around_the_eyes(folder):
    assert run(folder, use_lights=True) == {"FINISHED"}
    light_rig = next(obj for obj in bpy.data.objects if obj.get("likeness_role") == "light_rig")
    assert light_rig.parent == role("leap_root")[0]
    assert light_rig.location.z == pytest.approx(1.66, abs=0.02)


def test_it_stays_in_step_when_the_file_is_opened_again(folder, tmp_path):
    run(folder)
    scene = bpy.context.scene
    scene.render.fps = 24
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    assert shown_picture(7) == pytest.approx(7, abs=0.1)
    assert shown_picture(2) == pytest.approx(2, abs=0.1)


def test_time_zero_can_lie_at_another_frame(folder):
    results = part("core.capture.results").open_results(folder)
    values = part("addon.scene.settings").BuildSettings(lights=None, first_frame=101)
    part("addon.scene.vendor").import_results(bpy.context, results, values, "Vera")
    scene = bpy.context.scene
    assert (scene.frame_start, scene.frame_end) == (101, 113)
    scene.frame_set(107)
    assert head().data.shape_keys.key_blocks["jawOpen"].value == pytest.approx(0.5, abs=1e-3)
    assert [round(shown_picture(frame)) for frame in (50, 101, 107)] == [0, 0, 6]


def test_undo_takes_it_back(folder):
    scene = bpy.context.scene
    bpy.ops.ed.undo_push(message="Before")
    count = len(scene.objects)
    run(folder)
    bpy.ops.ed.undo_push(message="After")
    bpy.ops.ed.undo()
    assert len(bpy.context.scene.objects) == count


def failing(folder: Path) -> str:
    """The error of an import that must leave the file as it was."""
    before, rate = inventory(), bpy.context.scene.render.fps
    with pytest.raises(RuntimeError) as caught:
        run(folder)
    assert inventory() == before
    assert bpy.context.scene.render.fps == rate
    return str(caught.value)


def test_wrong_folders_say_so_and_touch_nothing(folder, tmp_path):
    assert "does not exist" in failing(tmp_path / "nowhere")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "note.txt").write_text("hello")
    assert "no Leap result" in failing(tmp_path / "other")
    model = folder / "export" / "avatar" / "model.glb"
    data = model.read_bytes()
    model.write_bytes(data[: len(data) // 2])
    assert "cut off" in failing(folder)
    model.write_bytes(leap.model_bytes(material="Skin").replace(b'"AvatarHead"', b'"Skin"      '))
    assert "AvatarHead" in failing(folder)
    model.write_bytes(data)
    (folder / "data" / "textures.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(200))
    assert "textures.mp4" in failing(folder)


def test_what_the_importer_refuses_leaves_nothing(folder):
    model = folder / "export" / "avatar" / "model.glb"
    data = model.read_bytes()
    (length,) = struct.unpack_from("<I", data, 12)
    document = json.loads(data[20 : 20 + length])
    document["extensionsRequired"] = ["VENDOR_not_known"]
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    rest = data[20 + length :]
    head_bytes = struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text) + len(rest), len(text), b"JSON")
    model.write_bytes(head_bytes + text + rest)
    assert "cannot import" in failing(folder)


def test_a_switched_off_importer_is_named(folder):
    import addon_utils

    addon_utils.disable("io_scene_gltf2")
    try:
        assert "glTF importer" in failing(folder)
    finally:
        addon_utils.enable("io_scene_gltf2")


def test_a_real_head_wears_the_movie(empty_scene, greys, tmp_path):
    if not METAPERSON.is_file():
        pytest.skip("head_lod2.glb of the shared test data is not here")
    export = tmp_path / "Vera" / "export" / "avatar"
    export.mkdir(parents=True)
    (export / "model.glb").write_bytes(leap.with_clip(METAPERSON.read_bytes()))
    (tmp_path / "Vera" / "data").mkdir()
    (tmp_path / "Vera" / "data" / "textures.mp4").write_bytes(greys.read_bytes())
    assert "eyes are meshes" in notes_of(tmp_path / "Vera")
    assert len(head().data.shape_keys.key_blocks) == 67
    (root,) = role("leap_root")
    bones = rig().matrix_world @ rig().data.bones["LeftToe_End"].head_local
    assert bones.z == pytest.approx(root.location.z, abs=0.1)
    cornea = next(obj for obj in role("leap_part") if "LeftCornea" in obj.name)
    lashes = next(obj for obj in role("leap_part") if "Eyelashes" in obj.name)
    places = []
    for frame in (0, 12):
        bpy.context.scene.frame_set(frame)
        places.append([evaluated(obj).mean(axis=0) for obj in (cornea, lashes)])
        expected = np.interp(frame / RATE, leap.clip_times(), leap.clip_weights()[:, 0])
        for obj in role("leap_part"):
            keys = getattr(obj.data, "shape_keys", None)
            if keys is not None and "jawOpen" in keys.key_blocks:
                assert keys.key_blocks["jawOpen"].value == pytest.approx(expected, abs=1e-4), obj.name
    surface = cornea.material_slots[0].material.node_tree.nodes["Leap Cornea"]
    assert surface.outputs[0].is_linked  # it mirrors light, which alpha 0 in glTF would not let it
    moved = np.linalg.norm(np.subtract(*places), axis=1)
    assert (moved > 0.01).all()
    assert shown_picture(7, (0.1, 0.15)) == pytest.approx(7, abs=0.3)
