# SPDX-License-Identifier: GPL-3.0-or-later
"""One frame with Gaussian heads: what Blender renders of the scene, with depth, and how both become a file.

Depth comes out of a multilayer OpenEXR file, which every version of Blender writes of every engine without a
node being touched. The picture comes from the same render, through the scene's view transform, and Gaussians
are laid in after that (`core.splat.composite` says why).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...core.errors import SettingsError
from ...core.exr import read_planes
from ...core.splat.composite import FAR, Picture, composite, to_bytes
from . import png
from .bpy_compat import set_png_format
from .render import SPLATS, png_output
from .splat_frames_camera import file_size, outside_border
from .splat_instances import all_cards
from .workspace import alive

Array = np.ndarray

FULL = "Is the disk full?"
LIMITS = "Gaussian heads have no motion blur and no depth of field of their own."


@dataclass(frozen=True)
class Parts:
    """Where Blender's share of a frame lies until it is used."""

    picture: Path
    depth: Path

    @classmethod
    def beside(cls, path: Path) -> Parts:
        """The parts of the frame that will be at `path`."""
        stem = path.with_name(f".{path.stem}")
        return cls(stem.with_suffix(".part.png"), stem.with_suffix(".part.exr"))

    def remove(self) -> None:
        """Take them away."""
        for path in (self.picture, self.depth):
            with suppress(OSError):
                path.unlink(missing_ok=True)


def is_finished(scene: bpy.types.Scene, path: Path) -> bool:
    """Whether a frame with Gaussian heads is there, complete, and of the size that the scene renders."""
    return png.size_of(path) == file_size(scene) and png.has_note(path, SPLATS)


@contextmanager
def splat_output(scene: bpy.types.Scene) -> Iterator[None]:
    """Depth on, the sequencer and cards of splats off while rendering; all comes back afterwards."""
    render, image = scene.render, scene.render.image_settings
    kept: list[tuple[Any, str, Any]] = [(render, "use_sequencer", render.use_sequencer)]
    kept += [(cards, "hide_render", cards.hide_render) for cards in all_cards(scene)]
    kept += [(layer, "use_pass_z", layer.use_pass_z) for layer in scene.view_layers]
    codec = image.exr_codec
    with ExitStack() as stack:
        stack.enter_context(png_output(scene, "16"))
        stack.callback(_put_back, scene, kept)
        stack.callback(_put_codec_back, scene, codec)
        render.use_sequencer = False
        for cards in all_cards(scene):
            cards.hide_render = True
        for layer in scene.view_layers:
            layer.use_pass_z = True
        yield


def _put_codec_back(scene: bpy.types.Scene, codec: str) -> None:
    if alive(scene):
        image: Any = scene.render.image_settings
        _set_depth_format(image)  # the codec can be set in such files only
        image.exr_codec = codec


def _put_back(scene: bpy.types.Scene, kept: list[tuple[Any, str, Any]]) -> None:
    if alive(scene):
        for owner, name, value in kept:
            with suppress(ReferenceError):  # cards and layers that were removed meanwhile
                setattr(owner, name, value)


def prepare(scene: bpy.types.Scene, parts: Parts) -> None:
    """Let the next render of the scene write depth to its place."""
    _set_depth_format(scene.render.image_settings)
    scene.render.filepath = str(parts.depth)


def _set_depth_format(settings: Any) -> None:
    """Make image settings write all passes as plain numbers; 5.0 asks for the kind of media first."""
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format = "OPEN_EXR_MULTILAYER"
    settings.color_depth, settings.exr_codec = "32", "NONE"


def keep_picture(scene: bpy.types.Scene, parts: Parts, frame: int) -> None:
    """After that render: write the picture, through the view transform, with alpha and 16 bits."""
    settings: Any = scene.render.image_settings
    set_png_format(settings, "16")
    settings.color_mode = "RGBA"
    result = next((image for image in bpy.data.images if image.type == "RENDER_RESULT"), None)
    try:
        if result is None:
            raise RuntimeError("there is no picture")
        result.save_render(str(parts.picture), scene=scene)
    except RuntimeError as problem:
        reason = str(problem).strip().removeprefix("Error: ").rstrip(".")
        raise SettingsError(f"Frame {frame} could not be written: {reason}.", FULL) from problem
    if png.size_of(parts.picture) is None or not parts.depth.is_file():
        raise SettingsError(f"Frame {frame} could not be written to {parts.depth.parent}.", FULL)


def scene_picture(parts: Parts) -> Picture:
    """What Blender rendered."""
    planes = read_planes(parts.depth, ".Depth.Z", FAR)
    if not planes:
        raise SettingsError(f"{parts.depth.name} has no depth.", "Turn a view layer on that can render.")
    # Of several view layers the nearest surface counts.
    return Picture(read_picture(parts.picture), np.minimum.reduce(list(planes.values())))


def finish(scene: bpy.types.Scene, path: Path, parts: Parts, heads: Sequence[Picture]) -> None:
    """Put the heads, nearest last or first alike, into what was rendered, and write the frame whole."""
    made, outside, blur = scene_picture(parts), outside_border(scene), 3 if limits(scene) else 1
    for head in heads:
        if outside is not None:
            head.rgba[outside, 3] = 0.0
        made = composite(made, head, blur=blur)
    pixels = to_bytes(made.rgba, scene.render.dither_intensity)
    ready = path.with_name(f".{path.stem}.ready.png")
    try:
        png.write(ready, pixels if scene.render.film_transparent else pixels[..., :3], SPLATS)
        ready.replace(path)
    except OSError as problem:
        with suppress(OSError):
            ready.unlink(missing_ok=True)
        raise SettingsError(f"{path} could not be written: {problem.strerror or problem}.") from problem
    parts.remove()


def read_picture(path: Path) -> Array:
    """(H, W, 4) float32 values 0..1 as they are stored, row 0 on top."""
    image: Any = None
    try:
        image = bpy.data.images.load(str(path), check_existing=False)
        image.colorspace_settings.name, image.alpha_mode = "Non-Color", "CHANNEL_PACKED"
        width, height = image.size
        values = np.empty(width * height * 4, np.float32)
        image.pixels.foreach_get(values)
    except RuntimeError as problem:
        raise SettingsError(f"{path.name} cannot be read: {problem}.", "Render it again.") from problem
    finally:
        if image is not None:
            bpy.data.images.remove(image)
    return np.ascontiguousarray(values.reshape(height, width, 4)[::-1])


def limits(scene: bpy.types.Scene) -> str:
    """A sentence where the scene asks for what Gaussian heads do not have, else nothing."""
    camera: Any = scene.camera
    blurred = scene.render.use_motion_blur or (camera is not None and camera.data.dof.use_dof)
    return LIMITS if blurred else ""
