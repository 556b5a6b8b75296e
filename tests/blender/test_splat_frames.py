# SPDX-License-Identifier: GPL-3.0-or-later
"""Final frames with Gaussian heads: through Blender's camera, by Blender's depth, resumed as others are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
import splat_support
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector
from scene_support import avatar, build, part, performance
from splat_frames_support import FailingWorker, PlainWorker, bytes_of, pink, projected


@dataclass
class Stage:
    scene: Any
    double: Any
    head: Any


@pytest.fixture
def stage(empty_scene, tmp_path) -> Stage:
    """A double that acts before its camera, in a small and cheap picture, with a head of splats."""
    scene = empty_scene
    scene.render.resolution_x, scene.render.resolution_y = 72, 96
    model = part("core.head").load_model("anny")
    double = build(avatar(), performance(count=4), model)
    rest = part("core.person").rest_of(model, avatar())
    head = splat_support.add_head(double, model, rest, tmp_path)
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.device, scene.cycles.use_denoising = 2, "CPU", False
    scene.cycles.max_bounces, scene.render.use_persistent_data = 0, True
    double.body.modifiers["Likeness Smooth"].show_render = False
    for slot in double.body.material_slots:
        slot.material = None
    scene.render.dither_intensity = 0.0
    scene.frame_start, scene.frame_end = 1, 2
    PlainWorker.orders.clear()
    return Stage(scene, double, head)


NECK = 40
"""px: above this row there is nothing but the head."""


def render(stage: Stage, folder: Path, **values: Any) -> Any:
    queue = part("addon.splat_queue")
    return queue.render_splat_frames(stage.scene, folder, **{"start": PlainWorker, **values})


def silhouette(stage: Stage, folder: Path) -> np.ndarray:
    """(H, W) bool: where the head is in a frame."""
    return pink(bytes_of(render(stage, folder, frames=[1]).paths[0]))


def wall(stage: Stage, left: float, right: float) -> Any:
    """A white, glowing wall before the face, from `left` to `right` of the camera's view (0 to 1)."""
    corners = []
    camera = stage.scene.camera
    frame = camera.data.view_frame(scene=stage.scene)
    across = [min(c.x / -c.z for c in frame), max(c.x / -c.z for c in frame)]
    eyes = camera.matrix_world.inverted() @ stage.double.focus.matrix_world.translation
    z = eyes.z + 0.25
    for share, y in ((left, -3), (right, -3), (right, 3), (left, 3)):
        x = (across[0] + share * (across[1] - across[0])) * -z
        corners.append(camera.matrix_world @ Vector((x, y, z)))
    mesh = bpy.data.meshes.new("Wall")
    mesh.from_pydata([tuple(c) for c in corners], [], [(0, 1, 2, 3)])
    obj = bpy.data.objects.new("Wall", mesh)
    stage.scene.collection.objects.link(obj)
    material = bpy.data.materials.new("Glow")
    part("addon.scene.bpy_compat").use_nodes(material)
    tree = material.node_tree
    glow = tree.nodes.new("ShaderNodeEmission")
    glow.inputs["Strength"].default_value = 1.0
    tree.links.new(
        glow.outputs[0], next(n for n in tree.nodes if n.type == "OUTPUT_MATERIAL").inputs["Surface"]
    )
    mesh.materials.append(material)
    return obj


def test_a_wall_before_half_of_the_face_hides_that_half_and_no_more(stage, tmp_path):
    whole = silhouette(stage, tmp_path / "whole")
    assert whole.mean() > 0.05
    barrier = wall(stage, -0.2, 0.5)
    done = render(stage, tmp_path / "wall", frames=[1])
    shown = bytes_of(done.paths[0])
    seen = pink(shown)
    assert not seen[:, :35].any()
    assert np.array_equal(seen[:NECK, 37:], whole[:NECK, 37:])
    assert np.all(shown[:, :35, :3] > 150)
    assert whole[:, :35].sum() > 100
    # Behind the face it hides nothing.
    barrier.location = -2.0 * (stage.scene.camera.matrix_world.to_3x3() @ Vector((0.0, 0.0, 1.0)))
    assert np.array_equal(silhouette(stage, tmp_path / "behind")[:NECK], whole[:NECK])


def test_a_transparent_film_keeps_alpha_and_there_is_no_mesh_head_under_the_splats(stage, tmp_path):
    """Drawn with splats that are not there, the place of the face is empty."""
    stage.scene.render.film_transparent = True
    whole = bytes_of(render(stage, tmp_path / "whole", frames=[1]).paths[0])
    head = pink(whole)
    assert head[:NECK].sum() > 100
    assert np.all(whole[head][:, 3] == 255)
    assert np.all(whole[0, :, 3] == 0)

    class Nothing(PlainWorker):
        @staticmethod
        def _draw(job, folder):
            PlainWorker._draw(job, folder)
            width, height = job["size"].tolist()
            for path in folder.glob("*.png"):
                part("addon.scene.png").write(path, np.zeros((height, width, 4), np.uint8))

    empty = bytes_of(render(stage, tmp_path / "empty", frames=[1], start=Nothing).paths[0])
    assert np.all(empty[:NECK][head[:NECK]][:, 3] == 0)


def test_frames_resume_and_settings_come_back(stage, tmp_path):
    scene, folder = stage.scene, tmp_path / "frames"
    scene.render.filepath, scene.render.image_settings.file_format = "//mine", "OPEN_EXR"
    scene.render.image_settings.exr_codec = "PIZ"
    scene.frame_set(3)
    first = render(stage, folder)
    assert sorted(path.name for path in folder.iterdir()) == ["frame_00001.png", "frame_00002.png"]
    assert (first.rendered, first.skipped) == (2, 0)
    settings = scene.render.image_settings
    assert (scene.render.filepath, settings.file_format, settings.exr_codec) == ("//mine", "OPEN_EXR", "PIZ")
    assert scene.frame_current == 3
    assert scene.render.use_sequencer
    assert not any(layer.use_pass_z for layer in scene.view_layers)
    again = render(stage, folder)
    assert (again.rendered, again.skipped) == (0, 2)
    assert len(PlainWorker.orders) == 1
    # A frame without Gaussian heads is not a finished one.
    part("addon.scene.render").render_frames(scene, folder, [2], resume=False)
    assert render(stage, folder).rendered == 1
    assert bpy.data.images.get("frame_00001.png") is None
    # Nor one with them where the mesh is wanted.
    assert part("addon.scene.render").render_frames(scene, folder, [1, 2]).skipped == 0


def test_the_operators_render_and_encode_headless(stage, tmp_path, monkeypatch):
    """Render Frames puts shown heads in by itself; the movie maker takes the frames."""
    scene = stage.scene
    monkeypatch.setattr(part("addon.splat_queue"), "Job", lambda arguments, **_: PlainWorker(arguments))
    monkeypatch.setattr(part("addon.preferences"), "job_python", lambda *_: "python")
    scene.likeness.output = str(tmp_path)
    assert bpy.ops.likeness.render_splats() == {"FINISHED"}
    first = bytes_of(tmp_path / "frames" / "frame_00001.png")
    assert pink(first).any()
    (tmp_path / "frames" / "frame_00001.png").unlink()
    assert bpy.ops.likeness.render_frames() == {"FINISHED"}
    assert np.array_equal(bytes_of(tmp_path / "frames" / "frame_00001.png"), first)
    assert bpy.ops.likeness.encode_movie() == {"FINISHED"}
    assert (tmp_path / "movie.mp4").stat().st_size > 0
    stage.head.likeness.splat.show = "MESH"
    assert not bpy.ops.likeness.render_splats.poll()


def own_render(stage: Stage, path: Path) -> np.ndarray:
    """(H, W) bool: what is covered in Blender's own Render Image."""
    scene, settings = stage.scene, stage.scene.render.image_settings
    scene.render.film_transparent, scene.render.filepath = True, str(path)
    part("addon.scene.bpy_compat").set_png_format(settings)
    settings.color_mode = "RGBA"
    bpy.ops.render.render(write_still=True)
    return bytes_of(path)[..., 3] > 128


@pytest.mark.parametrize("cards", [False, True])
def test_blenders_own_render_has_a_head_before_and_after(stage, tmp_path, cards):
    """The mesh's, which is the same in the same place however the render of the splats ended, or cards."""
    scene = stage.scene
    scene.frame_set(1)
    stage.head.likeness.splat.show = "MESH"
    mesh = own_render(stage, tmp_path / "mesh.png")
    stage.head.likeness.splat.show = "SPLATS"
    assert np.array_equal(own_render(stage, tmp_path / "before.png"), mesh)
    modifier = stage.double.body.modifiers["Likeness Hide Head"]
    if cards:
        bpy.context.view_layer.objects.active = stage.head
        bpy.ops.likeness.splat_instances()
        assert own_render(stage, tmp_path / "cards.png")[:NECK].sum() > 0.6 * mesh[:NECK].sum()
    assert modifier.show_render == cards
    seen: list[tuple[bool, bool]] = []

    def stop(_fraction, _stage, text):
        seen.append((modifier.show_render, stage.head.visible_shadow))
        if text.startswith("Frame 2"):
            raise part("core.errors").Cancelled("stopped")

    with pytest.raises(part("core.errors").Cancelled):
        render(stage, tmp_path / "stopped", progress=stop)
    assert seen[-1] == (True, True)
    assert (modifier.show_render, stage.head.visible_shadow) == (cards, cards)
    with pytest.raises(part("core.errors").WorkerError):
        render(stage, tmp_path / "failed", start=FailingWorker)
    assert (modifier.show_render, stage.head.visible_shadow) == (cards, cards)
    render(stage, tmp_path / "done")
    assert (modifier.show_render, stage.head.visible_shadow) == (cards, cards)
    if not cards:
        scene.frame_set(1)
        assert np.array_equal(own_render(stage, tmp_path / "after.png"), mesh)


def test_what_is_removed_while_frames_are_rendered(stage, tmp_path):
    """Cards go without a word; without its Gaussian head the double has its own. All frames were read."""
    bpy.context.view_layer.objects.active = stage.head
    bpy.ops.likeness.splat_instances()
    modifiers, body = stage.double.body.modifiers, stage.double.body
    cards = part("addon.scene.splat_instances").cards_of(stage.head)

    def remove(obj: Any) -> Any:
        def progress(_fraction, _stage, text):
            if text.startswith("Frame 2"):
                bpy.data.objects.remove(obj)

        return progress

    assert render(stage, tmp_path / "cards", progress=remove(cards)).rendered == 2
    assert not modifiers["Likeness Hide Head"].show_render
    name = stage.head.name
    render(stage, tmp_path / "head", progress=remove(stage.head))
    assert name not in bpy.data.objects
    assert "Likeness Hide Head" not in body.modifiers


def test_stopping_leaves_whole_frames_only(stage, tmp_path):
    cancelled, said = part("core.errors").Cancelled, []

    def progress(fraction, _stage, text):
        said.append((fraction, text))
        if text.startswith("Frame 2"):
            raise cancelled("stopped")

    with pytest.raises(cancelled):
        render(stage, tmp_path / "frames", progress=progress)
    assert sorted(path.name for path in (tmp_path / "frames").iterdir()) == ["frame_00001.png"]
    assert not any(layer.use_pass_z for layer in stage.scene.view_layers)


def test_a_worker_that_dies_is_told_of_and_what_it_drew_is_kept(stage, tmp_path):
    with pytest.raises(part("core.errors").WorkerError, match="was killed"):
        render(stage, tmp_path / "frames", start=FailingWorker)
    assert sorted(path.name for path in (tmp_path / "frames").iterdir()) == ["frame_00001.png"]


def test_what_cannot_be_rendered_is_refused_in_a_sentence(stage, tmp_path):
    problem, camera = part("core.errors").SettingsError, stage.scene.camera
    for kind in ("ORTHO", "PANO"):
        camera.data.type = kind
        with pytest.raises(problem, match="in perspective only"):
            render(stage, tmp_path)
    camera.data.type = "PERSP"
    stage.scene.render.use_multiview = True
    with pytest.raises(problem, match="stereo"):
        render(stage, tmp_path)
    stage.scene.render.use_multiview = False
    stage.head.likeness.splat.show = "MESH"
    with pytest.raises(problem, match="No Gaussian head is shown"):
        render(stage, tmp_path)
    stage.head.likeness.splat.show = "SPLATS"
    stage.head.likeness.splat.path = str(tmp_path / "none.npz")
    with pytest.raises(problem, match=r"none\.npz are missing"):
        render(stage, tmp_path)


@pytest.mark.slow
def test_the_worker_draws_what_the_order_says(stage, tmp_path):
    """The real one, which compiles its kernels first where the extension is new."""
    pytest.importorskip("numba", reason="this Python has no worker's packages")
    stage.scene.render.film_transparent = True
    stage.double.body.visible_camera = False
    plain = silhouette(stage, tmp_path / "plain")
    done = part("addon.splat_queue").render_splat_frames(stage.scene, tmp_path / "real", [1])
    shown = bytes_of(done.paths[0])
    drawn = (shown[..., 3] > 128) & (np.abs(shown[..., :3].astype(int) - 128).max(axis=2) < 30)  # grey
    drawn, plain = drawn[:NECK], plain[:NECK]
    assert (drawn & plain).sum() > 0.85 * (drawn | plain).sum()


def test_a_size_that_was_set_is_drawn_and_quality_is_the_viewports(stage, tmp_path):
    settings = stage.head.likeness.splat
    settings.quality, settings.size = 0.2, 1.5
    seen = []

    class Looking(PlainWorker):
        @staticmethod
        def _draw(job, folder):
            seen.append(part("core.splat.splat_avatar").SplatAvatar.load(Path(str(job["splats"]))))
            PlainWorker._draw(job, folder)

    render(stage, tmp_path / "frames", frames=[1], start=Looking)
    whole = part("addon.scene.splat_state").splats_of(stage.head).gaussians
    drawn = seen[0].gaussians
    assert len(drawn) == len(whole)
    np.testing.assert_allclose(drawn.log_scales, whole.log_scales + np.log(1.5), atol=5e-3)


CAMERAS = {
    "as built": {},
    "shifted": {"shift_x": 0.2, "shift_y": -0.13},
    "fitted to the height": {"sensor_fit": "VERTICAL", "sensor_height": 19.0, "shift_x": -0.1},
    "fitted to the width": {"sensor_fit": "HORIZONTAL", "shift_y": 0.07},
    "wide": {"lens": 21.0, "resolution": (120, 64)},
    "by angle": {"lens_unit": "FOV", "angle": 0.5},
    "of long pixels": {"aspect": (1.0, 1.4), "shift_x": 0.05, "shift_y": 0.1},
    "of wide pixels": {"aspect": (1.7, 1.0), "sensor_fit": "VERTICAL"},
    "of odd percentage": {"resolution": (101, 77), "percentage": 33},
}


def test_the_camera_is_blenders_own(stage):
    """Against world_to_camera_view, which goes by the camera's frame."""
    stage.double.root.rotation_euler, stage.double.root.scale = (0.1, 0.05, 0.4), (1.2, 1.2, 1.2)
    own = stage.scene.camera.data
    for name, values in CAMERAS.items():
        stage.scene.camera.data = own.copy()
        assert apart(stage, dict(values)) < 0.1, name


def apart(stage: Stage, values: dict[str, Any]) -> float:
    """How many px points are apart through a camera with these settings.

    Blender's function takes no notice of the pixels that a percentage cuts off, which rendering does.
    """
    scene = stage.scene
    scene.render.resolution_x, scene.render.resolution_y = values.pop("resolution", (72, 96))
    scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = values.pop("aspect", (1.0, 1.0))
    scene.render.resolution_percentage = values.pop("percentage", 100)
    for key, value in values.items():
        setattr(scene.camera.data, key, value)
    bpy.context.view_layer.update()
    view, points = looked_at(stage)
    width, height = part("addon.scene.render").picture_size(scene)
    assert (view.width, view.height) == (width, height)
    return float(np.abs(drawn_at(view, points) - blenders(scene, points, width, height)).max())


def test_a_cropped_border_moves_the_picture_and_nothing_else(stage, tmp_path):
    scene = stage.scene
    whole = silhouette(stage, tmp_path / "whole")
    render_settings = scene.render
    render_settings.use_border, render_settings.use_crop_to_border = True, True
    render_settings.border_min_x, render_settings.border_max_x = 0.21, 0.77
    render_settings.border_min_y, render_settings.border_max_y = 0.33, 0.93
    left, top, right, bottom = part("addon.scene.splat_frames_camera").frame_box(scene)
    cropped = silhouette(stage, tmp_path / "crop")
    assert cropped.shape == (bottom - top, right - left)
    assert np.array_equal(cropped[: NECK - top], whole[top:NECK, left:right])
    assert render(stage, tmp_path / "crop", frames=[1]).skipped == 1
    render_settings.use_crop_to_border = False
    inside = silhouette(stage, tmp_path / "border")
    whole[:, :left], whole[:, right:], whole[:top], whole[bottom:] = False, False, False, False
    assert np.array_equal(inside[:NECK], whole[:NECK])
    assert not inside[:, :left].any() and not inside[bottom:].any()


def looked_at(stage: Stage) -> tuple[Any, np.ndarray]:
    """The view of the camera and the head's vertices as the worker gets them."""
    graph = bpy.context.evaluated_depsgraph_get()
    view = part("addon.scene.splat_frames_camera").view_of(stage.scene, graph)
    return view, part("addon.scene.splat_state").surface_vertices(graph, stage.head)[::50]


def drawn_at(view: Any, points: np.ndarray) -> np.ndarray:
    job = {name: [getattr(view, name)] for name in ("T_view_world", "fx", "fy", "cx", "cy")}
    return projected(job, 0, points)[0]


def blenders(scene: Any, points: np.ndarray, width: int, height: int) -> np.ndarray:
    """(n, 2) px, from the top, where Blender sees points of the head frame's axes."""
    world = np.stack([points[:, 0], -points[:, 2], points[:, 1]], axis=1)
    found = [world_to_camera_view(scene, scene.camera, Vector(p)) for p in world.tolist()]
    return np.array([(p.x * width, (1.0 - p.y) * height) for p in found])


def test_an_animated_lens_and_a_moving_camera_are_followed(stage, tmp_path):
    scene, camera = stage.scene, stage.scene.camera
    for frame, lens in ((1, 50.0), (2, 85.0)):
        camera.data.lens = lens
        camera.data.keyframe_insert("lens", frame=frame)
    render(stage, tmp_path / "frames")
    (order,) = PlainWorker.orders
    assert order["numbers"].tolist() == [1, 2]
    assert np.isclose(order["fx"][1] / order["fx"][0], 85 / 50, rtol=1e-3)
    scene.frame_set(2)
    view, points = looked_at(stage)
    assert np.allclose(order["vertices"][1][::50], points, atol=1e-5)
    assert np.allclose(order["T_view_world"][1], view.T_view_world, atol=1e-5)
    assert order["latent"].shape == (2, 2)
    assert not np.allclose(order["vertices"][0], order["vertices"][1])
