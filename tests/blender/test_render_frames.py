# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames that resume, presets that can be trusted, and no crash where OpenGL is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import bpy
import pytest
from scene_support import avatar, bare_head, build, part

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tiny(empty_scene):
    """A scene that renders in milliseconds, with or without OpenGL: a moving camera in an empty world."""
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    empty_scene.collection.objects.link(camera)
    empty_scene.camera = camera
    empty_scene.render.engine = "CYCLES"
    empty_scene.cycles.samples, empty_scene.cycles.device = 1, "CPU"
    empty_scene.cycles.use_denoising = False
    empty_scene.render.resolution_x, empty_scene.render.resolution_y = 33, 18
    empty_scene.frame_start, empty_scene.frame_end, empty_scene.frame_step = 3, 9, 2
    return empty_scene


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_scenes_range_and_step_are_rendered_under_their_numbers(tiny, tmp_path):
    done = part("addon.scene.render").render_frames(tiny, tmp_path / "new" / "frames")
    assert [path.name for path in done.paths] == [f"frame_{n:05d}.png" for n in (3, 5, 7, 9)]
    assert (done.rendered, done.skipped) == (4, 0)
    assert names(tmp_path / "new" / "frames") == [path.name for path in done.paths]
    assert {part("addon.scene.png").size_of(path) for path in done.paths} == {(33, 18)}


def test_finished_frames_are_skipped_and_broken_ones_made_again(tiny, tmp_path):
    render = part("addon.scene.render")
    first = render.render_frames(tiny, tmp_path, range(4))
    cut, gone, whole = first.paths[0], first.paths[2], first.paths[1]
    cut.write_bytes(cut.read_bytes()[:-5])
    gone.unlink()
    stamp = whole.stat().st_mtime_ns
    second = render.render_frames(tiny, tmp_path, range(4))
    assert (second.rendered, second.skipped) == (2, 2)
    assert whole.stat().st_mtime_ns == stamp
    assert all(render.is_finished(tiny, path) for path in second.paths)
    assert render.render_frames(tiny, tmp_path, range(4), resume=False).rendered == 4
    tiny.render.resolution_percentage = 50
    assert render.render_frames(tiny, tmp_path, range(4)).rendered == 4


def test_sixteen_bits_are_written(tiny, tmp_path):
    (path,) = part("addon.scene.render").render_frames(tiny, tmp_path, [2], depth="16").paths
    assert path.read_bytes()[24] == 16


def test_output_settings_and_frame_come_back(tiny, tmp_path):
    tiny.render.filepath = "//mine"
    tiny.render.image_settings.file_format = "OPEN_EXR"
    tiny.frame_set(6)
    part("addon.scene.render").render_frames(tiny, tmp_path, [1])
    assert tiny.render.filepath == "//mine"
    assert tiny.render.image_settings.file_format == "OPEN_EXR"
    assert tiny.frame_current == 6


def test_stopping_leaves_whole_frames_only(tiny, tmp_path):
    cancelled = part("core.errors").Cancelled
    seen = []

    def progress(fraction, stage, text):
        seen.append(fraction)
        if len(seen) == 3:
            raise cancelled("stopped")

    with pytest.raises(cancelled):
        part("addon.scene.render").render_frames(tiny, tmp_path, range(6), progress=progress)
    assert names(tmp_path) == ["frame_00000.png", "frame_00001.png"]
    assert seen == sorted(seen)
    assert part("addon.scene.render").render_frames(tiny, tmp_path, range(6)).skipped == 2


def test_what_cannot_be_rendered_is_said_in_a_sentence(tiny, tmp_path):
    render, problem = part("addon.scene.render"), part("core.errors").SettingsError
    with pytest.raises(problem, match="no frame to render"):
        render.render_frames(tiny, tmp_path, [])
    with pytest.raises(problem, match="Frame -2 is before the start"):
        render.render_frames(tiny, tmp_path, [-2, 1])
    (tmp_path / "file").write_text("")
    with pytest.raises(problem, match="cannot be written to"):
        render.render_frames(tiny, tmp_path / "file" / "frames", [1])
    tiny.camera = None
    with pytest.raises(problem, match="has no camera"):
        render.render_frames(tiny, tmp_path, [1])
    assert names(tmp_path) == ["file"]


def values(scene) -> dict:
    """Everything that presets may set."""
    eevee, cycles = scene.eevee, scene.cycles
    named = [
        (scene.render, "engine"),
        (scene.render, "use_motion_blur"),
        (scene.render, "use_persistent_data"),
    ]
    named += [(eevee, name) for name in EEVEE] + [(eevee.ray_tracing_options, "resolution_scale")]
    named += [(cycles, name) for name in CYCLES]
    return {name: getattr(owner, name) for owner, name in named}


EEVEE = (
    "taa_render_samples", "use_shadows", "shadow_ray_count", "shadow_step_count", "use_raytracing",
    "use_fast_gi", "ray_tracing_method", "use_bokeh_jittered", "motion_blur_steps",
)  # fmt: skip
CYCLES = (
    "samples", "use_adaptive_sampling", "adaptive_threshold", "use_light_tree", "sample_clamp_indirect",
    "max_bounces", "transparent_max_bounces", "use_denoising", "denoiser", "denoising_input_passes",
)  # fmt: skip


@pytest.mark.parametrize("key", ["FAST", "STANDARD", "MID", "PATH"])
def test_presets_and_their_files_say_the_same(empty_scene, monkeypatch, key):
    presets = part("addon.scene.presets")
    monkeypatch.setattr(part("addon.scene.graphics"), "has_opengl", lambda: True)
    assert presets.apply_preset(empty_scene, key) == []
    by_function = values(empty_scene)
    assert (by_function["engine"] == "CYCLES") == (key == "PATH")
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    untouched = values(bpy.context.scene)
    folder = Path(part("addon").__file__).parent / "presets" / "likeness" / "render"
    file = folder / (presets.PRESETS[key].title.replace(" ", "_") + ".py")
    exec(compile(file.read_text(), str(file), "exec"), {})
    by_file = values(bpy.context.scene)
    assert by_file == by_function != untouched


def test_a_preset_changes_what_the_whole_double_wears(empty_scene, monkeypatch):
    monkeypatch.setattr(part("addon.scene.graphics"), "has_opengl", lambda: True)
    double = build(avatar("Flame", gender="", identity={}), None, bare_head())
    looks, worn = part("addon.scene.looks"), part("addon.scene.materials").material_mode
    for key, mode in (("PATH", "CYCLES"), ("FAST", "EEVEE")):
        part("addon.scene.presets").apply_preset(empty_scene, key)
        assert looks.material_mode(double) == mode
        assert {worn(slot.material) for slot in double.body.material_slots} == {mode}


def test_an_unknown_preset_is_refused(empty_scene):
    with pytest.raises(part("core.errors").SettingsError, match="no render preset 'ULTRA'"):
        part("addon.scene.presets").apply_preset(empty_scene, "ULTRA")


def test_without_denoiser_the_picture_is_noisier_and_says_so(empty_scene, monkeypatch):
    presets = part("addon.scene.presets")
    monkeypatch.setattr(part("addon.scene.graphics"), "has_denoiser", lambda: False)
    assert presets.apply_preset(empty_scene, "PATH") == [presets.NO_DENOISER]
    assert not empty_scene.cycles.use_denoising


WITHOUT_OPENGL = """
import importlib, os, sys
sys.path.insert(0, sys.argv[1])
import bpy
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
module = lambda name: importlib.import_module("likeness.addon.scene." + name)
scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
scene.collection.objects.link(scene.camera)
scene.render.resolution_x = scene.render.resolution_y = 32
notes = module("presets").apply_preset(scene, "FAST")
scene.render.engine = module("bpy_compat").EEVEE
scene.eevee.taa_render_samples = 1
from pathlib import Path
done = module("render").render_frames(scene, Path(sys.argv[2]), [1])
movie = module("movie").encode_movie(Path(sys.argv[2]), Path(sys.argv[2]) / "movie.mp4", 25.0)
print(scene.render.engine, done.rendered, movie.stat().st_size > 0, *notes, *done.notes, sep="|", flush=True)
os._exit(0)
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="EGL is what Linux draws with in the background"
)
@pytest.mark.parametrize("lack", ["library", "driver"])
def test_without_opengl_cycles_renders_and_nothing_aborts(tmp_path, lack):
    """A broken libEGL, or one that finds no driver, kills a background Blender that asks for a GPU."""
    (tmp_path / "likeness").symlink_to(Path(part("addon").__file__).parents[1])
    environment = dict(os.environ)
    if lack == "library":
        (tmp_path / "libEGL.so.1").touch()
        environment["LD_LIBRARY_PATH"] = str(tmp_path)
    else:
        environment["__EGL_VENDOR_LIBRARY_FILENAMES"] = str(tmp_path / "none.json")
    command = [sys.executable, "-c", WITHOUT_OPENGL, str(tmp_path), str(tmp_path / "frames")]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    note = part("addon.scene.presets").NO_OPENGL
    assert ran.stdout.strip().splitlines()[-1] == f"CYCLES|1|True|{note}|{note}"
