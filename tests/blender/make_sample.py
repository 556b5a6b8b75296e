# SPDX-License-Identifier: GPL-3.0-or-later
"""Render the sample capture with our own body and pack it as a Leap archive, its ground truth beside it.

    python build.py sample

Runs in Blender's Python. About a quarter of an hour on two cores; the skin's colour alone (`--albedo-only`)
takes seconds, and is to be baked again whenever the head's layout changes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from tests.sample.tree import load_tree  # noqa: E402

load_tree()

from likeness_tree.addon.scene import build as scene_build  # noqa: E402
from likeness_tree.addon.scene import camera, movie, render  # noqa: E402
from likeness_tree.addon.scene.double import find_doubles  # noqa: E402
from likeness_tree.addon.scene.materials import Look  # noqa: E402
from likeness_tree.addon.scene.settings import BuildSettings  # noqa: E402
from likeness_tree.core.avatar import Avatar  # noqa: E402
from likeness_tree.core.performance import Performance  # noqa: E402

from core.arkit import ARKIT_NAMES  # noqa: E402
from core.head import TO_BLENDER, load_model  # noqa: E402
from tests.sample import acting, face_mesh, person, score, voice  # noqa: E402
from tests.sample.albedo import bake_albedo  # noqa: E402

MOVIE_SIZE = (312, 416)
PHOTO_SIZE = (624, 832)
SAMPLES = 12
FRAMING = "likeness_framing"
ARCHIVE = "likeness_sample.zip"
ALBEDO = "likeness_sample_albedo.png"
"""The procedural skin's colour in the head's layout, sRGB, 512 x 512."""
FIXED_TIME = (2026, 1, 1, 0, 0, 0)


def main() -> None:
    """Make everything in a scratch folder, then put the two files in place."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--albedo-only", action="store_true", help="bake the skin's colour, film nothing")
    parser.add_argument("--keep", type=Path, help="keep the rendered frames here and resume from them")
    options = parser.parse_args(sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else None)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        frames = options.keep or folder / "frames"
        performance = acting.perform()
        performance.save(folder / "performance.npz")
        scene = stage(folder)
        options.out.mkdir(parents=True, exist_ok=True)
        bake_albedo(scene, find_doubles(scene)[0].body, options.out / ALBEDO)
        if options.albedo_only:
            return
        truth = {
            "person": person.NAME,
            "gender": person.GENDER,
            "identity": person.IDENTITY,
            "camera": camera_truth(scene),
        }
        capture = folder / "capture"
        capture.mkdir()
        film(scene, frames, capture, folder)
        write_mesh(capture / "faceGeometry1.obj", performance)
        performance.save_live_link_csv(capture / "likeness_sample.csv")
        # Not the identity: the face in the footage has to say that.
        hints = {"likeness": 1, "gender": person.GENDER}
        (capture / "likeness.json").write_text(json.dumps(hints, indent=1) + "\n", encoding="utf-8")
        pack(capture, options.out / ARCHIVE)
        shutil.copyfile(folder / "performance.npz", options.out / "likeness_sample_truth.npz")
        (options.out / "likeness_sample_truth.json").write_text(
            json.dumps(truth, indent=1) + "\n", encoding="utf-8"
        )
    print(f"{options.out / ARCHIVE}: {(options.out / ARCHIVE).stat().st_size} bytes")


def stage(folder: Path) -> bpy.types.Scene:
    """The person before a plain backdrop, performing."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    avatar = Avatar.create(
        folder / "sample.avatar", person.NAME, gender=person.GENDER, identity=dict(person.IDENTITY)
    )
    performance = Performance.load(folder / "performance.npz")
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = MOVIE_SIZE
    look = replace(Look.of(avatar), **person.LOOK)
    settings = BuildSettings(materials="CYCLES", lights=person.LIGHTS, look=look)
    scene_build.build(bpy.context, avatar, performance, settings)
    hold_the_phone(scene)
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = SAMPLES, True
    scene.cycles.use_adaptive_sampling, scene.cycles.seed = True, 0
    scene.cycles.max_bounces, scene.cycles.diffuse_bounces, scene.cycles.glossy_bounces = 4, 1, 2
    scene.cycles.transmission_bounces, scene.cycles.transparent_max_bounces = 3, 8
    scene.cycles.caustics_reflective = scene.cycles.caustics_refractive = False
    scene.render.use_persistent_data = True
    scene.view_settings.view_transform = "AgX"
    return scene


def hold_the_phone(scene: bpy.types.Scene) -> None:
    """Closer than a portrait: the face fills a third of the picture, as with a phone at arm's length."""
    top, height, _, depth = scene.camera[FRAMING]
    closer = camera.Framing(top - 0.06 * height, 0.74 * height, 0.5 * height, depth)
    camera.frame_camera(scene, scene.camera, closer)


def camera_truth(scene: bpy.types.Scene) -> dict[str, object]:
    """Focal length in pixels of the movie, and the camera's pose in the head frame's axes, metres from the
    floor.
    """
    shot = scene.camera
    bpy.context.view_layer.update()
    matrix = np.array(shot.matrix_world)
    across = max(MOVIE_SIZE) if shot.data.sensor_fit != "HORIZONTAL" else MOVIE_SIZE[0]
    to_head = TO_BLENDER.T
    return {
        "size": list(MOVIE_SIZE),
        "focal_px": shot.data.lens / shot.data.sensor_width * across,
        "rotation": (to_head @ matrix[:3, :3]).tolist(),
        "position": (to_head @ matrix[:3, 3]).tolist(),
    }


def film(scene: bpy.types.Scene, frames: Path, capture: Path, folder: Path) -> None:
    """The movie with its sound, and the portrait of the first frame."""
    count = round(score.DURATION * score.RATE)
    done = render.render_frames(scene, frames, range(count), resume=True, progress=report)
    voice.write_wav(folder / "voice.wav")
    movie.encode_movie(
        frames, capture / "ARVideo.mp4", score.RATE, folder / "voice.wav", codec="H264", pictures=done.paths
    )
    scene.render.resolution_x, scene.render.resolution_y = PHOTO_SIZE
    scene.frame_set(0)
    settings = scene.render.image_settings
    settings.file_format, settings.quality = "JPEG", 88
    scene.render.filepath = str(capture / "photo.jpg")
    bpy.ops.render.render(write_still=True)


def report(fraction: float, stage: str, text: str) -> None:
    """One line a frame."""
    print(f"{100 * fraction:3.0f} % {stage} {text}", flush=True)


def write_mesh(path: Path, performance) -> None:
    """The first frame's face, as the phone's tracker would give it."""
    model = load_model("anny")
    rest = model.rest(model.identity_coefficients(person.IDENTITY))
    weights = np.zeros(len(ARKIT_NAMES))
    weights[:] = performance.weights[0]
    face_mesh.write_obj(path, model, rest.vertices, model.expressed(rest, weights))


def pack(folder: Path, archive: Path) -> None:
    """A zip whose bytes depend on its content alone."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target:
        for path in sorted(folder.iterdir()):
            target.writestr(
                zipfile.ZipInfo(path.name, FIXED_TIME), path.read_bytes(), zipfile.ZIP_DEFLATED, 9
            )


if __name__ == "__main__":
    main()
