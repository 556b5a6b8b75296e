# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars with textures of known colours, and a plane that shows what a double's face group gives."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from footage_support import write_movie
from scene_support import part

SIZE = 64
STILL = (0.6, 0.45, 0.36)
"""SRGB of the still."""


def level_of(number: int) -> int:
    """The grey level of a track's picture."""
    return 30 + 8 * number


def write_picture(path: Path, colour: Sequence[float], alpha: float = 1.0, size: int = SIZE) -> Path:
    """A picture of one colour, sRGB 0..1."""
    image = bpy.data.images.new("Picture", size, size, alpha=True)
    image.pixels.foreach_set(np.tile(np.float32([*colour, alpha]), size * size))
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)
    return path


def write_track(path: Path, times: np.ndarray, first: int = 0) -> Path:
    """A face track whose picture n has the grey level of `first + n`. Without the worker's av Blender writes
    it, if its rate is steady.
    """
    path.parent.mkdir(exist_ok=True)
    levels = [level_of(first + n) for n in range(len(times))]
    if find_spec("av") is None or find_spec("cv2") is None:
        if np.ptp(np.diff(times)) > 1e-6 or times[0] > 0.0:
            pytest.skip("movies of uneven times are written by the worker's av")
        return write_movie(path, len(times), 1.0 / (times[1] - times[0]), (SIZE, SIZE), levels)
    with part("core.texture.movie_writer").write_movie(path, SIZE, times, quality=4) as movie:
        for n in range(len(times)):
            movie.write(np.full((SIZE, SIZE, 3), level_of(first + n), np.uint8))
    return path


def take(times: np.ndarray, name: str = "take") -> Any:
    """A performance that opens the jaw once."""
    weights = np.zeros((len(times), 52), np.float32)
    weights[:, part("core.arkit").INDEX["jawOpen"]] = np.linspace(0.0, 1.0, len(times))
    return part("core.performance").Performance(name, np.asarray(times, np.float64), weights)


def predicted(size: int = 16) -> Any:
    """A predicted texture of two components, grey in the upper left quarter and red in the lower right one:
    40 levels each at jawOpen 1.
    """
    low_rank, prediction = part("core.texture.low_rank"), part("core.texture.predicted")
    mean = np.tile(np.rint(255 * np.array(STILL)).astype(np.uint8), (size, size, 1))
    basis, half = np.zeros((2, size, size, 3), np.int8), size // 2
    basis[0, :half, :half], basis[1, half:, half:, 0] = 100, 100
    basis = basis.reshape(2, -1, 3)
    index = np.arange(size * size, dtype=np.int32)
    scale = np.array([0.4, 0.4], np.float32)
    texture = low_rank.LowRank(mean, index, basis, scale, np.zeros((2, 2), np.float32))
    names = prediction.FEATURES
    matrix = np.zeros((2, len(names)), np.float32)
    matrix[:, names.index("jawOpen")] = 1.0
    zero, one = np.zeros(2, np.float32), np.ones(2, np.float32)
    usual = np.zeros(len(names), np.float32)
    return prediction.PredictedTexture(texture, matrix, zero, -one, one, usual, 1.0)


def write_face_avatar(
    folder: Path, tracks: dict[str, np.ndarray], name: str = "Ada", *, textures: bool = True
) -> Path:
    """An avatar on disk; `tracks`: performance to its times, each with a face track."""
    model = part("core.head").load_model("anny")
    identity = {"gender": 1.0, "age": 0.6}
    person = part("core.avatar").Avatar.create(
        folder, name, gender="female", identity=identity, appearance={"melanin": 0.4},
        coefficients=model.identity_coefficients(identity),
    )  # fmt: skip
    for title, times in tracks.items():
        person.add_performance(take(times, title))
    if textures:
        (folder / "textures").mkdir()
        write_picture(folder / "textures" / "albedo.png", STILL)
        write_picture(folder / "textures" / "normal.png", (0.5, 0.5, 1.0))
        predicted().save(folder / "textures" / "predicted.npz")
        person.textures = {"albedo": "albedo.png", "normal": "normal.png", "predicted": "predicted.npz"}
        for n, (title, times) in enumerate(tracks.items()):
            write_track(folder / "textures" / f"face_{n}.mp4", times, 3 * n)
            person.face_tracks[title] = f"face_{n}.mp4"
    person.save()
    return folder


def screen(double: Any) -> bpy.types.Object:
    """Before a camera, a plane that glows in the colour of the double's face; the double itself is hidden."""
    scene = bpy.context.scene
    tree = part("addon.scene.materials.face").find_face_group(double.id)
    material: Any = bpy.data.materials.new("Screen")
    part("addon.scene.bpy_compat").use_nodes(material)
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    group, glow = nodes.new("ShaderNodeGroup"), nodes.new("ShaderNodeEmission")
    group.node_tree = tree
    links.new(group.outputs["Colour"], glow.inputs[0])
    links.new(glow.outputs[0], nodes.new("ShaderNodeOutputMaterial").inputs[0])
    mesh = bpy.data.meshes.new("Screen")
    mesh.from_pydata([(-1, 0, -1), (1, 0, -1), (1, 0, 1), (-1, 0, 1)], [], [(0, 1, 2, 3)])
    mesh.uv_layers.new(name="HeadUV")
    mesh.materials.append(material)
    plane = bpy.data.objects.new("Screen", mesh)
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location, camera.rotation_euler = (0.0, -3.0, 0.0), (0.5 * np.pi, 0.0, 0.0)
    camera.data.type, camera.data.ortho_scale = "ORTHO", 1.0
    for obj in (plane, camera):
        scene.collection.objects.link(obj)
    for obj in double.objects:
        obj.hide_render = True
    scene.camera = camera
    scene.world = None
    return plane


def amounts(double: Any) -> list[float]:
    """How much of each component the double's face shows now, animation included."""
    names = part("addon.scene.materials.face_components")
    tree = names.find_components_group(double.id)
    return [tree.nodes[name].outputs[0].default_value for name in names.AMOUNTS]


def pixel(frame: int, path: Path, engine: str = "CYCLES", at: tuple[int, int] = (4, 4)) -> np.ndarray:
    """(3,) sRGB 0..255 at a scene frame; `at`: row, from below, and column of the picture of 8 x 8."""
    scene: Any = bpy.context.scene
    scene.render.engine = engine
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.device = 1, False, "CPU"
    scene.eevee.taa_render_samples = 1
    scene.render.resolution_x = scene.render.resolution_y = 8
    scene.render.use_motion_blur = False
    scene.view_settings.view_transform = "Standard"
    part("addon.scene.bpy_compat").set_png_format(scene.render.image_settings)
    scene.frame_set(frame)
    scene.render.filepath = str(path / "pixel.png")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath)
    values = np.empty(4 * 64, np.float32)
    image.pixels.foreach_get(values)
    bpy.data.images.remove(image)
    return 255.0 * values.reshape(8, 8, 4)[at][:3]
